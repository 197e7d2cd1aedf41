"""What a network says of every item of a corpus, in shards, so that a stop loses little."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.errors import ItemError
from models.teachers.encoder_settings import EncoderSettings
from models.teachers.encoders import GPU_BATCH, create_encoder
from pipeline.engine import files, shards
from pipeline.engine.environment import device_from_environment
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.store import Folder
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.teachers import corpora
from pipeline.teachers.material import Material, Reject

SHARD_ITEMS = 100
LIBRARIES = (
    "av", "ctranslate2", "faster-whisper", "numpy", "onnx", "onnxruntime", "pillow", "pyarrow", "soundfile", "soxr",
    "timm", "torch", "transformers",
)  # fmt: skip

VECTORS = pa.schema([("id", pa.string()), ("content_sha256", pa.string()), ("vector", pa.list_(pa.float32()))])


@dataclass(frozen=True)
class Representer:
    """What turns decoded items into vectors, `batch_size` at once."""

    check: Callable[[Any], None]  # raises ItemError for an item that it cannot take
    represent: Callable[[Sequence[Any]], NDArray[np.float32]]  # items -> [n, d]
    batch_size: int = 1


def frozen(name: str, settings: EncoderSettings) -> Representer:
    """An encoder, as a worker uses it."""
    device = device_from_environment()
    made = create_encoder(name, settings, device=device)
    return Representer(made.check, made.encode, 1 if device == "cpu" else GPU_BATCH)


class Embedder:
    """Worker: items of a corpus to vectors; a task's payload is a list of `corpora.Item`."""

    def __init__(self, modality: str, make: Callable[[], Representer]) -> None:
        self.decode = corpora.DECODE[modality]
        self.representer = make()

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `VECTORS`, and a reject for each item that cannot be decoded or represented."""
        rejects: list[Reject] = []
        size = self.representer.batch_size
        batches = (task.payload[start : start + size] for start in range(0, len(task.payload), size))
        return shards.Output(pa.concat_tables([self._rows(batch, rejects) for batch in batches]), rejects)

    def _rows(self, items: list[corpora.Item], rejects: list[Reject]) -> pa.Table:
        ids, sums, contents = [], [], []
        for item in items:
            try:
                content, sha256 = self.decode(item.path)
                self.representer.check(content)
            except ItemError as error:
                rejects.append((item.id, error.status, error.reason))
            else:
                ids.append(item.id)
                sums.append(sha256)
                contents.append(content)
        vectors = self.representer.represent(contents) if contents else np.empty((0, 1), dtype=np.float32)
        n, dimensions = vectors.shape
        offsets = pa.array(np.arange(n + 1, dtype=np.int32) * dimensions)
        lists = pa.ListArray.from_arrays(offsets, pa.array(vectors.ravel(), pa.float32()))
        return pa.table([ids, sums, lists], schema=VECTORS)


def vectors_of(
    material: Material, make: Callable[[], Representer], *, code: str, facts: Any
) -> tuple[list[corpora.Item], NDArray[np.float32]]:
    """The items that can be used, in the order of the corpus, and their vectors float32 [n, d].

    Extends the material's rejects by items that cannot be used or repeat another; UserError if none is left.
    `make` builds in the worker, and so can be pickled, what gives vectors; `code` is its version; `facts`, JSON values,
    are everything besides items and code that decides the vectors.
    """
    mark = fingerprint(
        facts=facts, items=[item.id for item in material.items], code=[code_version(__file__), code],
        libraries=library_versions(LIBRARIES), input=files.sha256_of(material.folder / "manifest.json"),
    )  # fmt: skip
    work, markers = encode(material, material.items, make, mark)
    # In Arrow's memory to the end: as Python's numbers vectors take eight times their bytes.
    rows = shards.read_parts(work, markers, VECTORS)
    sha256_of = dict(zip(rows["id"].to_pylist(), rows["content_sha256"].to_pylist(), strict=True))
    usable = usable_of(material, sha256_of, shards.read_rejects(work, markers))
    rows = rows.filter(pc.is_in(rows["id"], pa.array([item.id for item in usable])))
    return usable, pc.list_flatten(rows["vector"]).to_numpy().reshape(len(usable), -1)


def encode(
    material: Material, items: list[corpora.Item], make: Callable[[], Representer], mark: str
) -> tuple[Folder, list[shards.Marker]]:
    """Let workers represent `items`; the folder of the shards of `VECTORS` and rejects, whose fingerprint is `mark`."""
    context, modality = material.context, material.modality
    work = work_folder(context.paths.shards, f"train_teacher.{modality}", mark)
    chunks = [items[start : start + SHARD_ITEMS] for start in range(0, len(items), SHARD_ITEMS)]
    tasks = [shards.Task(index, len(chunk), chunk) for index, chunk in enumerate(chunks)]
    worker = partial(Embedder, modality, make)
    markers = run_shards(context.engine, Work(f"train_teacher {modality}: encode", work, mark, worker, tasks))
    finish(work)
    return work, markers


def usable_of(material: Material, sha256_of: Mapping[str, str], rejects: Iterable[Reject]) -> list[corpora.Item]:
    """The items with a content, by id, that repeats no other; extends the material's rejects; UserError if none."""
    material.rejects.extend(rejects)
    known = set(sha256_of)
    if material.modality == "image":
        label_of = {item.id: item.label for item in material.items}
        repeated = corpora.repeated_pictures(sha256_of, label_of)
        material.rejects.extend(repeated)
        known -= {identity for identity, _, _ in repeated}
    return material.usable(known)
