"""Shards mapped by real processes; workers are in tests/engine_workers.py."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from pipeline.engine import local, shards, work, worker
from pipeline.engine.environment import engine_from_environment
from pipeline.engine.fingerprint import PROJECT
from pipeline.engine.local import LocalEngine
from pipeline.engine.parts import Part
from pipeline.engine.ray_cluster import RayEngine, _check_reachable
from pipeline.engine.work import Work, is_finished, run_shards, work_folder
from pipeline.engine.worker import Engine, Job, MakeWorker
from pipeline.errors import RetryableError, RowError, UserError
from tests.engine_workers import Losing, Squares, Waiting, calls, failing, tasks, unloadable, until, until_gone
from tests.orders import Reordered

SHARDS = 6
ROWS = 5
ALONE = LocalEngine(workers=1)
TWO = LocalEngine(workers=2)
EACH_ONCE = {f"shard-{index}": 1 for index in range(SHARDS)}


def squares(folder: Path, log: Path, make_worker: MakeWorker | None = None, fingerprint: str = "f") -> Work:
    return Work("squares", folder, fingerprint, make_worker or partial(Squares, log), tasks(SHARDS, ROWS))


def shard_calls(log: Path) -> dict[str, int]:
    return {name: count for name, count in calls(log).items() if name.startswith("shard-")}


def pids(log: Path) -> set[int]:
    return {int(line) for path in log.glob("*") for line in path.read_text().split()}


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """For work in this process; spawned workers wait as in earnest."""
    monkeypatch.setattr(worker, "wait_random_exponential", lambda **_: lambda _state: 0.0)


def test_every_shard_runs_once_in_two_processes_that_load_once(tmp_path: Path, log: Path) -> None:
    markers = run_shards(TWO, squares(tmp_path / "work", log))
    assert [marker.shard for marker in markers] == [shards.shard_name(index) for index in range(SHARDS)]
    assert shard_calls(log) == EACH_ONCE
    loaders = [int(line) for line in (log / "loaded").read_text().split()]
    assert len(loaders) == len(set(loaders)) <= 2
    assert pids(log) == set(loaders)
    assert os.getpid() not in loaders
    assert until_gone(loaders)
    assert shards.total_counts(markers) == {"ok": 25, "multiple_of_seven": 5}
    rows = [row for marker in markers for row in shards.read_part(tmp_path / "work", marker).to_pylist()]
    assert rows == [{"id": str(n), "square": n * n} for n in range(SHARDS * ROWS) if n % 7]


def test_one_worker_works_in_this_process(tmp_path: Path, log: Path) -> None:
    run_shards(ALONE, squares(tmp_path / "work", log))
    assert shard_calls(log) == EACH_ONCE
    assert (log / "shard-0").read_text() == (log / "loaded").read_text() == f"{os.getpid()}\n"


def test_other_processes_start_only_where_that_saves_time(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_need = LocalEngine(workers=2, by_need=True)
    run_shards(by_need, squares(tmp_path / "quick", log))
    assert shard_calls(log) == EACH_ONCE
    assert pids(log) == {os.getpid()}
    monkeypatch.setattr(local, "START_SECONDS", -1.0)  # any work is worth a process
    run_shards(by_need, squares(tmp_path / "slow", tmp_path / "other"))
    assert shard_calls(tmp_path / "other") == EACH_ONCE
    assert (tmp_path / "other" / "shard-0").read_text() == f"{os.getpid()}\n"
    assert os.getpid() not in {int((tmp_path / "other" / f"shard-{index}").read_text()) for index in range(1, SHARDS)}
    assert content(tmp_path / "slow") == content(tmp_path / "quick")


class Opening:
    """Makes workers that keep a file open in what made them, as readers of archives do."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.file: Any = None

    def __call__(self) -> Squares:
        self.file = Path(__file__).open("rb")  # noqa: SIM115 - that is the point
        return Squares(self.log)


def test_what_a_worker_opened_in_this_process_does_not_keep_others_from_starting(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "START_SECONDS", -1.0)
    run_shards(LocalEngine(workers=2, by_need=True), squares(tmp_path / "work", log, Opening(log)))
    assert shard_calls(log) == EACH_ONCE
    assert len(pids(log)) > 1


def test_workers_and_order_change_no_byte(tmp_path: Path, log: Path) -> None:
    engines: list[Engine] = [
        ALONE,
        TWO,
        LocalEngine(2, by_need=True),
        Reordered(ALONE, "reverse"),
        Reordered(TWO, "shuffle"),
    ]
    found = []
    for number, engine in enumerate(engines):
        run_shards(engine, squares(tmp_path / str(number), log))
        found.append(content(tmp_path / str(number)))
    assert len(found[0]) == 3 * SHARDS
    assert all(other == found[0] for other in found[1:])


def test_work_is_finished_when_every_shard_is_whole(tmp_path: Path, log: Path) -> None:
    work = squares(tmp_path / "work", log)
    assert not is_finished(work)
    run_shards(ALONE, work)
    assert is_finished(work)
    assert not is_finished(replace(work, fingerprint="another"))
    part = tmp_path / "work" / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    assert not is_finished(work)


def test_tasks_are_handed_out_as_they_come(tmp_path: Path, log: Path) -> None:
    class Noting(Squares):
        def __call__(self, task: shards.Task) -> shards.Output:
            seen.append(task.index)
            return super().__call__(task)

    engines: dict[str, Engine] = {"forward": ALONE, "reverse": Reordered(ALONE, "reverse")}
    for order, engine in engines.items():
        seen: list[int] = []
        run_shards(engine, squares(tmp_path / order, log, lambda: Noting(log)))
        assert seen == sorted(range(SHARDS), reverse=order == "reverse")


@pytest.mark.parametrize("engine", [ALONE, TWO], ids=["one worker", "two workers"])
def test_a_second_run_does_only_what_is_missing_or_damaged(
    tmp_path: Path, log: Path, engine: LocalEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    job = squares(tmp_path / "work", log)
    first = run_shards(ALONE, job)
    whole = content(tmp_path / "work")
    (tmp_path / "work" / "part-00001.json").unlink()
    (tmp_path / "work" / "part-00003.parquet").write_bytes(b"torn")
    (tmp_path / "work" / "rejects" / "part-00004.parquet").unlink()
    capsys.readouterr()
    assert run_shards(engine, job) == first
    assert content(tmp_path / "work") == whole
    assert shard_calls(log) == {**EACH_ONCE, "shard-1": 2, "shard-3": 2, "shard-4": 2}
    assert "squares: 3 of 6 shards were finished by an earlier run" in capsys.readouterr().err


def test_a_finished_run_loads_no_model(tmp_path: Path, log: Path) -> None:
    job = squares(tmp_path / "work", log)
    first = run_shards(ALONE, job)
    before = calls(log)
    for engine in (ALONE, TWO):
        assert run_shards(engine, job) == first
    assert calls(log) == before
    assert run_shards(ALONE, Work("none", tmp_path / "none", "f", unloadable, [])) == []


def test_another_fingerprint_does_all_work_anew(tmp_path: Path, log: Path) -> None:
    run_shards(ALONE, squares(tmp_path / "work", log))
    run_shards(ALONE, squares(tmp_path / "work", log, fingerprint="other"))
    assert shard_calls(log) == dict.fromkeys(EACH_ONCE, 2)


@pytest.mark.parametrize("engine", [ALONE, TWO], ids=["one worker", "two workers"])
@pytest.mark.parametrize("kind", ["retryable", "stale"])
def test_a_retryable_error_is_tried_again(tmp_path: Path, log: Path, engine: LocalEngine, kind: str) -> None:
    run_shards(engine, squares(tmp_path / "work", log, partial(failing, log, kind, 2, 2)))
    run_shards(ALONE, squares(tmp_path / "undisturbed", log))
    assert calls(log)["failures"] == 3
    assert content(tmp_path / "work") == content(tmp_path / "undisturbed")


def test_a_retryable_error_that_stays_is_given_up_and_other_shards_are_kept(tmp_path: Path, log: Path) -> None:
    job = squares(tmp_path / "work", log, partial(failing, log, "retryable", 2))
    with pytest.raises(RetryableError, match="the line is busy"):
        run_shards(ALONE, job)
    assert calls(log)["failures"] == worker.ATTEMPTS == 4
    assert [shards.committed(job.folder, index, "f") is not None for index in range(4)] == [True, True, False, False]


@pytest.mark.parametrize("engine", [ALONE, TWO], ids=["one worker", "two workers"])
@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("user", UserError, "the corpus is not there"),
        ("row", RowError, "odd: a row that the stage did not catch"),
        ("defect", ZeroDivisionError, "a defect"),
        ("disk", OSError, "[Errno 5] Input/output error"),
    ],
)
def test_other_errors_stop_the_run_at_once_and_as_they_are(
    tmp_path: Path, log: Path, engine: LocalEngine, kind: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        run_shards(engine, squares(tmp_path / "work", log, partial(failing, log, kind, 0)))
    assert type(caught.value) is error
    assert str(caught.value) == message
    assert calls(log)["failures"] == 1
    if isinstance(caught.value, RowError):
        assert caught.value.status == "odd"


@pytest.mark.parametrize("engine", [ALONE, TWO], ids=["one worker", "two workers"])
def test_a_worker_that_cannot_be_made_is_a_user_error_without_a_traceback(
    tmp_path: Path, log: Path, engine: LocalEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"^the voice is not installed; install it$"):
        run_shards(engine, squares(tmp_path / "work", log, unloadable))
    assert capfd.readouterr() == ("", "")
    assert content(tmp_path / "work") == {}


def test_lost_rows_are_found_in_a_process_too(tmp_path: Path, log: Path) -> None:
    with pytest.raises(ValueError, match="5 rows in, but 4 rows and rejects out"):
        run_shards(TWO, squares(tmp_path / "work", log, partial(Losing, log)))


def test_a_worker_that_is_killed_once_costs_nothing_but_time(tmp_path: Path, log: Path) -> None:
    job = squares(tmp_path / "work", log, partial(failing, log, "killed", 3, 1))
    assert len(run_shards(TWO, job)) == SHARDS
    run_shards(ALONE, squares(tmp_path / "undisturbed", log / "other"))
    assert content(tmp_path / "work") == content(tmp_path / "undisturbed")


def test_workers_that_always_die_end_in_one_line_and_keep_what_is_done(tmp_path: Path, log: Path) -> None:
    job = squares(tmp_path / "work", log, partial(failing, log, "killed", 4))
    with pytest.raises(UserError) as caught:
        run_shards(TWO, job)
    done = [shards.committed(job.folder, index, "f") is not None for index in range(SHARDS)]
    assert not done[4]
    assert sum(done) >= 1
    assert calls(log)["failures"] == worker.STARTS == 3
    assert str(caught.value).startswith("workers died 3 times, ")
    assert "SIER_WORKERS" in str(caught.value)
    assert until_gone(pids(log))
    log.rename(tmp_path / "former")
    run_shards(TWO, squares(tmp_path / "work", log))
    assert shard_calls(log) == {f"shard-{index}": 1 for index in range(SHARDS) if not done[index]}


def test_leaving_early_ends_the_workers(tmp_path: Path, log: Path) -> None:
    found = TWO.run(Job(partial(Squares, log), tmp_path / "work", "f"), tasks(SHARDS, ROWS))
    next(found)
    found.close()  # type: ignore[attr-defined]
    loaders = [int(line) for line in (log / "loaded").read_text().split()]
    assert loaders
    assert until_gone(loaders)


def test_a_worker_that_a_signal_has_stopped_is_named_once_and_goes_on(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "STOPPED_SECONDS", 0.3)
    told: list[str] = []
    named: list[int] = []

    def has_told() -> bool:
        told.append(capfd.readouterr().err)
        return "".join(told) != ""

    def stop_and_wait() -> None:
        until((log / "began-1").exists, "the second shard")
        (pid,) = map(int, (log / "began-1").read_text().split())
        os.kill(pid, signal.SIGSTOP)
        (tmp_path / "release").touch()
        try:
            until(has_told, "a word about it")
            time.sleep(1)  # in which it might be said again
        finally:
            os.kill(pid, signal.SIGCONT)
        named.append(pid)

    helper = threading.Thread(target=stop_and_wait)
    helper.start()
    markers = run_shards(TWO, squares(tmp_path / "work", log, partial(Waiting, log, 0)))
    helper.join()
    assert len(markers) == SHARDS
    said = "".join(told) + capfd.readouterr().err
    (pid,) = named
    assert said == f"worker process {pid} has been stopped for 0 s and is waited for; let it go on: kill -CONT {pid}\n"


def test_finish_removes_the_folders_of_other_fingerprints_only(tmp_path: Path) -> None:
    mine = work_folder(tmp_path, "clean", "a" * 64)
    assert mine == tmp_path / "clean" / ("a" * 16)
    other, elsewhere = work_folder(tmp_path, "clean", "b" * 64), work_folder(tmp_path, "label", "c" * 64)
    for folder in (mine, other, elsewhere):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    work.finish(mine)
    assert mine.is_dir()
    assert elsewhere.is_dir()
    assert not other.exists()


class Threads(Squares):
    """Squares that note how many threads the libraries of this process may use."""

    def __call__(self, task: shards.Task) -> shards.Output:
        (self.log / f"threads-{task.index}").write_text(json.dumps([threads(), os.environ.get("OMP_NUM_THREADS")]))
        return super().__call__(task)


def threads() -> list[int]:
    np.ones((4, 4)) @ np.ones((4, 4))
    return [library["num_threads"] for library in threadpool_info()]


@pytest.mark.parametrize("engine", [ALONE, TWO], ids=["one worker", "two workers"])
@pytest.mark.parametrize("variable", [None, "3"])
def test_workers_have_one_thread_and_this_process_keeps_its_own(
    tmp_path: Path, log: Path, engine: LocalEngine, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    with threadpool_limits(limits=2):
        before = threads()
        run_shards(engine, squares(tmp_path / "work", log, partial(Threads, log)))
        assert threads() == before
    assert before
    assert set(before) == {2}
    assert os.environ.get("OMP_NUM_THREADS") == variable
    found = [json.loads((log / f"threads-{index}").read_text()) for index in range(SHARDS)]
    assert {number for numbers, _ in found for number in numbers} == {1}
    assert {seen for _, seen in found} == {variable if engine is ALONE else "1"}


def test_threads_are_given_back_after_an_error_too(tmp_path: Path, log: Path) -> None:
    with threadpool_limits(limits=2):
        before = threads()
        with pytest.raises(UserError):
            run_shards(ALONE, squares(tmp_path / "work", log, partial(failing, log, "user", 3)))
        assert threads() == before


CORES = joblib.cpu_count()
RAY = RayEngine(workers=CORES, actors=CORES)
FULL_RAY = {"SIER_RAY_ADDRESS": "head:6379", "SIER_RAY_GPUS": "0.25", "SIER_DEVICE": "cuda", "SIER_SHARD": "2/3"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, LocalEngine(CORES, by_need=True)),
        ({"SIER_DEVICE": "cuda"}, LocalEngine(CORES)),  # whose memory this process would hold
        ({"SIER_ENGINE": "local", "SIER_WORKERS": "3"}, LocalEngine(3)),
        ({"SIER_SHARD": "1/2", "SIER_WORKERS": "1"}, LocalEngine(1, part=Part(1, 2))),
        ({"SIER_RAY_ADDRESS": "", "SIER_SHARD": " "}, LocalEngine(CORES, by_need=True)),
        ({"SIER_ENGINE": "ray"}, RAY),
        ({"SIER_ENGINE": "ray", "SIER_WORKERS": "7"}, RayEngine(workers=7, actors=7)),
        (
            {"SIER_ENGINE": "ray", **FULL_RAY},
            RayEngine(workers=RAY.workers, actors=None, address="head:6379", gpus=0.25, part=Part(2, 3)),
        ),
        (
            {"SIER_ENGINE": "ray", "SIER_RAY_ADDRESS": "auto", "SIER_WORKERS": "9"},
            RayEngine(workers=9, actors=9, address="auto"),
        ),
    ],
)
def test_the_engine_is_as_the_environment_says(
    environment: pytest.MonkeyPatch, variables: dict[str, str], expected: Engine
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    assert engine_from_environment() == expected


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SIER_ENGINE": "spark"}, "SIER_ENGINE = spark: expected local or ray"),
        ({"SIER_WORKERS": "0"}, "SIER_WORKERS = 0: expected a number of processes, 1 or more"),
        ({"SIER_SHARD": "3/3"}, "SIER_SHARD = 3/3: expected i/n with 0 <= i < n, such as 0/8"),
        ({"SIER_ENGINE": "ray", "SIER_DEVICE": "cuda"}, "expected SIER_RAY_GPUS, such as 0.25"),
        *[
            ({"SIER_ENGINE": "ray", "SIER_RAY_GPUS": text}, f"SIER_RAY_GPUS = {text}: expected GPUs per actor")
            for text in ("-1", "1.5", "nan", "inf", "half", "1e9")
        ],
    ],
)
def test_a_variable_that_asks_for_the_impossible_is_refused_in_one_line(
    environment: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    with pytest.raises(UserError, match=re.escape(message)):
        engine_from_environment()


def test_processes_and_threads_are_as_many_as_the_cores_that_may_be_used(environment: pytest.MonkeyPatch) -> None:
    """As in a container, or in a job of Slurm, on a host with more of them."""
    script = (
        "import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])\n"
        "from pipeline.engine import environment\n"
        "print(environment.engine_from_environment().workers, environment.threads_from_environment())"
    )
    environment.setenv("PYTHONPATH", str(PROJECT))
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=True)
    assert done.stdout == "1 1\n"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith("SIER_"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    "address", ["nonsense", "ray://head:10001", ":6379", "head:port", "127.0.0.1:1", "127.0.0.1:99999"]
)
def test_a_cluster_that_is_not_there_is_told_at_once(address: str) -> None:
    with pytest.raises(UserError, match=rf"^SIER_RAY_ADDRESS = {address}: (expected host:port|no cluster answers)"):
        _check_reachable(address)


def test_a_missing_ray_is_named_with_its_extra(tmp_path: Path, log: Path) -> None:
    script = (
        "import sys; sys.modules['ray'] = None\n"
        "from pathlib import Path\n"
        "from pipeline.engine.ray_cluster import RayEngine\n"
        "from pipeline.engine.work import Work, run_shards\n"
        "from pipeline.errors import UserError\n"
        "from tests.engine_workers import tasks, unloadable\n"
        "try: run_shards(RayEngine(1), Work('w', Path('work'), 'f', unloadable, tasks(2)))\n"
        "except UserError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(PROJECT)}, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == "SIER_ENGINE = ray: ray is not installed; install it: pip install 'sier-pipeline[ray]'\n"
