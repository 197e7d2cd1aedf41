"""What a network says of every item of a corpus, in shards, so that a stop loses little."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.errors import ItemError
from pipeline.engine import files, shards
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.teachers import corpora
from pipeline.teachers.material import Material, Reject

SHARD_ITEMS = 100
LIBRARIES = (
    "ctranslate2", "faster-whisper", "numpy", "pillow", "pyarrow", "soundfile", "soxr", "timm", "torch", "transformers",
)  # fmt: skip

VECTORS = pa.schema([("id", pa.string()), ("content_sha256", pa.string()), ("vector", pa.list_(pa.float32()))])


@dataclass(frozen=True)
class Representer:
    """What turns decoded items into vectors, `batch_size` at once."""

    check: Callable[[Any], None]  # raises ItemError for an item that it cannot take
    represent: Callable[[Sequence[Any]], NDArray[np.float32]]  # items -> [n, d]
    batch_size: int = 1


class Embedder:
    """Worker: items of a corpus to vectors; a task's payload is a list of `corpora.Item`."""

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
        rows: list[dict[str, Any]] = []
        contents = []
        for item in items:
            try:
                content, sha256 = self.decode(item.path)
                self.representer.check(content)
            except ItemError as error:
                rejects.append((item.id, error.status, error.reason))
            else:
                rows.append({"id": item.id, "content_sha256": sha256})
                contents.append(content)
        if not contents:
            return []
        vectors = self.representer.represent(contents)
        return [{**row, "vector": vector} for row, vector in zip(rows, vectors, strict=True)]


def vectors_of(
    material: Material, make: Callable[[], Representer], *, code: str, facts: Any
) -> dict[str, NDArray[np.float32]]:
    """Vectors by id; extends the material's rejects by items that cannot be used or repeat another.

    `make` builds in the worker, and so can be pickled, what gives vectors; `code` is its version; `facts`, JSON values,
    are everything besides items and code that decides the vectors.
    """
    context, items, modality = material.context, material.items, material.modality
    mark = fingerprint(
        facts=facts, items=[item.id for item in items], code=[code_version(__file__), code],
        libraries=library_versions(LIBRARIES), input=files.sha256_of(material.folder / "manifest.json"),
    )  # fmt: skip
    work = work_folder(context.paths.shards, f"train_teacher.{modality}", mark)
    chunks = [items[start : start + SHARD_ITEMS] for start in range(0, len(items), SHARD_ITEMS)]
    tasks = [shards.Task(index, len(chunk), chunk) for index, chunk in enumerate(chunks)]
    worker = partial(Embedder, modality, make)
    markers = run_shards(context.engine, Work(f"train_teacher {modality}: encode", work, mark, worker, tasks))
    finish(work)
    rows = [row for marker in markers for row in shards.read_part(work, marker, VECTORS).to_pylist()]
    material.rejects.extend(shards.read_rejects(work, markers))
    if modality == "image":
        label_of = {item.id: item.label for item in items}
        repeated = corpora.repeated_pictures({row["id"]: row["content_sha256"] for row in rows}, label_of)
        material.rejects.extend(repeated)
        dropped = {identity for identity, _, _ in repeated}
        rows = [row for row in rows if row["id"] not in dropped]
    return {row["id"]: np.array(row["vector"], dtype=np.float32) for row in rows}
