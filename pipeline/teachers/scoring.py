"""How stage score asks a teacher: about the items of a modality, after the mean and deviation of each voice."""

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from models.errors import ItemError
from models.teachers.endpoint.cache import spent
from models.teachers.endpoint.teacher import expect_few_failures
from models.teachers.fused_probe import PARTS
from models.teachers.loading import load_teacher, read_card
from models.teachers.standardise import Statistics
from models.teachers.teacher import Features, Outside, Teacher, Utterance
from pipeline.engine import files, shards
from pipeline.engine.environment import device_from_environment
from pipeline.engine.store import Folder
from pipeline.errors import UserError
from pipeline.frame import places, tables
from pipeline.media import audio
from pipeline.teachers.params import ScoreParams

VECTORS = pa.schema([("key", pa.string()), ("vector", pa.list_(pa.float32()))])  # of an item, by `Source.key`

Score = NDArray[np.float32] | ItemError  # of one item: numbers [classes] or [d], or why there are none


@dataclass(frozen=True)
class Source:
    """Where a teacher's items lie: a folder of data/, the stage that makes it, and columns: id, media, others."""

    folder: str
    stage: str
    columns: tuple[str, ...]
    make: Callable[[dict[str, Any]], Any]  # a row of the table -> what the teacher takes; RowError: cannot be decoded

    @property
    def media(self) -> str:
        """The column by which items are told apart: that of sound, words or picture, or the id where it is all."""
        return self.columns[:2][-1]

    def key(self, row: dict[str, Any]) -> bytes:
        """The same for rows with the same item."""
        media = row[self.media]
        return hashlib.sha256(media if isinstance(media, bytes) else media.encode()).digest()


def _utterance(row: dict[str, Any]) -> Utterance:
    return Utterance(audio.decode(row["audio"]), row["heard"])


def _picture(row: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(row["image"])).convert("RGB")  # stage clean wrote it: a sound JPEG


SPEECH: dict[Features, Source] = {
    "acoustic": Source("speech", "synthesize", ("id", "audio", "voice"), lambda row: audio.decode(row["audio"])),
    "linguistic": Source("speech", "synthesize", ("id", "heard", "voice"), lambda row: row["heard"]),
    "fused": Source("speech", "synthesize", ("id", "audio", "voice", "heard"), _utterance),
}
IMAGE = Source("clean", "clean", ("id", "image"), _picture)
OUTSIDE = {
    modality: Source(one.folder, one.stage, ("id",), lambda row: row["id"])
    for modality, one in (("speech", SPEECH["acoustic"]), ("image", IMAGE))
}


def source_of(modality: str, features: Features | Outside) -> Source:
    """Where the items of a modality's teacher lie that goes by these features."""
    if features == "outside":
        return OUTSIDE[modality]
    return SPEECH[features] if modality == "speech" else IMAGE


def expect_heard(source: Source, folder: Path, markers: list[shards.Marker]) -> None:
    """Raises UserError where a teacher needs what was heard in a recording to which no recogniser has listened."""
    if "heard" not in source.columns:
        return
    heard = shards.read_parts(folder, markers, columns=["heard"])["heard"]
    if heard.null_count:
        raise UserError(
            f"{folder}: no recogniser has listened to {heard.null_count:,} of {len(heard):,} recordings, and the "
            "speech teacher goes by words; set synthesize.recognition.share: 1.0, and run: dvc repro score@speech"
        )


@dataclass(frozen=True)
class Kept:
    """Where the vectors of frozen encoders stay, by shard: another teacher on them does not encode again."""

    folder: Folder
    fingerprint: str

    def read(self, index: int) -> dict[bytes, Score] | None:
        """What was kept of a shard, by the keys of its items; None if nothing was, or it is damaged."""
        marker = shards.committed(self.folder, index, self.fingerprint)
        if marker is None:
            return None
        rows = shards.read_part(self.folder, marker, VECTORS)
        vectors = pc.list_flatten(rows["vector"]).to_numpy().reshape(len(rows), -1) if len(rows) else ()
        found: dict[bytes, Score] = dict(zip(map(bytes.fromhex, rows["key"].to_pylist()), vectors, strict=True))
        lost = shards.read_rejects(self.folder, [marker])
        return found | {bytes.fromhex(key): ItemError(status, reason) for key, status, reason in lost}

    def write(self, index: int, found: Mapping[bytes, Score]) -> None:
        """Keep the vectors of a shard's items."""
        vectors = {key.hex(): vector for key, vector in found.items() if not isinstance(vector, ItemError)}
        lost = [(key.hex(), one.status, one.reason) for key, one in found.items() if isinstance(one, ItemError)]
        stacked = np.stack(list(vectors.values())) if vectors else np.empty((0, 1), dtype=np.float32)
        offsets = pa.array(np.arange(len(stacked) + 1, dtype=np.int32) * stacked.shape[1])
        lists = pa.ListArray.from_arrays(offsets, pa.array(stacked.ravel(), pa.float32()))
        output = shards.Output(pa.table([pa.array(vectors, pa.string()), lists], schema=VECTORS), lost)
        shards.commit(self.folder, shards.Task(index, len(found), None), output, self.fingerprint)


def encoders_of(checkpoint: Path, card: Mapping[str, Any]) -> list[str]:
    """Digests of the frozen encoders of a saved teacher; none if it is a network as a whole."""
    if card["kind"] != "probe":
        return []
    cards = [read_card(checkpoint / part) for part in PARTS] if card["features"] == "fused" else [card]
    return [one["encoder"]["digest"] for one in cards]


def answers_folder(root: Path) -> Path:
    """Where a project's teachers that ask an endpoint keep what they were told; never removed, for it was paid for."""
    return root / places.WORK / "endpoint"


def expect_answers(teacher: dict[str, Any], counts: dict[str, int]) -> None:
    """Raises ModelError where the endpoint that a teacher asks gave too few usable answers, by counts of rows."""
    failed = {status: count for status, count in counts.items() if status.startswith("endpoint_")}
    rows = sum(failed.values()) + counts[shards.OK]
    expect_few_failures(teacher["model"], rows, failed, teacher["patience"]["max_failed_share"])


def answers_so_far(teacher: dict[str, Any], root: Path) -> dict[str, int]:
    """How many answers this project's folder holds to a teacher's question, and what they cost in tokens."""
    return spent(answers_folder(root) / teacher["question_digest"][:16])


class Scorer:
    """Worker: scores the rows of a shard; rows with equal media are scored once."""

    def __init__(
        self,
        modality: str,
        data: Path,
        checkpoint: Path,
        statistics: Path | None,
        params: ScoreParams,
        kept: Kept | None = None,
    ) -> None:
        self.teacher = _load_teacher(checkpoint, params, answers_folder(data.parent))
        self.source = source_of(modality, self.teacher.features)
        self.folder = data / self.source.folder
        self.statistics = read_statistics(statistics) if statistics else None
        self.batch_size = params.batch_size
        self.kept = kept

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `tables.scores`, and a reject for each item that cannot be scored; in the order of the shard."""
        rows = shards.read_part(self.folder, task.payload, columns=list(self.source.columns)).to_pylist()
        keyed = [(self.source.key(row), row) for row in rows]
        # Encoded bytes grow with length; what is decoded at once stays a batch.
        ordered = sorted(keyed, key=lambda pair: len(pair[1][self.source.media])) if self.teacher.by_length else keyed
        vectors = self.kept.read(task.index) if self.kept else None
        if vectors is None:
            vectors = {}
            for start in range(0, len(ordered), self.batch_size):
                self._represent(ordered[start : start + self.batch_size], vectors)
            if self.kept:
                self.kept.write(task.index, vectors)
        scores: dict[bytes, Score] = {}
        for key, row in keyed:
            if key not in scores:
                scores[key] = self._score(vectors[key], row)
        names = [tables.PROBABILITY_PREFIX + name for name in self.teacher.classes]
        scored: list[dict[str, Any]] = []
        rejects: list[tuple[str, str, str]] = []
        for key, row in keyed:
            score = scores[key]
            if isinstance(score, ItemError):
                rejects.append((row["id"], score.status, score.reason))
            else:
                probabilities = dict(zip(names, score.tolist(), strict=True))
                scored.append({"id": row["id"], **probabilities, "teacher_digest": self.teacher.digest})
        return shards.Output(pa.Table.from_pylist(scored, schema=tables.scores(self.teacher.classes)), rejects)

    def _represent(self, batch: Iterable[tuple[bytes, dict[str, Any]]], vectors: dict[bytes, Score]) -> None:
        """Add the vectors of media that `vectors` does not know yet."""
        new: dict[bytes, dict[str, Any]] = {}
        for key, row in batch:
            if key not in vectors:
                new.setdefault(key, row)
        vectors |= zip(new, _represent(self.teacher, self.source, list(new.values())), strict=True)

    def _score(self, vector: Score, row: Mapping[str, Any]) -> Score:
        if isinstance(vector, ItemError):
            return vector
        statistics = None if self.statistics is None else self.statistics[row["voice"]]
        score: NDArray[np.float32] = self.teacher.classify(vector[np.newaxis], statistics)[0]
        return score


def write_statistics(
    params: ScoreParams, source: Source, folder: Path, markers: list[shards.Marker], checkpoint: Path, target: Path
) -> None:
    """Write the statistics of each voice of the rows in `folder`; UserError if no utterance of one can be scored."""
    teacher = _load_teacher(checkpoint, params)
    # One by one for a probe, whose vectors then do not depend on their neighbours by a bit.
    batch_size = params.batch_size if teacher.by_length else 1
    names = shards.read_parts(folder, markers, columns=["id", "voice"])
    chosen = choose_rows(names["id"].to_pylist(), names["voice"].to_pylist(), params.voice_statistics_rows)
    wanted = pa.array([identity for ids in chosen.values() for identity in ids])
    vectors: dict[str, NDArray[np.float32]] = {}
    for marker in markers:
        part = shards.read_part(folder, marker, columns=list(source.columns))
        rows = part.filter(pc.is_in(part["id"], value_set=wanted)).to_pylist()
        rows.sort(key=lambda row: len(row[source.media]))
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            for row, vector in zip(batch, _represent(teacher, source, batch), strict=True):
                if not isinstance(vector, ItemError):  # which the scorer lists as a reject
                    vectors[row["id"]] = vector
    voices = []
    for voice, ids in chosen.items():
        usable = [vectors[identity] for identity in ids if identity in vectors]
        if not usable:
            raise UserError(f"{folder}: no utterance of voice {voice} can be scored")
        found = Statistics.of(np.stack(usable))
        voices.append({"voice": voice, "rows": len(usable), "mean": found.mean.tolist(), "std": found.std.tolist()})
    files.write_atomically(target, lambda temporary: pq.write_table(pa.Table.from_pylist(voices), temporary))


def choose_rows(ids: Sequence[str], voices: Sequence[str], rows_per_voice: int) -> dict[str, list[str]]:
    """Ids per voice with the lowest sha256, in that order: a random choice that no order of rows can change."""
    ordered = sorted(zip(ids, voices, strict=True), key=lambda pair: hashlib.sha256(pair[0].encode()).digest())
    chosen: dict[str, list[str]] = {voice: [] for voice in sorted(set(voices))}
    for identity, voice in ordered:
        if len(chosen[voice]) < rows_per_voice:
            chosen[voice].append(identity)
    return chosen


def read_statistics(path: Path) -> dict[str, Statistics]:
    """Statistics of each voice."""
    rows = pq.read_table(path, partitioning=None).to_pylist()
    return {row["voice"]: Statistics(np.array(row["mean"]), np.array(row["std"])) for row in rows}


def _load_teacher(checkpoint: Path, params: ScoreParams, answers: Path | None = None) -> Teacher:
    device = device_from_environment()
    return load_teacher(
        checkpoint, device=device, batch_size=params.batch_size, compiled=params.compile, answers=answers
    )


def _represent(teacher: Teacher, source: Source, rows: Sequence[dict[str, Any]]) -> list[Score]:
    """The vector of each row's item, or why there is none."""
    items: list[Any] = []
    for row in rows:
        try:
            item = source.make(row)
            teacher.check(item)
        except ItemError as error:
            item = error
        items.append(item)
    sound = [item for item in items if not isinstance(item, ItemError)]
    vectors = iter(teacher.represent(sound) if sound else ())
    return [item if isinstance(item, ItemError) else next(vectors) for item in items]
