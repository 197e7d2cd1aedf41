"""Crashes of `clean` and of `dvc repro clean` in the real project: three passes, tables beside the shards, plots."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import failpoints
from tests.engine_workers import until, until_gone
from tests.patience import family
from tests.project import Project, new_project

Record = Callable[[str, str, str], None]

pytestmark = pytest.mark.faults

OUTPUTS = ("data", "reports")
REPRO = ("python", "-m", "dvc", "repro", "clean")
ROUNDS = 4


@pytest.fixture(scope="module")
def acquired(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny project before `clean`."""
    project = new_project(tmp_path_factory.mktemp("acquired") / "project")
    project.dvc("repro", "acquire@b_t4sa")
    return project


@pytest.fixture(scope="module")
def cleaned(acquired: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same after it."""
    project = acquired.copy(tmp_path_factory.mktemp("cleaned") / "project")
    project.dvc("repro", "clean")
    return project


def left_behind(project: Project) -> list[str]:
    folders = [project.root / name for name in (".work", "data", "reports")]
    found = [path for folder in folders for path in folder.rglob(".*")]
    return [str(path) for path in found if path.suffix in {".tmp", ".new", ".old"}]


@pytest.mark.parametrize("point", list(failpoints.POINTS))
def test_clean_killed_at_a_point(
    acquired: Project, cleaned: Project, tmp_path: Path, record: Record, point: str
) -> None:
    project = acquired.copy(tmp_path / "project")
    chosen = random.Random(point)
    most = 1 if point in {"manifest", "replace", "retire", "finish"} else 3
    at = (1, chosen.randint(1, most))
    for number in at:
        done = project.stage("clean", SIER_FAILPOINT=f"{point}:{number}", SIER_WORKERS="1")
        assert done.returncode == -9, done.stderr
        record("SIGKILL at a failpoint of clean", point, "of a first run" if number == 1 else "of a second run")
    assert project.stage("clean").returncode == 0
    assert project.digests(*OUTPUTS) == cleaned.digests(*OUTPUTS)
    assert left_behind(project) == []


def markers(project: Project) -> int:
    return len(list(project.root.glob(".work/clean/*/*/part-*.json")))


def kill_dvc(project: Project, shards: int, seconds: float) -> None:
    """Some time after `clean` has begun and committed so many shards, of both passes."""
    with project.running(*REPRO) as process:
        until(lambda: any(project.root.glob(".work/clean/*")) or process.poll() is not None, "clean")
        until(lambda: markers(project) >= shards or process.poll() is not None, "shards")
        time.sleep(seconds)
        orphans = family(process)
        process.kill()
        process.wait()
        assert until_gone(orphan.pid for orphan in orphans)


def test_a_repro_of_clean_killed_at_random_moments(
    acquired: Project, cleaned: Project, tmp_path: Path, record: Record
) -> None:
    chosen = random.Random(7)
    for number in range(ROUNDS):
        project = acquired.copy(tmp_path / str(number))
        kill_dvc(project, number * 2, chosen.uniform(0.0, 0.5))
        record("SIGKILL at a random moment", "dvc repro clean", f"with {markers(project)} markers")
        project.dvc("repro", "clean")
        assert project.digests(*OUTPUTS) == cleaned.digests(*OUTPUTS)
        assert project.lock() == cleaned.lock()
        assert left_behind(project) == []
