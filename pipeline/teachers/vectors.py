"""What a network says of every item of a corpus, in shards, so that a stop loses little.

In   items of a corpus (`pipeline.teachers.corpora`)
Out  a float32 vector by id; rejects (id, status, reason)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.errors import ItemError
from pipeline.engine import files, shards
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.frame.stage import Context
from pipeline.teachers import corpora

SHARD_ITEMS = 100
LIBRARIES = (
    "ctranslate2", "faster-whisper", "numpy", "pillow", "pyarrow", "soundfile", "soxr", "timm", "torch", "transformers",
)  # fmt: skip

VECTORS = pa.schema([("id", pa.string()), ("content_sha256", pa.string()), ("vector", pa.list_(pa.float32()))])

Reject = tuple[str, str, str]


@dataclass(frozen=True)
class Representer:
    """What turns decoded items into vectors.

    Attributes:
        check: raises RowError for an item that it cannot take.
        represent: items -> float32 [n, d].
        batch_size: items at once.
    """

    check: Callable[[Any], None]
    represent: Callable[[Sequence[Any]], NDArray[np.float32]]
    batch_size: int = 1


class Embedder:
    """Worker: items of a corpus to vectors; a task's payload is a list of `teacher_corpora.Item`."""

    def __init__(self, modality: str, make: Callable[[], Representer]) -> None:
        self.decode = corpora.DECODE[modality]
        self.representer = make()

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `VECTORS`, and a reject for each item that cannot be decoded or represented."""
        rows: list[dict[str, Any]] = []
        rejects: list[Reject] = []
        size = self.representer.batch_size
        for start in range(0, len(task.payload), size):
            rows += self._rows(task.payload[start : start + size], rejects)
        return shards.Output(pa.Table.from_pylist(rows, schema=VECTORS), rejects)

    def _rows(self, items: list[corpora.Item], rejects: list[Reject]) -> list[dict[str, Any]]:
        usable, contents = [], []
        for item in items:
            try:
                content, sha256 = self.decode(item.path)
                self.representer.check(content)
            except ItemError as error:
                rejects.append((item.id, error.status, error.reason))
            else:
                usable.append((item.id, sha256))
                contents.append(content)
        if not contents:
            return []
        vectors = self.representer.represent(contents)
        return [
            {"id": identity, "content_sha256": sha256, "vector": vector}
            for (identity, sha256), vector in zip(usable, vectors, strict=True)
        ]


def vectors_of(
    context: Context,
    items: list[corpora.Item],
    folder: Path,
    make: Callable[[], Representer],
    rejects: list[Reject],
    *,
    code: str,
    facts: Any,
) -> dict[str, NDArray[np.float32]]:
    """Vectors by id; extends `rejects` by items that cannot be used or repeat another.

    Args:
        context: of the stage.
        items: of the corpus.
        folder: of the corpus.
        make: builds, in the worker, what gives vectors; can be pickled.
        rejects: is extended.
        code: version of what `make` runs.
        facts: everything besides items and code that decides the vectors; JSON values.
    """
    modality = context.item
    mark = fingerprint(
        facts=facts, items=[item.id for item in items], code=[code_version(__file__), code],
        libraries=library_versions(LIBRARIES), input=files.sha256_of(folder / "manifest.json"),
    )  # fmt: skip
    work = work_folder(context.paths.shards, f"train_teacher.{modality}", mark)
    chunks = [items[start : start + SHARD_ITEMS] for start in range(0, len(items), SHARD_ITEMS)]
    tasks = [shards.Task(index, len(chunk), chunk) for index, chunk in enumerate(chunks)]
    markers = run_shards(
        context.engine,
        Work(f"train_teacher {modality}: encode", work, mark, partial(Embedder, modality, make), tasks),
    )
    finish(work)
    rows = [row for marker in markers for row in shards.read_part(work, marker, VECTORS).to_pylist()]
    rejects += shards.read_rejects(work, markers)
    if modality == "image":
        label_of = {item.id: item.label for item in items}
        repeated = corpora.repeated_pictures({row["id"]: row["content_sha256"] for row in rows}, label_of)
        rejects += repeated
        dropped = {identity for identity, _, _ in repeated}
        rows = [row for row in rows if row["id"] not in dropped]
    return {row["id"]: np.array(row["vector"], dtype=np.float32) for row in rows}
