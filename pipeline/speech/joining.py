"""Worker of the second pass of synthesize."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.engine import shards
from pipeline.engine.store import Folder
from pipeline.errors import RowError
from pipeline.frame import tables
from pipeline.media import audio
from pipeline.speech import intelligibility
from pipeline.speech.intelligibility import Hearing, RecognitionParams
from pipeline.speech.recordings import RECORDED, Script, read_places, utterances_of
from pipeline.voices import voice_of

HEARING = ["word_error_rate", "missing_end_words", "heard"]


class Joiner:
    """Worker of the second pass: a row of speech for each row of clean, unless its speech was not understood."""

    def __init__(
        self,
        params: RecognitionParams,
        clean: Path,
        script: Script,
        places: Path,
        recorded: Folder,
        markers: list[shards.Marker],
        voice: tuple[str, str],
    ) -> None:
        self.params = params
        self.clean = clean
        self.script = script
        self.places = places
        self.recorded = recorded
        self.markers = markers
        self.voice_name, self.voice_digest = voice
        # A retweet is mostly close to its original, so a few shards at hand spare most of the reading.
        self.recordings = lru_cache(maxsize=4)(self._recordings)

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `tables.SPEECH`; the reject of an utterance becomes one reject per row that has it."""
        source = utterances_of(self.clean, task.payload, self.script)
        places = read_places(self.places, task.index)
        keys = [utterance.key for _, utterance in source]
        rows: dict[int, dict[str, Any]] = {}
        rejects = []
        # Recordings shard by shard; rows in the order of clean.
        for position in sorted(range(len(source)), key=lambda position: places[keys[position]]):
            identity, utterance = source[position]
            recording = self.recordings(places[keys[position]])[keys[position]]
            if isinstance(recording, RowError):
                rejects.append((identity, recording.status, recording.reason))
                continue
            rows[position] = {
                "id": identity, "sampling_rate_hz": audio.SAMPLING_RATE_HZ,
                "voice": voice_of(self.voice_name, utterance.speaker), "voice_digest": self.voice_digest,
                "rate": utterance.prosody.rate, "energy_db": utterance.prosody.energy_db, **recording,
            }  # fmt: skip
        table = pa.Table.from_pylist([rows[position] for position in sorted(rows)], schema=tables.SPEECH)
        return shards.Output(table, rejects)

    def _recordings(self, shard: int) -> dict[str, dict[str, Any] | RowError]:
        """Of each utterance that the shard speaks: its columns of `tables.SPEECH`, or why it has none."""
        marker = self.markers[shard]
        found: dict[str, dict[str, Any] | RowError] = {}
        for row in shards.read_part(self.recorded, marker, RECORDED).to_pylist():
            columns = {name: row[name] for name in ("audio", "duration_seconds", "word_error_rate")}
            found[row["utterance"]] = intelligibility.fault_of(hearing_of(row), self.params) or columns
        for key, status, reason in shards.read_rejects(self.recorded, [marker]):
            found[key] = RowError(status, reason)
        return found


def hearing_of(row: dict[str, Any]) -> Hearing | None:
    """What was heard of a row of `RECORDED`; None where nobody listened."""
    return None if row["heard"] is None else Hearing(**{name: row[name] for name in HEARING})
