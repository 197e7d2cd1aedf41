"""What becomes of a running stage and its workers when one of them, or the process above, is told to stop or killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.engine import shards
from pipeline.engine.fingerprint import PROJECT
from tests.engine_workers import calls, until, until_gone
from tests.patience import HANG_SECONDS, finish
from tests.slow_stage import PARAMS

COMMAND = (sys.executable, "-m", "tests.slow_stage")
SHARDS = 6
SLOW = 2  # this one and those after it wait for `release`
STOPPED = "slow_stage: error: stopped; finished shards are kept, run the same command to go on\n"
DONE = "slow_stage: 30 rows in, 25 out, 5 rejected (multiple_of_seven 5)\n"


class Folder:
    """A working folder of the slow stage, and the processes started in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.started: list[subprocess.Popen[str]] = []
        (root / "params.yaml").write_text(PARAMS)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("SIER_", "DVC_"))}
        process = subprocess.Popen(
            command or COMMAND,
            cwd=self.root,
            env={**plain, "PYTHONPATH": str(PROJECT), "SIER_WORKERS": "2", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def begun(self) -> set[int]:
        return {int(name.removeprefix("began-")) for name in calls(self.root / "log") if name.startswith("began-")}

    def runs(self) -> dict[int, int]:
        """How often each shard was worked through."""
        found = calls(self.root / "log")
        return {index: found.get(f"shard-{index}", 0) for index in range(SHARDS)}

    def workers(self) -> set[int]:
        return {int(line) for line in (self.root / "log" / "loaded").read_text().split()}

    def committed(self) -> list[int]:
        work = self.root / ".work" / "slow"
        return [index for index in range(SHARDS) if shards.committed(work, index, "f") is not None]

    def holder(self) -> int:
        """Process id in the lock file: the running stage."""
        return int((self.root / ".work" / "slow_stage.lock").read_text())

    def until_slow(self) -> None:
        """Wait until the quick shards are committed and both workers hang in a slow one."""
        until(lambda: self.committed() == [0, 1] and {2, 3} <= self.begun(), "the slow shards")

    def resume(self, *already: int) -> None:
        """Run the stage again to its end: only what was missing is done."""
        before = self.runs()
        (self.root / "release").touch()
        again = self.start()
        out, err = finish(again)
        assert (again.returncode, out) == (0, DONE)
        assert err == f"slow: {len(already)} of 6 shards were finished by an earlier run\n" if already else err == ""
        assert self.runs() == {index: before[index] + (index not in already) for index in range(SHARDS)}
        markers = shards.read_manifest(self.root / "data" / "slow", "slow_stage")
        assert shards.total_counts(markers) == {"ok": 25, "multiple_of_seven": 5}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    for process in made.started:
        for member in members(process.pid):
            member.kill()
        process.communicate()


def members(session: int) -> list[psutil.Process]:
    """Processes of a session, whoever their parent is now."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session:
                found.append(process)
        except ProcessLookupError:
            pass
    return found


@pytest.mark.parametrize(("told", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stage_told_to_stop_ends_its_workers_and_can_go_on(folder: Folder, told: signal.Signals, code: int) -> None:
    stage = folder.start()
    folder.until_slow()
    stage.send_signal(told)
    out, err = finish(stage)
    assert (stage.returncode, out, err) == (code, "", STOPPED)
    assert until_gone(folder.workers())
    assert folder.committed() == [0, 1]
    assert not (folder.root / "data").exists()
    folder.resume(0, 1)


def test_ctrl_c_reaches_the_whole_group_and_is_told_once(folder: Folder) -> None:
    stage = folder.start()
    folder.until_slow()
    os.killpg(stage.pid, signal.SIGINT)
    out, err = finish(stage)
    assert (stage.returncode, out, err) == (130, "", STOPPED)
    assert until_gone(folder.workers())


def test_sigterm_that_comes_again_and_again_is_told_once(folder: Folder) -> None:
    stage = folder.start()
    folder.until_slow()
    while stage.poll() is None:
        stage.send_signal(signal.SIGTERM)
        time.sleep(0.002)
    out, err = finish(stage)
    assert (stage.returncode, out, err) == (143, "", STOPPED)
    assert until_gone(folder.workers())
    folder.resume(0, 1)


def test_a_stage_with_one_worker_stops_within_a_shard(folder: Folder) -> None:
    stage = folder.start(SIER_WORKERS="1")
    until(lambda: SLOW in folder.begun(), "the slow shard")
    stage.send_signal(signal.SIGTERM)
    out, err = finish(stage)
    assert (stage.returncode, out, err) == (143, "", STOPPED)
    folder.resume(0, 1)


def test_workers_of_a_killed_stage_die_with_it(folder: Folder) -> None:
    stage = folder.start()
    folder.until_slow()
    stage.kill()
    stage.wait(HANG_SECONDS)
    assert until_gone(folder.workers())
    folder.resume(0, 1)


def test_a_killed_worker_is_replaced(folder: Folder) -> None:
    stage = folder.start()
    folder.until_slow()
    victim = int((folder.root / "log" / f"began-{SLOW}").read_text())
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(folder.workers()) == 4, "a new pool")
    (folder.root / "release").touch()
    out, err = finish(stage)
    assert (stage.returncode, out, err) == (0, DONE, "")
    assert folder.runs() == dict.fromkeys(range(SHARDS), 1)


def above(command: str) -> tuple[str, ...]:
    """A process in the place of DVC that runs `command` through a shell, which does not become the command itself.

    It lives on when the shell has ended.
    """
    script = f"import subprocess, time; subprocess.run(['sh', '-c', {command + '; exit $?'!r}]); time.sleep(600)"
    return sys.executable, "-c", script


def test_a_stage_of_dvc_ends_when_dvc_is_killed_though_a_shell_stands_between(folder: Folder) -> None:
    dvc = folder.start(*above(" ".join(COMMAND)), DVC_STAGE="slow_stage")
    folder.until_slow()
    stage = psutil.Process(folder.holder())
    shell = stage.parent()
    assert shell is not None
    assert shell.name() in {"sh", "dash", "bash"}
    assert shell.ppid() == dvc.pid
    dvc.kill()
    assert until_gone({stage.pid, *folder.workers()})
    assert folder.committed() == [0, 1]
    folder.resume(0, 1)


def test_a_stage_of_dvc_ends_when_the_shell_between_is_killed(folder: Folder) -> None:
    dvc = folder.start(*above(" ".join(COMMAND)), DVC_STAGE="slow_stage")
    folder.until_slow()
    stage = psutil.Process(folder.holder())
    shell = stage.parent()
    assert shell is not None
    assert shell.ppid() == dvc.pid
    shell.kill()
    assert until_gone({stage.pid, *folder.workers()})
    assert dvc.poll() is None


def test_a_stage_started_by_hand_outlives_what_started_it(folder: Folder) -> None:
    above_it = folder.start(*above(" ".join(COMMAND)))
    folder.until_slow()
    stage = folder.holder()
    above_it.kill()
    (folder.root / "release").touch()
    assert until_gone([stage])
    assert folder.committed() == list(range(SHARDS))
    assert (folder.root / "data" / "slow" / "manifest.jsonl").exists()


def test_a_second_run_names_the_first_one_when_it_has_waited_long_enough(folder: Folder) -> None:
    first = folder.start()
    folder.until_slow()
    second = folder.start(TEST_LOCK_WAIT_SECONDS="0.2")
    out, err = finish(second)
    assert (second.returncode, out) == (1, "")
    assert err == (
        "slow_stage: error: .work/slow_stage.lock is held by another run "
        f"(process {first.pid}); wait for it or stop it, then run again\n"
    )
    assert first.poll() is None
    (folder.root / "release").touch()
    assert finish(first) == (DONE, "")
    assert first.returncode == 0


def test_a_second_run_that_waits_finds_the_work_done(folder: Folder) -> None:
    first = folder.start()
    folder.until_slow()
    second = folder.start()
    until(lambda: (folder.root / ".work" / "slow_stage.lock").stat().st_size > 0, "the lock")
    until(lambda: holds_open(second.pid, folder.root / ".work" / "slow_stage.lock"), "the second run to wait")
    (folder.root / "release").touch()
    assert finish(first) == (DONE, "")
    assert finish(second) == (DONE, "")
    assert (first.returncode, second.returncode) == (0, 0)
    assert folder.runs() == dict.fromkeys(range(SHARDS), 1)


def test_the_lock_of_a_killed_run_holds_nobody_up(folder: Folder) -> None:
    first = folder.start()
    folder.until_slow()
    first.kill()
    first.wait(HANG_SECONDS)
    assert folder.holder() == first.pid
    (folder.root / "release").touch()
    second = folder.start(TEST_LOCK_WAIT_SECONDS="10")
    assert finish(second)[0] == DONE


def holds_open(pid: int, path: Path) -> bool:
    return any(file.path == str(path) for file in psutil.Process(pid).open_files())
