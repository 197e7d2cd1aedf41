from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.engine.sealed import SEAL, is_whole, seal
from tests.damage import empty, flip_bit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "result.json").write_text('{"rows": 3}')
    (tmp_path / "net" / "weights").write_bytes(bytes(range(256)))
    (tmp_path / "checkpoints" / "old").write_bytes(b"unfinished")
    seal(tmp_path, without="checkpoints")
    assert is_whole(tmp_path, without="checkpoints")
    return tmp_path


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flip_bit(folder / "net" / "weights"),
        lambda folder: empty(folder / "net" / "weights"),
        lambda folder: (folder / "result.json").unlink(),
        lambda folder: (folder / "net" / "more.py").write_text("unseen"),
        lambda folder: (folder / "result.json").rename(folder / "net" / "result.json"),
        lambda folder: flip_bit(folder / SEAL),
        lambda folder: empty(folder / SEAL),
        lambda folder: (folder / SEAL).unlink(),
        lambda folder: (folder / SEAL).write_text("[]"),
    ],
)
def test_whatever_is_damaged_is_not_whole(folder: Path, damage: Callable[[Path], object]) -> None:
    damage(folder)
    assert not is_whole(folder, without="checkpoints")


def test_what_is_left_out_does_not_count(folder: Path) -> None:
    (folder / "checkpoints" / "old").unlink()
    assert is_whole(folder, without="checkpoints")
    (folder / "checkpoints").rmdir()
    assert is_whole(folder)


def test_no_folder_is_not_whole(tmp_path: Path) -> None:
    assert not is_whole(tmp_path / "nowhere")
    assert not is_whole(tmp_path)  # nothing in it, and no seal
