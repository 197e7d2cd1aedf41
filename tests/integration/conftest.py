"""Whole builds, made once and shared by the tests of this folder, which look at them or work on copies.

One of them runs beside the tests, most of which keep a single core busy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.project import Project, new_project

CORPORA = ("b_t4sa", "iemocap", "fi")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test waits for a whole build, which takes minutes where others use the machine too."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def background() -> Iterator[Executor]:
    """Runs one build after the other."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def tiny_build(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project after `dvc repro`: about a minute on two cores. Never change it, copy it."""
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    for name in ("elsewhere_build", "real_build"):
        if name in wanted and (name != "real_build" or "SIER_REAL_CORPORA" in os.environ):
            request.getfixturevalue(name)
    return repro(new_project(tmp_path_factory.mktemp("tiny") / "project"))


@pytest.fixture
def tiny_copy(tiny_build: Project, tmp_path: Path) -> Project:
    """A built project that a test may change."""
    return tiny_build.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def elsewhere_build(background: Executor, tmp_path_factory: pytest.TempPathFactory) -> Future[Project]:
    """The tiny project in another folder, time zone and order of shards, and with another number of workers."""
    project = new_project(
        tmp_path_factory.mktemp("another place") / "sier",
        SIER_WORKERS="1", SIER_SHARD_ORDER="shuffle", TZ="Pacific/Kiritimati", PYTHONHASHSEED="20170421",
    )  # fmt: skip
    return background.submit(repro, project)


@pytest.fixture(scope="session")
def real_corpora() -> Path:
    return Path(os.environ["SIER_REAL_CORPORA"]).resolve()


@pytest.fixture(scope="session")
def real_build(background: Executor, real_corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Future[Project]:
    """The project as it is, but for its corpora, which are real, and with two of its networks, to save time."""
    paths = {f"acquire.{corpus}.path": str(real_corpora / corpus) for corpus in CORPORA}
    project = new_project(tmp_path_factory.mktemp("real") / "project", paths)
    models = project.params()["models"]
    project.set_params({"models": {name: models[name] for name in ("parallelnet", "parallelnet_sentiment")}})
    return background.submit(repro, project)


def repro(project: Project) -> Project:
    project.dvc("repro")
    return project
