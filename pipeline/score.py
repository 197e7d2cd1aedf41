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
import json
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

from models.classifier import TEACHER_FILE, Probe, Teacher
from models.encoders import create_encoder
from models.standardise import Statistics
from pipeline import audio, tables
from pipeline.engine import files, shards
from pipeline.engine.environment import device_from_environment
from pipeline.engine.fingerprint import code_version, fingerprint
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.errors import RowError, UserError
from pipeline.params import STRICT
from pipeline.reports import write_metrics
from pipeline.stage import Context, Report, stage_main


@dataclass(frozen=True, config=STRICT)
class ScoreParams:
    """Section `score.<modality>`.

    Attributes:
        batch_size: items handed to the teacher at once; bounds memory, changes no score.
        voice_statistics_rows: per voice, those with the lowest sha256 of their ids.
    """

    batch_size: Annotated[int, Field(ge=1)]
    voice_statistics_rows: Annotated[int, Field(ge=2)]


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

    def __init__(self, modality: str, data: Path, checkpoint: Path, statistics: Path | None, batch_size: int) -> None:
        self.source = SOURCES[modality]
        self.folder = data / self.source.folder
        self.teacher = load_teacher(checkpoint)
        self.statistics = read_statistics(statistics) if statistics else None
        self.batch_size = batch_size

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `tables.scores`, and a reject for each item that cannot be scored."""
        table = shards.read_part(self.folder, task.payload, columns=list(self.source.columns))
        rows = table.to_pylist()
        batches = [rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size)]
        rejects: list[tuple[str, str, str]] = []
        scored: list[dict[str, Any]] = []
        known: dict[bytes, NDArray[np.float32]] = {}
        for batch in batches:
            scored += self._score(batch, known, rejects)
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
        code=code_version(__file__), statistics=files.sha256_of(statistics) if statistics else None,
    )  # fmt: skip
    work = work_folder(context.paths.shards, f"score.{modality}", mark)
    scorer = partial(Scorer, modality, data, checkpoint, statistics, params.batch_size)
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
    path = checkpoint / TEACHER_FILE
    try:
        card: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        raise UserError(f"{path}: missing or damaged; run: dvc repro train_teacher@{modality}") from None
    return card


def load_teacher(checkpoint: Path) -> Teacher:
    """The teacher saved in `checkpoint`, on the device that SIER_DEVICE names (default cpu)."""
    card = read_teacher_card(checkpoint, checkpoint.name)
    encoder = create_encoder(card["encoder"]["name"], device=device_from_environment())
    return Probe.load(checkpoint, encoder)


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
    teacher = load_teacher(checkpoint)
    names = pa.concat_tables([shards.read_part(folder, marker, columns=["id", "voice"]) for marker in sources])
    chosen = choose_rows(names["id"].to_pylist(), names["voice"].to_pylist(), params.voice_statistics_rows)
    wanted = pa.array([identity for ids in chosen.values() for identity in ids])
    vectors: dict[str, NDArray[np.float32]] = {}
    for marker in sources:
        part = shards.read_part(folder, marker, columns=list(source.columns))
        for row in part.filter(pc.is_in(part["id"], value_set=wanted)).to_pylist():
            try:
                item = source.item(row)
                teacher.check(item)
            except RowError:
                continue  # the scorer lists it as a reject
            vectors[row["id"]] = teacher.represent([item])[0]
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
