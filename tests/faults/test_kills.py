"""SIGKILL of a worker, of the stage and of `dvc repro`, at random moments."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest
import yaml

from tests.engine_workers import until, until_gone
from tests.faults.scene import Scene, session
from tests.patience import finish

Record = Callable[[str, str, str], None]

PAUSE_SECONDS = 0.08  # of each shard, so that most of a run's time is spent on shards
ROUNDS = 17  # of each victim in the long form


def progress(scene: Scene) -> str:
    """How far the work was when it was killed."""
    if any(scene.root.glob("data/*/manifest.jsonl")):
        return "after it had published"
    if scene.committed():
        return "with some shards committed"
    return "before the first shard" if not any(scene.root.glob(".work/*/*/*/*")) else "in the first shard"


def kill_the_stage(scene: Scene, seconds: float) -> str:
    with scene.running(SIER_WORKERS="2") as process:
        until((scene.root / ".work" / "numbers.lock").exists, "the stage")
        time.sleep(seconds)
        members = session(process.pid)
        finished = process.poll() is not None
        process.kill()
        process.wait()
        assert until_gone(member.pid for member in members)
        return "finished before" if finished else progress(scene)


def kill_a_worker(scene: Scene, chosen: random.Random, seconds: float) -> str:
    """The run that loses a worker completes by itself."""
    with scene.running(SIER_WORKERS="2") as process:
        until(lambda: bool(workers(process.pid)) or process.poll() is not None, "a worker")
        time.sleep(seconds)
        found = workers(process.pid)
        if found:
            chosen.choice(found).kill()
        when = progress(scene)
        _, err = finish(process)
        assert (process.returncode, err) == (0, "")
        return when if found else "no worker was running"


def workers(leader: int) -> list[psutil.Process]:
    found = []
    for process in session(leader):
        try:
            if any("spawn_main" in word for word in process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            pass
    return found


def rounds_of(tmp_path: Path, number: int) -> list[Scene]:
    return [Scene(tmp_path / f"{index}", PAUSE_SECONDS) for index in range(number)]


def test_a_stage_killed_at_some_moment_goes_on(tmp_path: Path, undisturbed: Mapping[str, str]) -> None:
    chosen = random.Random(1)
    (scene,) = rounds_of(tmp_path, 1)
    kill_the_stage(scene, chosen.uniform(0.2, 1.5))
    scene.complete(undisturbed, SIER_WORKERS="2")


def test_a_stage_that_loses_a_worker_completes(tmp_path: Path, undisturbed: Mapping[str, str]) -> None:
    (scene,) = rounds_of(tmp_path, 1)
    kill_a_worker(scene, random.Random(2), 0.9)
    assert scene.outputs() == undisturbed
    assert scene.left_behind() == []


@pytest.mark.faults
def test_stages_killed_at_random_moments(tmp_path: Path, undisturbed: Mapping[str, str], record: Record) -> None:
    chosen = random.Random(3)
    for scene in rounds_of(tmp_path, ROUNDS):
        record("SIGKILL at a random moment", "stage", kill_the_stage(scene, chosen.uniform(0.0, 3.5)))
        scene.complete(undisturbed, SIER_WORKERS=chosen.choice("12"))


@pytest.mark.faults
def test_workers_killed_at_random_moments(tmp_path: Path, undisturbed: Mapping[str, str], record: Record) -> None:
    chosen = random.Random(4)
    for scene in rounds_of(tmp_path, ROUNDS):
        record("SIGKILL at a random moment", "worker", kill_a_worker(scene, chosen, chosen.uniform(0.0, 3.5)))
        assert scene.outputs() == undisturbed
        scene.complete(undisturbed)


def dvc_scene(root: Path, pause_seconds: float = PAUSE_SECONDS) -> Scene:
    """`numbers` and then `doubles` under DVC."""
    scene = Scene(root, pause_seconds)
    stages = {
        name: {
            "cmd": f"python -m tests.faults.stages {name}",
            "deps": deps,
            "params": [name],
            "outs": [f"data/{name}", {f"reports/{name}.json": {"cache": False}}],
        }
        for name, deps in (("numbers", []), ("doubles", ["data/numbers"]))
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    done = scene.run("python", "-m", "dvc", "init", "--no-scm", "--quiet")
    assert done.returncode == 0, done.stderr
    done = scene.run("python", "-m", "dvc", "config", "cache.type", "reflink,hardlink,copy")
    assert done.returncode == 0, done.stderr
    return scene


REPRO = ("python", "-m", "dvc", "repro")


def kill_dvc(scene: Scene, seconds: float) -> str:
    with scene.running(*REPRO) as process:
        time.sleep(seconds)
        finished = process.poll() is not None
        members = session(process.pid)
        process.kill()
        process.wait()
        assert until_gone(member.pid for member in members)
        return "finished before" if finished else progress(scene)


def finish_under_dvc(scene: Scene, expected: Mapping[str, str], lock: bytes | None) -> bytes:
    """The next `dvc repro` completes, and the one after that has nothing to do."""
    scene.complete(expected, *REPRO)
    again = scene.run(*REPRO)
    assert again.returncode == 0
    assert "Data and pipelines are up to date." in again.stdout
    found = (scene.root / "dvc.lock").read_bytes()
    assert lock is None or found == lock
    return found


def test_a_repro_killed_at_some_moment_goes_on(tmp_path: Path, undisturbed_both: Mapping[str, str]) -> None:
    scene = dvc_scene(tmp_path / "scene")
    with scene.running(*REPRO) as process:
        until(lambda: scene.markers() >= 4, "shards")
        members = session(process.pid)
        process.kill()
        process.wait()
        assert len(members) > 1
        assert until_gone(member.pid for member in members)
    scene.complete(undisturbed_both, *REPRO)


@pytest.mark.faults
def test_repros_killed_at_random_moments(tmp_path: Path, undisturbed_both: Mapping[str, str], record: Record) -> None:
    chosen = random.Random(5)
    peaceful = dvc_scene(tmp_path / "peaceful")
    began = time.monotonic()
    lock = finish_under_dvc(peaceful, undisturbed_both, None)
    seconds = (time.monotonic() - began) * 0.7  # the second repro has nothing to do
    for number in range(ROUNDS):
        scene = dvc_scene(tmp_path / str(number))
        record("SIGKILL at a random moment", "dvc repro", kill_dvc(scene, chosen.uniform(0.0, seconds)))
        finish_under_dvc(scene, undisturbed_both, lock)
