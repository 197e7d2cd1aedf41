"""Whole builds, made once and shared by the tests of this folder, which look at them or work on copies."""

from __future__ import annotations

import io
import json
import os
import runpy
import subprocess
import sys
import tarfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.project import TINY, Project, new_project

BUILT = ("data", "reports", ".work")
Run = Callable[..., "subprocess.CompletedProcess[str]"]

CORPORA = ("b_t4sa", "iemocap", "fi")
# The first builds the tiny project. Until it is there, the other test processes have those that do without it.
LONGEST_FIRST = ("test_bad_input.py", "test_real_corpora.py", "test_engine_ray.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that several test processes end together."""
    ours = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    ours.sort(key=lambda item: LONGEST_FIRST.index(item.path.name) if item.path.name in LONGEST_FIRST else len(items))
    items[:] = [*ours, *(item for item in items if item not in set(ours))]


@pytest.fixture(scope="session")
def tiny_build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project after `dvc repro`: about a minute on two cores. Never change it, copy it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each process has a folder in that of the session
        shared = shared.parent
    project = Project(shared / "tiny" / "project")
    finished = shared / "tiny" / "finished"
    with FileLock(shared / "tiny.lock"):
        if not finished.exists():
            new_project(project.root).dvc("repro")
            finished.write_text(json.dumps(project.digests(*BUILT)), encoding="utf-8")
    yield project
    assert project.digests(*BUILT) == json.loads(finished.read_text(encoding="utf-8")), "a test has changed it"


@pytest.fixture
def tiny_copy(tiny_build: Project, tmp_path: Path) -> Project:
    """A built project that a test may change."""
    return tiny_build.copy(tmp_path / "project")


@pytest.fixture
def tiny_links(tiny_build: Project, tmp_path: Path) -> Project:
    """A built project in which a test may make, remove and replace files; see `Project.link`."""
    return tiny_build.link(tmp_path / "project")


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`Project.stage` in this process, which has its libraries loaded."""

    def run(project: Project, stage: str, **environment: str) -> subprocess.CompletedProcess[str]:
        module, _, item = stage.partition("@")
        command = [f"pipeline.{module}", *([item] if item else [])]
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # runpy's, of a module that other tests have imported
            patch.chdir(project.root)
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", command)
            with pytest.raises(SystemExit) as stop:
                runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        out, err = capfd.readouterr()
        assert isinstance(stop.value.code, int)
        return subprocess.CompletedProcess(command, stop.value.code, out, err)

    return run


@pytest.fixture(scope="session")
def elsewhere_build(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny project in another folder, time zone and order of shards, and with another number of workers."""
    project = new_project(
        tmp_path_factory.mktemp("another place") / "sier",
        SIER_WORKERS="1", SIER_SHARD_ORDER="shuffle", TZ="Pacific/Kiritimati", PYTHONHASHSEED="20170421",
    )  # fmt: skip
    project.build()
    return project


@pytest.fixture(scope="session")
def real_corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real corpora, with every fifth tweet: speaking and hearing all of them takes minutes."""
    source, target = Path(os.environ["SIER_REAL_CORPORA"]).resolve(), tmp_path_factory.mktemp("corpora")
    for corpus in ("iemocap", "fi"):
        (target / corpus).symlink_to(source / corpus)
    (target / "b_t4sa").mkdir()
    for name in ("raw_tweets_text.csv", "t4sa_text_sentiment.tsv"):
        (target / "b_t4sa" / name).symlink_to(source / "b_t4sa" / name)
    with (
        tarfile.open(source / "b_t4sa" / "b-t4sa_imgs.tar") as whole,
        tarfile.open(target / "b_t4sa" / "b-t4sa_imgs.tar", "w") as fifth,
    ):
        listed: list[str] = []
        for member in sorted(whole.getmembers(), key=lambda member: member.name.endswith(".jpg")):
            content = whole.extractfile(member)
            assert content is not None
            data = content.read()
            if member.name.endswith(".txt"):
                lines = data.decode().splitlines(keepends=True)[::5]
                listed += [line.split()[0] for line in lines]
                data = "".join(lines).encode()
                member.size = len(data)
            if member.name.endswith((".txt", *listed)):
                fifth.addfile(member, io.BytesIO(data))
    return target


@pytest.fixture(scope="session")
def real_build(real_corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project up to measured networks, made of real corpora; little hearing and tiny networks, for time."""
    paths = {f"acquire.{corpus}.path": str(real_corpora / corpus) for corpus in CORPORA}
    small = {name: value for name, value in TINY.items() if name == "models" or name.startswith(("train.", "explain."))}
    # The clips say two sentences only: of them only sound can be learnt.
    sound = {"train_teacher.speech.features": "acoustic", "train_teacher.speech.normalise": "voice"}
    less = {**small, **sound, "train.batch_size": 16, "synthesize.recognition.share": 0.1}
    project = new_project(tmp_path_factory.mktemp("real") / "project", {**paths, **less}, SIER_WORKERS="1")
    project.build("evaluate")
    return project
