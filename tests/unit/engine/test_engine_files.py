from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine import files


class Crash(BaseException):
    """Like a signal: not an Exception."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_under_a_folder_that_is_made(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "file.txt"
    seen = []

    def write(temporary: Path) -> None:
        temporary.write_text("half")
        seen.append((temporary.parent, target.exists()))
        temporary.write_text("whole")

    files.write_atomically(target, write)
    assert target.read_text() == "whole"
    assert seen == [(target.parent, False)]
    assert names(target.parent) == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Crash])
@pytest.mark.parametrize("former", [None, "former"])
def test_a_crash_between_write_and_rename_leaves_what_was_there(
    tmp_path: Path, error: type[BaseException], former: str | None
) -> None:
    target = tmp_path / "file.txt"
    if former is not None:
        target.write_text(former)

    def write(temporary: Path) -> None:
        temporary.write_text("new, but the process is stopped")
        raise error

    with pytest.raises(error):
        files.write_atomically(target, write)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == (
        {} if former is None else {"file.txt": former}
    )


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.symlink_to("/dev/full")

    def write(temporary: Path) -> None:
        temporary.write_text("part")
        full.write_text("more")

    with pytest.raises(OSError, match="No space left"):
        files.write_atomically(tmp_path / "file.txt", write)
    assert names(tmp_path) == ["full"]


def test_an_open_reader_keeps_the_former_content(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    files.write_bytes(target, b"former")
    linked = tmp_path / "linked.txt"
    linked.hardlink_to(target)
    with target.open("rb") as reader:
        files.write_bytes(target, b"new")
        assert reader.read() == b"former"
    assert target.read_bytes() == b"new"
    assert linked.read_bytes() == b"former"  # as a shard in `.work` must, when its twin in `data` is rewritten


@given(st.binary(max_size=200))
def test_the_sum_is_that_of_the_content(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("sum") / "file"
    files.write_bytes(path, data)
    assert files.sha256_of(path) == hashlib.sha256(data).hexdigest()


def test_a_link_shares_the_file_and_a_copy_is_made_where_links_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"data")
    files.link_or_copy(source, tmp_path / "deep" / "linked")
    assert (tmp_path / "deep" / "linked").stat().st_ino == source.stat().st_ino

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    files.link_or_copy(source, tmp_path / "copied")
    assert (tmp_path / "copied").read_bytes() == b"data"
    assert (tmp_path / "copied").stat().st_ino != source.stat().st_ino


def test_a_folder_takes_the_place_of_another_whole(tmp_path: Path) -> None:
    new, target = tmp_path / "new", tmp_path / "out" / "target"
    new.mkdir()
    (new / "b").write_text("new")
    files.replace_folder(new, target)
    assert names(target) == ["b"]
    assert not new.exists()
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "c").write_text("newer")
    files.replace_folder(newer, target)
    assert names(target) == ["c"]
    assert names(target.parent) == ["target"]


def test_a_target_stays_when_its_successor_is_not_there(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "a").write_text("former")
    with pytest.raises(FileNotFoundError):
        files.replace_folder(tmp_path / "missing", target)
    assert names(target) == ["a"]
    assert names(tmp_path) == ["target"]


def test_a_tree_goes_also_where_folders_are_read_only_and_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("corpus")
    tree = tmp_path / "tree"
    inner = tree / "inner"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    (inner / "file").chmod(0o444)
    (tree / "link").symlink_to(outside, target_is_directory=True)
    inner.chmod(0o555)
    tree.chmod(0o555)
    files.remove_tree(tree)
    assert names(tmp_path) == ["outside"]
    assert names(outside) == ["kept"]
    files.remove_tree(tree)  # a missing one is fine


def behind(folder: Path) -> Path:
    """A folder of somebody else's, whose modes must not change either."""
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "kept").write_text("a corpus")
    (folder / "inner").chmod(0o555)
    return folder


@pytest.mark.parametrize("place", ["target", ".target.new", ".target.old"])
@pytest.mark.parametrize("to", ["folder", "nothing", "itself"])
def test_a_link_in_the_place_of_a_folder_goes_and_what_it_points_to_stays(tmp_path: Path, place: str, to: str) -> None:
    outside = behind(tmp_path / "outside")
    (tmp_path / "out").mkdir()
    link = tmp_path / "out" / place
    link.symlink_to({"folder": outside, "nothing": tmp_path / "nothing", "itself": link}[to])
    for number in range(2):
        new = tmp_path / "new"
        new.mkdir()
        (new / "a").write_text(str(number))
        files.replace_folder(new, tmp_path / "out" / "target")
        assert names(tmp_path / "out") == ["target"]
        assert not (tmp_path / "out" / "target").is_symlink()
        assert (tmp_path / "out" / "target" / "a").read_text() == str(number)
    assert (outside / "inner" / "kept").read_text() == "a corpus"
    assert (outside / "inner").stat().st_mode & 0o777 == 0o555


def test_a_file_in_the_place_of_a_folder_stays(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("notes")
    (tmp_path / "new").mkdir()
    with pytest.raises(NotADirectoryError, match="target"):
        files.replace_folder(tmp_path / "new", target)
    with pytest.raises(NotADirectoryError, match="target"), files.replacing(target):
        pass
    with pytest.raises(NotADirectoryError):
        files.remove_tree(target)
    assert target.read_text() == "notes"


def test_a_tree_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = behind(tmp_path / "outside")
    (tmp_path / "tree").symlink_to(outside)
    files.remove_tree(tmp_path / "tree")
    assert names(tmp_path) == ["outside"]
    assert (outside / "inner").stat().st_mode & 0o777 == 0o555
    assert (outside / "inner" / "kept").exists()


def test_a_folder_comes_from_another_file_system_whole(tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=elsewhere) as folder:
        new = Path(folder) / "new"
        (new / "inner").mkdir(parents=True)
        (new / "inner" / "a").write_text("new")
        (new / "link").symlink_to("inner")
        (tmp_path / "target").mkdir()
        (tmp_path / "target" / "b").write_text("old")
        files.replace_folder(new, tmp_path / "target")
        assert not new.exists()
    assert (tmp_path / "target" / "inner" / "a").read_text() == "new"
    assert (tmp_path / "target" / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["target"]
