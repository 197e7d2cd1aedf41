"""Vectors of a corpus: whose they are, and what they take in memory; the corpus is made of numbers."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.engine.local import LocalEngine
from pipeline.errors import RowError, UserError
from pipeline.frame.stage import BaseParams, Context, Paths
from pipeline.teachers import corpora
from pipeline.teachers.corpora import Item
from pipeline.teachers.material import Material
from pipeline.teachers.vectors import SHARD_ITEMS, Representer, vectors_of

DIMENSIONS = 512
LABEL = "anger"


def decode(path: Path) -> tuple[Any, str]:
    """The number in a name; of unreadable ones none, of `copy-3` that of `3`."""
    if path.name.startswith("torn"):
        raise RowError("torn", "for the test")
    return int(path.name.rpartition("-")[2]), path.name.rpartition("-")[2]


def representer(size: int = 7) -> Representer:
    def represent(batch: Sequence[Any]) -> NDArray[np.float32]:
        return np.stack([np.full(DIMENSIONS, content, dtype=np.float32) for content in batch])

    return Representer(lambda _: None, represent, size)


def material(root: Path, names: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> Material:
    monkeypatch.setitem(corpora.DECODE, "image", decode)
    folder = root / "data" / "corpora" / "fi"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    context = Context(BaseParams(seed=1, labels=("a", "b")), Paths(root), LocalEngine(workers=1), "image")
    items = [Item(name, folder / name, LABEL) for name in names]
    return Material(context, folder, items, {LABEL: LABEL}, (LABEL,), [])


def test_each_vector_is_that_of_its_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where items are torn, in whole batches and shards too, and copies are dropped."""
    names = [f"p-{number}" for number in range(2 * SHARD_ITEMS + 5)]
    for number in (0, *range(20, 40), 199):
        names[number] = f"torn-{number}"
    names[101:101] = [f"torn-{number}" for number in range(SHARD_ITEMS)] + ["copy-3"]
    names.append("copy-150")
    made = material(tmp_path, names, monkeypatch)
    items, vectors = vectors_of(made, representer, code="", facts=None)
    expected = [name for name in names if not name.startswith("torn")]
    lost = {identity for identity, status, _ in made.rejects if status == "image_duplicate"}
    assert len(lost) == 2
    assert [item.id for item in items] == [name for name in expected if name not in lost]
    assert vectors.shape == (len(items), DIMENSIONS)
    assert vectors.dtype == np.float32
    numbers = [float(item.id.rpartition("-")[2]) for item in items]
    assert (vectors == np.array(numbers, dtype=np.float32)[:, None]).all()
    assert len(items) + len(made.rejects) == len(names)
    again = replace(made, rejects=[])
    items_again, vectors_again = vectors_of(again, representer, code="", facts=None)
    assert items_again == items
    assert (vectors_again == vectors).all()
    assert again.rejects == made.rejects


def test_a_corpus_of_which_nothing_is_left_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = material(tmp_path, ["torn-1", "torn-2"], monkeypatch)
    with pytest.raises(UserError, match=r"none of 2 items can be read: \{'torn': 2\}"):
        vectors_of(made, representer, code="", facts=None)


def test_vectors_are_never_python_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those a vector takes eight times its bytes: 8 GB for the 118,000 pictures of EmoSet."""
    made = material(tmp_path, [f"p-{number}" for number in range(20 * SHARD_ITEMS)], monkeypatch)
    size = len(made.items) * DIMENSIONS * np.dtype(np.float32).itemsize
    vectors_of(made, representer, code="", facts=None)  # to the end: now they are only read
    tracemalloc.start()
    try:
        _, vectors = vectors_of(replace(made, rejects=[]), representer, code="", facts=None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert vectors.nbytes == size
    assert peak < 2 * size
