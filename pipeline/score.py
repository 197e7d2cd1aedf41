"""score: how the speech teacher hears each utterance, and how the image teacher sees each picture.

In   data/speech (id, audio, voice) or data/clean (id, image); data/checkpoints/{ser,ier}
Out  data/scores/<modality>: shards of `tables.scores`: a probability for every class of the teacher; rejects
     data/scores/speech/voice_statistics.parquet, where the teacher normalises voices

A teacher hears a voice before it hears a feeling. So the vectors (or logits) of utterances are standardised by the mean
and deviation of their voice, taken from a fixed choice of rows before any shard is scored.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from pydantic.dataclasses import dataclass

from models.teachers.loading import load_teacher, read_card
from models.teachers.probe import TEACHER_FILE, Teacher
from models.teachers.standardise import Statistics
from pipeline.engine import files, shards
from pipeline.engine.environment import device_from_environment
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.errors import RowError, UserError
from pipeline.frame import tables
from pipeline.frame.metrics_files import write_metrics
from pipeline.frame.params import STRICT
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.media import audio

LIBRARIES = (
    "ctranslate2", "faster-whisper", "numpy", "pillow", "pyarrow", "scikit-learn", "soundfile", "soxr", "timm", "torch",
    "transformers",
)  # fmt: skip


@dataclass(frozen=True, config=STRICT)
class ScoreParams:
    """Section `score.<modality>`.

    Attributes:
        batch_size: items handed to the teacher at once; bounds memory, changes no score beyond the last bits.
        voice_statistics_rows: per voice, those with the lowest sha256 of their ids.
        compile: whether torch compiles the teacher's network (none in a probe): minutes at the start, then faster.
    """

    batch_size: Annotated[int, Field(ge=1)]
    voice_statistics_rows: Annotated[int, Field(ge=2)]
    compile: bool = False


@plain_dataclass(frozen=True)
class Source:
    """Where a modality's items lie in a table of rows."""

    folder: str
    stage: str
    columns: tuple[str, ...]

    def item(self, row: dict[str, Any]) -> Any:
        """A waveform or a picture, for a row of the table.

        Raises:
            RowError: it cannot be decoded.
        """
        if self.folder == "speech":
            return audio.decode(row["audio"])
        return Image.open(io.BytesIO(row["image"])).convert("RGB")  # stage clean wrote it: a sound JPEG


SOURCES = {
    "speech": Source("speech", "synthesize", ("id", "audio", "voice")),
    "image": Source("clean", "clean", ("id", "image")),
}


class Scorer:
    """Worker: scores the rows of a shard; rows with equal media are scored once."""

    def __init__(
        self, modality: str, data: Path, checkpoint: Path, statistics: Path | None, params: ScoreParams
    ) -> None:
        self.source = SOURCES[modality]
        self.folder = data / self.source.folder
        self.teacher = _teacher(checkpoint, params)
        self.statistics = read_statistics(statistics) if statistics else None
        self.batch_size = params.batch_size

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `tables.scores`, and a reject for each item that cannot be scored; in the order of the shard."""
        table = shards.read_part(self.folder, task.payload, columns=list(self.source.columns))
        rows = table.to_pylist()
        place = {row["id"]: position for position, row in enumerate(rows)}
        if self.teacher.by_length:
            # Encoded bytes grow with length; what is decoded at once stays a batch.
            rows.sort(key=lambda row: (len(row[self.source.columns[1]]), place[row["id"]]))
        batches = [rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size)]
        rejects: list[tuple[str, str, str]] = []
        scored: list[dict[str, Any]] = []
        known: dict[bytes, NDArray[np.float32]] = {}
        for batch in batches:
            scored += self._score(batch, known, rejects)
        scored.sort(key=lambda row: place[row["id"]])
        rejects.sort(key=lambda reject: place[reject[0]])
        return shards.Output(pa.Table.from_pylist(scored, schema=tables.scores(self.teacher.classes)), rejects)

    def _score(
        self,
        batch: list[dict[str, Any]],
        known: dict[bytes, NDArray[np.float32]],
        rejects: list[tuple[str, str, str]],
    ) -> list[dict[str, Any]]:
        keys = [hashlib.sha256(row[self.source.columns[1]]).digest() for row in batch]
        items: dict[bytes, tuple[Any, str]] = {}
        refused: dict[bytes, RowError] = {}
        for key, row in zip(keys, batch, strict=True):
            if key not in known and key not in items and key not in refused:
                try:
                    item = self.source.item(row)
                    self.teacher.check(item)
                    items[key] = (item, row.get("voice", ""))
                except RowError as error:
                    refused[key] = error
        if items:
            representation = self.teacher.represent([item for item, _ in items.values()])
            for (key, (_, voice)), vector in zip(items.items(), representation, strict=True):
                statistics = self.statistics[voice] if self.statistics is not None else None
                known[key] = self.teacher.classify(vector[np.newaxis], statistics)[0]
        names = [tables.PROBABILITY_PREFIX + name for name in self.teacher.classes]
        rows = []
        for key, row in zip(keys, batch, strict=True):
            if key in refused:
                rejects.append((row["id"], refused[key].status, refused[key].reason))
            else:
                probabilities = dict(zip(names, known[key].tolist(), strict=True))
                rows.append({"id": row["id"], **probabilities, "teacher_digest": self.teacher.digest})
        return rows


def run(params: ScoreParams, context: Context) -> Report:
    """See the module's docstring.

    Raises:
        UserError: the teacher or the items are not there, or none could be scored.
    """
    modality = context.item
    source = SOURCES[modality]
    data = context.paths.data
    folder = data / source.folder
    sources = shards.read_manifest(folder, source.stage)
    checkpoint = context.paths.checkpoints / tables.CHECKPOINTS[modality]
    teacher = read_teacher_card(checkpoint, modality)
    statistics = None
    if teacher["normalise"] == "voice":
        statistics = context.paths.work / f"score.{modality}.{tables.VOICE_STATISTICS_FILE}"
        _write_statistics(params, source, folder, sources, checkpoint, statistics)
    mark = fingerprint(
        params=params, teacher=teacher["digest"], input=files.sha256_of(folder / shards.MANIFEST),
        code=code_version(__file__), libraries=library_versions(LIBRARIES),
        statistics=files.sha256_of(statistics) if statistics else None,
    )  # fmt: skip
    work = work_folder(context.paths.shards, f"score.{modality}", mark)
    scorer = partial(Scorer, modality, data, checkpoint, statistics, params)
    tasks = [shards.Task(index, marker.part.rows, marker) for index, marker in enumerate(sources)]
    markers = run_shards(context.engine, Work(f"score {modality}", work, mark, scorer, tasks))
    counts = shards.total_counts(markers)
    if not counts[shards.OK]:
        raise UserError(f"{folder}: none of {sum(counts.values())} rows could be scored: {counts}")
    extra = {tables.VOICE_STATISTICS_FILE: statistics.read_bytes()} if statistics else {}
    shards.publish(work, markers, data / "scores" / modality, extra)
    finish(work)
    rejected = {status: count for status, count in counts.items() if status != shards.OK}
    metrics = {"rows_in": sum(counts.values()), "rows_out": counts[shards.OK], "rejected": rejected}
    write_metrics(context.paths.reports / f"score_{modality}.json", {**metrics, "teacher_digest": teacher["digest"]})
    return Report(sum(counts.values()), counts[shards.OK], rejected)


def read_teacher_card(checkpoint: Path, modality: str) -> dict[str, Any]:
    """What a saved teacher says of itself, without loading it: classes, normalise, digest, encoder.

    Raises:
        UserError: there is no teacher in `checkpoint`.
    """
    try:
        return read_card(checkpoint)
    except (OSError, ValueError):
        where = checkpoint / TEACHER_FILE
        raise UserError(f"{where}: missing or damaged; run: dvc repro train_teacher@{modality}") from None


def _teacher(checkpoint: Path, params: ScoreParams) -> Teacher:
    device = device_from_environment()
    return load_teacher(checkpoint, device=device, batch_size=params.batch_size, compiled=params.compile)


def choose_rows(ids: Sequence[str], voices: Sequence[str], rows_per_voice: int) -> dict[str, list[str]]:
    """Ids per voice with the lowest sha256, in that order: a random choice that no order of rows can change."""
    ordered = sorted(zip(ids, voices, strict=True), key=lambda pair: hashlib.sha256(pair[0].encode()).digest())
    chosen: dict[str, list[str]] = {voice: [] for voice in sorted(set(voices))}
    for identity, voice in ordered:
        if len(chosen[voice]) < rows_per_voice:
            chosen[voice].append(identity)
    return chosen


def _write_statistics(
    params: ScoreParams, source: Source, folder: Path, sources: list[shards.Marker], checkpoint: Path, target: Path
) -> None:
    teacher = _teacher(checkpoint, params)
    # One by one for a probe, whose vectors then do not depend on their neighbours by a bit.
    size = params.batch_size if teacher.by_length else 1
    names = pa.concat_tables([shards.read_part(folder, marker, columns=["id", "voice"]) for marker in sources])
    chosen = choose_rows(names["id"].to_pylist(), names["voice"].to_pylist(), params.voice_statistics_rows)
    wanted = pa.array([identity for ids in chosen.values() for identity in ids])
    vectors: dict[str, NDArray[np.float32]] = {}
    for marker in sources:
        part = shards.read_part(folder, marker, columns=list(source.columns))
        rows = part.filter(pc.is_in(part["id"], value_set=wanted)).to_pylist()
        rows.sort(key=lambda row: len(row[source.columns[1]]))
        for start in range(0, len(rows), size):
            items = {}
            for row in rows[start : start + size]:
                try:
                    item = source.item(row)
                    teacher.check(item)
                except RowError:
                    continue  # the scorer lists it as a reject
                items[row["id"]] = item
            if items:
                vectors |= zip(items, teacher.represent(list(items.values())), strict=True)
    found = []
    for voice, ids in chosen.items():
        usable = [vectors[identity] for identity in ids if identity in vectors]
        if not usable:
            raise UserError(f"{folder}: no utterance of voice {voice} can be scored")
        statistics = Statistics.of(np.stack(usable))
        found.append(
            {"voice": voice, "rows": len(usable), "mean": statistics.mean.tolist(), "std": statistics.std.tolist()}
        )
    files.write_atomically(target, lambda temporary: pq.write_table(pa.Table.from_pylist(found), temporary))


def read_statistics(path: Path) -> dict[str, Statistics]:
    """Statistics of each voice."""
    rows = pq.read_table(path, partitioning=None).to_pylist()
    return {row["voice"]: Statistics(np.array(row["mean"]), np.array(row["std"])) for row in rows}


if __name__ == "__main__":
    raise SystemExit(stage_main("score", dict.fromkeys(SOURCES, ScoreParams), run, sharded=True))
