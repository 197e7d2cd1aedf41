"""What commands write where a user says: inputs and other people's files are left alone, folders are not made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.commands.command import run_command
from pipeline.commands.explain import is_marked, marked
from pipeline.commands.output_files import target
from pipeline.errors import UserError
from pipeline.publishing import rebuilding
from tests.builders_sier import write_clean

EARLIER = b"an earlier one"


def is_earlier(data: bytes) -> bool:
    return data == EARLIER


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "given.jpg"
    path.write_bytes(b"precious")
    return path


def linked(link: Callable[[Path, Path], None]) -> Callable[[Path], Path]:
    def make(given: Path) -> Path:
        path = given.with_name("another.png")
        link(given, path)
        return path

    return make


def through_a_folder(given: Path) -> Path:
    given.with_name("link").symlink_to(given.parent)
    return given.with_name("link") / given.name


@pytest.mark.parametrize(
    "name",
    [
        lambda given: given, lambda given: Path(os.path.relpath(given)), through_a_folder, linked(os.symlink),
        linked(os.link), lambda given: given.parent / "." / ".." / given.parent.name / given.name,
    ],
)  # fmt: skip
@pytest.mark.parametrize("force", [False, True])
def test_an_input_is_never_written_over_whatever_it_is_called(
    given: Path, name: Callable[[Path], Path], force: bool
) -> None:
    with pytest.raises(UserError, match="which this command reads"):
        target(name(given), [given], lambda _: True, force=force)


def test_nothing_is_put_into_a_folder_that_is_read(tmp_path: Path) -> None:
    model = tmp_path / "model"
    (model / "inner").mkdir(parents=True)
    for path in (model / "a.png", model / "inner" / "a.png", model):
        with pytest.raises(UserError, match="which this command reads"):
            target(path, [model], is_earlier, force=True)
    assert target(tmp_path / "a.png", [model], is_earlier, force=False) == tmp_path / "a.png"


def test_a_file_is_replaced_if_it_is_an_earlier_one_or_by_force(tmp_path: Path) -> None:
    path = tmp_path / "out"
    assert target(path, [], is_earlier, force=False) == path
    path.write_bytes(EARLIER)
    assert target(path, [], is_earlier, force=False) == path
    path.write_bytes(EARLIER + b", with notes")
    with pytest.raises(UserError, match="--force"):
        target(path, [], is_earlier, force=False)
    assert target(path, [], is_earlier, force=True) == path


def test_a_link_stays_and_what_is_behind_it_is_looked_at(tmp_path: Path) -> None:
    behind, link = tmp_path / "behind", tmp_path / "link"
    link.symlink_to(behind)
    behind.write_bytes(b"precious")
    with pytest.raises(UserError, match="--force"):
        target(link, [], is_earlier, force=False)
    behind.write_bytes(EARLIER)
    assert target(link, [], is_earlier, force=False) == behind


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, force: bool) -> None:
    fifo, loop, dangling = tmp_path / "fifo", tmp_path / "loop", tmp_path / "dangling"
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    dangling.symlink_to(tmp_path / "nowhere")
    for path in (tmp_path, fifo, loop, dangling, Path("/dev/null")):
        with pytest.raises(UserError, match="is there and no file"):
            target(path, [], is_earlier, force=force)


def test_no_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        target(tmp_path / "mistyped" / "a.png", [], is_earlier, force=True)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="there is no folder"):
        target(tmp_path / "file" / "a.png", [], is_earlier, force=True)
    assert not (tmp_path / "mistyped").exists()


def test_a_picture_is_known_until_a_byte_of_it_changes() -> None:
    picture = marked(b"\x89PNG\r\n\x1a\n" + bytes(range(200)))
    assert is_marked(picture)
    for place in range(len(picture)):
        assert not is_marked(picture[:place] + bytes([picture[place] ^ 1]) + picture[place + 1 :])
    assert not any(map(is_marked, (b"", picture[:-1], picture + b"x", b"\x89PNG\r\n\x1a\n" + bytes(300))))


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as publish --mode no_media makes it, of one of the rows that data/clean and data/speech have."""
    monkeypatch.chdir(tmp_path)
    table = pa.table({"id": [write_clean(tmp_path)[0]["id"]], "image_sha256": [""], "audio_sha256": [""]})
    for level, splits in rebuilding.LEVELS.items():
        for split in splits:
            path = tmp_path / "published" / level / f"{split}-0.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path)
    return tmp_path / "published"


def failing(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_command("rebuild", ["--source", "published", *arguments]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    return said.err


def snapshot(folder: Path) -> dict[Path, Any]:
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def test_a_rebuild_needs_a_new_folder_apart_from_what_it_reads(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = published.parent
    for name in ("mine", ".kept.new", ".kept.old"):
        (root / name).mkdir()
        (root / name / "precious").write_bytes(b"precious")
    (root / "dangling").symlink_to("nowhere")
    (root / "link").symlink_to("published")
    before = snapshot(root)
    assert "mine: exists" in failing(capsys, "--out", "mine")
    assert ".kept.new: exists" in failing(capsys, "--out", "kept")
    assert "exists" in failing(capsys, "--out", ".")
    assert "there is no folder" in failing(capsys, "--out", "mistyped/new")
    for out in ("published/new", "data/new", "link/new", "data/clean", "published"):
        assert "which this command reads" in failing(capsys, "--out", out)
    assert snapshot(root) == before
    assert run_command("rebuild", ["--source", "published", "--out", "new"]) == 0
    assert capsys.readouterr().out == "rebuild: new: rebuilt 5, speech_differs 5\n"
    assert snapshot(root).items() > before.items()


def test_a_folder_that_appears_during_a_rebuild_stays(
    published: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_plot(*_: object) -> None:
        (published.parent / "new").mkdir()
        (published.parent / "new" / "precious").write_bytes(b"precious")

    monkeypatch.setattr(rebuilding, "write_plot", write_plot)
    assert "new: exists" in failing(capsys, "--out", "new")
    assert [path.name for path in (published.parent / "new").iterdir()] == ["precious"]
    assert not (published.parent / ".new.new").exists()
