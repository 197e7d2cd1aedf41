"""Ctrl-C twice, and several runs at once."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engine_workers import calls, until, until_gone
from tests.faults.scene import SHARDS, Scene, session, told
from tests.faults.test_kills import PAUSE_SECONDS, REPRO, dvc_scene, finish_under_dvc
from tests.patience import finish

Record = Callable[[str, str, str], None]

STOPPED = ["numbers: error: stopped; finished shards are kept, run the same command to go on"]


def stop_twice(scene: Scene, workers: str, after: float, between: float) -> None:
    before = scene.markers()
    with scene.running(SIER_WORKERS=workers) as process:
        until(lambda: scene.markers() > before, "a shard")
        time.sleep(after)
        members = session(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(between)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        out, err = finish(process)
        assert (process.returncode, out, told(err)) == (130, "", STOPPED)
        assert until_gone(member.pid for member in members)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_twice_is_told_once(
    tmp_path: Path, undisturbed: Mapping[str, str], record: Record, workers: str
) -> None:
    scene = Scene(tmp_path, 0.1)
    stop_twice(scene, workers, 0.0, 0.02)
    record("Ctrl-C twice", f"{workers} workers", "one line")
    scene.complete(undisturbed, SIER_WORKERS=workers)


@pytest.mark.faults
def test_ctrl_c_twice_at_random_moments(tmp_path: Path, undisturbed: Mapping[str, str], record: Record) -> None:
    chosen = random.Random(6)
    for number in range(12):
        scene = Scene(tmp_path / str(number), 0.3)
        workers = "12"[number % 2]
        stop_twice(scene, workers, chosen.uniform(0.0, 0.5), 10 ** chosen.uniform(-4, -1))
        record("Ctrl-C twice", f"{workers} workers", "one line")
        scene.complete(undisturbed, SIER_WORKERS=workers)


def test_runs_at_once_do_each_shard_once(tmp_path: Path, undisturbed: Mapping[str, str], record: Record) -> None:
    scene = Scene(tmp_path, 0.02)
    with ExitStack() as stack:
        processes = [stack.enter_context(scene.running()) for _ in range(3)]
        ends = [finish(process) for process in processes]
        assert [(process.returncode, err) for process, (_, err) in zip(processes, ends, strict=True)] == [(0, "")] * 3
    assert scene.outputs() == undisturbed
    assert calls(scene.root / "log") == {
        f"{name}-{index}": 1 for name in ("count", "double") for index in range(SHARDS)
    }
    scene.complete(undisturbed)
    record("three runs at once", "stage", "each shard done once")


@pytest.mark.faults
def test_repros_at_once_do_each_shard_once(tmp_path: Path, undisturbed_both: Mapping[str, str], record: Record) -> None:
    """DVC itself keeps the second one out."""
    scene = dvc_scene(tmp_path / "scene", PAUSE_SECONDS)
    with ExitStack() as stack:
        processes = [stack.enter_context(scene.running(*REPRO)) for _ in range(2)]
        for process in processes:
            finish(process)
    finish_under_dvc(scene, undisturbed_both, None)
    assert calls(scene.root / "log")["count-0"] == 1
    record("two runs at once", "dvc repro", "each shard done once")
