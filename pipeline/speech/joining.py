"""Second pass of `synthesize`: a row of speech for each row of clean, unless its speech was not understood."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.engine import shards
from pipeline.engine.store import Folder
from pipeline.errors import RowError
from pipeline.frame import tables
from pipeline.frame.metrics_files import write_metrics
from pipeline.frame.stage import Context, Report
from pipeline.media import audio
from pipeline.speech import intelligibility
from pipeline.speech.intelligibility import Hearing, RecognitionParams
from pipeline.speech.recordings import RECORDED, read_places
from pipeline.speech.script import Script, utterances_of
from pipeline.voices import voice_of

HEARING = ["word_error_rate", "character_error_rate", "missing_end_words", "heard"]
PARTS_AT_HAND = 4  # a retweet is mostly close to its original, so a few spare most of the reading


@dataclass
class Joiner:
    """Worker: joins the recordings of the first pass to the rows that have their utterances."""

    params: RecognitionParams
    clean: Path
    script: Script
    places: Path
    recorded: Folder
    markers: list[shards.Marker]
    voice: tuple[str, str]  # name and digest

    def __post_init__(self) -> None:
        self.recordings = lru_cache(maxsize=PARTS_AT_HAND)(self._recordings)

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `tables.SPEECH`; the reject of an utterance becomes one reject per row that has it."""
        source = utterances_of(self.clean, task.payload, self.script)
        part_of = read_places(self.places, task.index)
        rows: dict[int, dict[str, Any]] = {}
        rejects = []
        # Recordings part by part; rows in the order of clean.
        for position in sorted(range(len(source)), key=lambda position: part_of[source[position][1].key]):
            identity, utterance = source[position]
            recording = self.recordings(part_of[utterance.key])[utterance.key]
            if isinstance(recording, RowError):
                rejects.append((identity, recording.status, recording.reason))
                continue
            name, digest = self.voice
            rows[position] = {
                "id": identity, "sampling_rate_hz": audio.SAMPLING_RATE_HZ,
                "voice": voice_of(name, utterance.speaker), "voice_digest": digest,
                **asdict(utterance.prosody), **recording,
            }  # fmt: skip
        table = pa.Table.from_pylist([rows[position] for position in sorted(rows)], schema=tables.SPEECH)
        return shards.Output(table, rejects)

    def _recordings(self, part: int) -> dict[str, dict[str, Any] | RowError]:
        """Of each utterance of a part: its columns of `tables.SPEECH`, or why it has none."""
        marker = self.markers[part]
        recordings: dict[str, dict[str, Any] | RowError] = {}
        for row in shards.read_part(self.recorded, marker, RECORDED).to_pylist():
            columns = {name: row[name] for name in ("audio", "duration_seconds", "heard", "word_error_rate")}
            recordings[row["utterance"]] = intelligibility.fault_of(hearing_of(row), self.params) or columns
        for key, status, reason in shards.read_rejects(self.recorded, [marker]):
            recordings[key] = RowError(status, reason)
        return recordings


def hearing_of(row: dict[str, Any]) -> Hearing | None:
    """What was heard of a row of `RECORDED`; None where nobody listened."""
    return None if row["heard"] is None else Hearing(**{name: row[name] for name in HEARING})


def speech_metrics(
    texts: int,
    utterances: int,
    counts: dict[str, int],
    out: Path,
    markers: list[shards.Marker],
    recognition: dict[str, Any],
    context: Context,
) -> Report:
    """Write reports/synthesize.json, and say the same in short."""
    speech = shards.read_parts(out, markers, columns=["duration_seconds"])
    durations = speech["duration_seconds"].to_numpy().astype(np.float64)
    total = durations.sum()
    spread = {"total": total, "mean": durations.mean(), "shortest": durations.min(), "longest": durations.max()}
    rows_in, rows_out = sum(counts.values()), counts[shards.OK]
    rejected = {status: count for status, count in counts.items() if status != shards.OK}
    metrics = {
        "rows_in": rows_in,
        "rows_out": rows_out,
        "rejected": rejected,
        "distinct_texts": texts,
        "distinct_utterances": utterances,
        "duration_seconds": spread,
        "recognition": recognition,
    }
    write_metrics(context.paths.reports / "synthesize.json", metrics)
    note = f"{utterances} distinct utterances spoken; {total / 60:.1f} minutes of speech"
    return Report(rows_in, rows_out, rejected, (note,))
