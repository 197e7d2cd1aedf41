"""What lies where outputs belong, in a project folder without data: `sier check` and stages say it before any work."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from pydantic.dataclasses import dataclass

from pipeline.commands.command import run_command
from pipeline.engine.fingerprint import PROJECT
from pipeline.frame import places
from pipeline.frame.params import STRICT
from pipeline.frame.stage import Context, Report, stage_main


@dataclass(frozen=True, config=STRICT)
class NoParams:
    pass


def never(_params: NoParams, _context: Context) -> Report:
    raise AssertionError("work was done")


def nothing(_params: NoParams, _context: Context) -> Report:
    return Report(0, 0)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a project's own files, without its code, in a git repository."""
    for name in list(os.environ):
        if name.startswith(("SIER_", "DVC_", "GIT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    shutil.copy(PROJECT / ".dvc" / "config", root / ".dvc" / "config")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(PROJECT / name, root)
    (root / "data").mkdir()
    (root / "reports").mkdir()
    monkeypatch.chdir(root)
    subprocess.run(["git", "init", "--quiet"], check=True)
    return root


@pytest.fixture(autouse=True)
def _nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run will load has tests of its own, and takes seconds each time."""
    monkeypatch.setattr("pipeline.planning.ready.expect_ready", lambda _sections, _root: None)


def checked(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of `sier check` without its prefix; empty where all is well."""
    code = run_command("check", [])
    found = capsys.readouterr()
    assert not found.out
    assert (code, found.err.count("\n")) in {(0, 0), (1, 1)}
    return found.err.removeprefix("check: error: ")


def expect_refused(capsys: pytest.CaptureFixture[str], *words: str) -> None:
    """By `sier check` and by a stage, with the same line, before the stage works."""
    line = checked(capsys)
    for word in words:
        assert word in line
    sections = Path("params.yaml").read_text(encoding="utf-8")
    Path("params.yaml").write_text(sections + "tiny: {}\n", encoding="utf-8")
    assert stage_main("tiny", NoParams, never, []) == 1
    assert capsys.readouterr().err == f"tiny: error: {line}"
    Path("params.yaml").write_text(sections, encoding="utf-8")


def no_git(root: Path) -> None:
    """As `dvc config --local core.no_scm true` writes it."""
    (root / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n")


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        path.rmdir()
    path.symlink_to(target)


FOLDERS = [
    "data/clean", "data/sier", "data/corpora/b_t4sa", "data/scores/image", "data/checkpoints/parallelnet",
    "data/checkpoints/one.two", "reports/curves/parallelnet",
]  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("to", ["folder", "nothing", "itself"])
def test_a_link_in_the_place_of_an_output_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], name: str, to: str
) -> None:
    (project.parent / "disk").mkdir()
    place = project / name
    link(place, {"folder": project.parent / "disk", "nothing": Path("nowhere"), "itself": place}[to])
    expect_refused(capsys, f"{name}: a link", "remove the link")
    assert place.is_symlink()
    place.unlink()
    place.mkdir()
    assert checked(capsys) == ""


@pytest.mark.parametrize("name", ["data", "data/clean", "data/checkpoints", "reports", "reports/plots", ".work"])
@pytest.mark.parametrize("kind", ["file", "nothing", "itself", "link to a file"])
def test_what_is_no_folder_is_refused_where_one_belongs(
    project: Path, capsys: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    place = project / name
    if kind == "file":
        if place.is_dir():
            place.rmdir()
        place.write_text("notes")
        expect_refused(capsys, f"{name}: expected a folder, found a file; move it away")
        assert place.read_text() == "notes"
    else:
        link(place, {"nothing": Path("nowhere"), "itself": place}.get(kind, project / "params.yaml"))
        expect_refused(capsys, f"{name}: ", " link")


@pytest.mark.parametrize("name", ["reports/clean.json", "reports/train_teacher_image.json", "reports/index.html"])
def test_a_folder_is_refused_where_a_file_belongs(project: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (project / name).mkdir()
    expect_refused(capsys, f"{name}: expected a file, found a folder; move it away")


@pytest.mark.parametrize("name", ["data", "data/checkpoints", "data/scores", "reports"])
def test_outputs_behind_a_link_need_dvc_without_git(
    project: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    disk = project.parent / "disk"
    disk.mkdir()
    link(project / name, disk)
    expect_refused(capsys, f"{name}: a link", "mount", "dvc config --local core.no_scm true")
    no_git(project)
    assert checked(capsys) == ""


def test_links_that_disturb_nobody_are_left_in_peace(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unfinished work and corpora on another disk, files that DVC has linked to its cache, notes of one's own."""
    for name in (".work", "data/corpora"):
        target = project.parent / name.replace("/", "-")
        target.mkdir()
        link(project / name, target)
    (project / "data" / "corpora" / "fi").mkdir()
    (project / "data" / "corpora" / "fi" / "files").symlink_to(project.parent)
    cached = project.parent / "cached"
    cached.touch()
    link(project / "data" / "clean" / "part-00000.parquet", cached)
    link(project / "reports" / "index.html", cached)
    (project / "data" / "README.md").touch()
    (project / "data" / "notes").touch()
    (project / "data" / "corpora" / ".DS_Store").touch()
    (project / "data" / "mine").symlink_to("nowhere")
    assert checked(capsys) == ""


def test_without_git_one_line_says_what_to_do_and_what_it_says_helps(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(project / ".git")
    line = checked(capsys)
    assert "git init, or, without git: dvc config --local core.no_scm true" in line
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert checked(capsys) == ""
    shutil.rmtree(project / ".git")
    (project / ".git").mkdir()  # left of a download that was cut off
    assert checked(capsys) == line
    (project / ".git").rmdir()
    no_git(project)
    assert checked(capsys) == ""


def test_a_project_inside_another_git_repository_is_in_one(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / ".git").rename(project.parent / ".git")
    assert checked(capsys) == ""


def without_dvc(root: Path) -> None:
    shutil.rmtree(root / ".dvc")


def torn_config(root: Path) -> None:
    (root / ".dvc" / "config").write_text("[core\n")


def wrong_config(root: Path) -> None:
    (root / ".dvc" / "config.local").write_text("[core]\n    no_scm = perhaps\n")


@pytest.mark.parametrize("damage", [without_dvc, torn_config, wrong_config])
def test_what_dvc_itself_refuses_is_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    damage(project)
    assert "DVC cannot work here: " in checked(capsys)


def test_a_graph_that_is_no_yaml_is_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "dvc.yaml").write_text("stages: [\n")
    expect_refused(capsys, "dvc.yaml line 2: not valid YAML")


def test_a_stage_in_a_folder_without_a_graph_asks_dvc_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump({"base": {"seed": 1, "labels": ["a", "b"]}, "tiny": {}}))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").symlink_to("elsewhere")
    assert stage_main("tiny", NoParams, nothing, []) == 0


@pytest.mark.parametrize("copy", ["exps/standalone/tmpx", "exps/tmpx"])  # by --temp, by --queue
def test_a_copy_that_dvc_makes_for_an_experiment_belongs_to_its_project(tmp_path: Path, copy: str) -> None:
    root = tmp_path / ".dvc" / "tmp" / copy
    root.mkdir(parents=True)
    assert places.project_of(root) == tmp_path.resolve()
    assert places.project_of(tmp_path) == tmp_path
    assert places.project_of(tmp_path / ".dvc" / "tmp" / "other") == tmp_path / ".dvc" / "tmp" / "other"
