"""First pass of `synthesize`: what each row has to say, and the recording of each distinct utterance.

In   shards of data/clean (id, tweet_id, spoken_text, sentiment)
Out  shards of `RECORDED`; rejects by the utterance's key
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.engine import files, shards
from pipeline.errors import RowError
from pipeline.media import audio
from pipeline.speech import intelligibility, recogniser
from pipeline.speech.prosody import PLAIN, Prosody, ProsodyParams, at_level
from pipeline.speech.speakers import Cast
from pipeline.voices import Request, Spoken, VoiceParams, load_voice

# One row per distinct utterance that could be spoken. `utterance` is the key of the join; the columns of a hearing are
# null where nothing was transcribed. The rate has 64 bits, or 0.6 would exceed a limit of 0.6.
RECORDED = pa.schema(
    [
        pa.field("utterance", pa.string(), nullable=False),
        pa.field("audio", pa.binary(), nullable=False),
        pa.field("duration_seconds", pa.float32(), nullable=False),
        pa.field("word_error_rate", pa.float64()),
        pa.field("missing_end_words", pa.int32()),
        pa.field("heard", pa.string()),
    ]
)
# Where the recording of each utterance is: shard of the first pass.
PLACES = pa.schema([("shard", pa.int32()), ("utterance", pa.string()), ("owner", pa.int32())])


@dataclass(frozen=True)
class Utterance:
    """A text as one speaker says it."""

    text: str
    speaker: str | None = None
    prosody: Prosody = PLAIN

    @property
    def key(self) -> str:
        """Hex sha256 of all that makes it sound as it does, besides the voice."""
        how = [] if self.speaker is None else [f"speaker {self.speaker}"]
        if self.prosody != PLAIN:
            how.append(f"rate {self.prosody.rate} energy {self.prosody.energy_db + 0.0}")
        # A spoken text has no null character (see pipeline.tweets.text), so no text can pretend to be another's prosody.
        return hashlib.sha256("\0".join([self.text, *how]).encode()).hexdigest()


@dataclass(frozen=True)
class Script:
    """What each row of clean has to say, by whom and how."""

    cast: Cast
    prosody: ProsodyParams | None

    def utterance(self, row: Mapping[str, Any]) -> Utterance:
        """Of a row with the columns `SPOKEN_COLUMNS`."""
        speaker = self.cast.speaker(row["id"], row["tweet_id"])
        prosody = self.prosody.of(row["sentiment"]) if self.prosody else PLAIN
        return Utterance(row["spoken_text"], speaker, prosody)


SPOKEN_COLUMNS = ["id", "tweet_id", "spoken_text", "sentiment"]


def utterances_of(clean: Path, marker: shards.Marker, script: Script) -> list[tuple[str, Utterance]]:
    """(id, utterance) of each row of a shard of clean, in its order."""
    rows = shards.read_part(clean, marker, columns=SPOKEN_COLUMNS).to_pylist()
    return [(row["id"], script.utterance(row)) for row in rows]


def find_owners(clean: Path, sources: list[shards.Marker], script: Script, target: Path) -> list[int]:
    """Write which shard speaks each utterance (`PLACES`); returns the number of utterances that each shard speaks."""
    owner_of: dict[str, int] = {}
    rows: list[tuple[int, str, int]] = []
    for index, marker in enumerate(sources):
        keys = dict.fromkeys(utterance.key for _, utterance in utterances_of(clean, marker, script))
        rows += [(index, key, owner_of.setdefault(key, index)) for key in keys]
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], []]
    table = pa.table(columns, schema=PLACES)
    files.write_atomically(target, lambda temporary: pq.write_table(table, temporary, row_group_size=10_000))
    return [int(count) for count in np.bincount(list(owner_of.values()), minlength=len(sources))]


def read_places(path: Path, shard: int) -> dict[str, int]:
    """Shard of the recording of each utterance of `shard`."""
    table = pq.read_table(path, filters=pc.field("shard") == shard, partitioning=None)
    return dict(zip(table["utterance"].to_pylist(), table["owner"].to_pylist(), strict=True))


def record(
    spoken: NDArray[np.float32], sampling_rate_hz: int, energy_db: float, limits: audio.SpeechLimits
) -> tuple[bytes, float]:
    """FLAC bytes and duration in seconds of what a voice said.

    Raises:
        RowError: it breaks the limits.
    """
    waveform = at_level(audio.resample(spoken, sampling_rate_hz), energy_db)
    duration_seconds = audio.check_speech(waveform, audio.SAMPLING_RATE_HZ, limits)
    return audio.encode_flac(waveform, audio.SAMPLING_RATE_HZ), duration_seconds


class Recorder:
    """Worker: speaks the utterances that stand first in its shard, and listens to a share of them."""

    def __init__(
        self, voice: VoiceParams, limits: audio.SpeechLimits, share: float, clean: Path, script: Script, places: Path
    ) -> None:
        self.voice = load_voice(voice)
        self.limits = limits
        self.share = share
        self.recogniser = recogniser.Recogniser() if share else None
        self.clean = clean
        self.script = script
        self.places = places

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `RECORDED`, and a reject (id = key of the utterance) for each that cannot be spoken."""
        places = read_places(self.places, task.index)
        own: dict[str, Utterance] = {}
        for _, utterance in utterances_of(self.clean, task.payload, self.script):
            if places[utterance.key] == task.index:
                own[utterance.key] = utterance
        rows: list[dict[str, Any]] = []
        rejects: list[tuple[str, str, str]] = []
        keys = list(own)
        at_once = self.voice.requests_at_once
        # What is spoken together follows from the shard alone: a voice that draws noise per batch says the same again.
        for start in range(0, len(keys), at_once):
            chunk = keys[start : start + at_once]
            requests = [Request(own[key].text, own[key].speaker, own[key].prosody.rate) for key in chunk]
            for key, spoken in zip(chunk, self.voice.speak_batch(requests), strict=True):
                try:
                    rows.append(self._row(key, own[key], spoken))
                except RowError as error:
                    rejects.append((key, error.status, error.reason))
        return shards.Output(pa.Table.from_pylist(rows, schema=RECORDED), rejects)

    def _row(self, key: str, utterance: Utterance, spoken: Spoken) -> dict[str, Any]:
        if isinstance(spoken, RowError):
            raise spoken
        flac, duration_seconds = record(spoken, self.voice.sampling_rate_hz, utterance.prosody.energy_db, self.limits)
        row = {"utterance": key, "audio": flac, "duration_seconds": duration_seconds}
        return row | self._hear(key, utterance.text, flac)

    def _hear(self, key: str, text: str, flac: bytes) -> dict[str, Any]:
        if self.recogniser is None or not intelligibility.is_chosen(key, self.share):
            return {}
        waveform = audio.decode(flac)
        hearing = intelligibility.compare(text, self.recogniser.text(waveform))
        if intelligibility.is_doubtful(hearing):  # is it the voice, or the quick search?
            again = intelligibility.compare(text, self.recogniser.text(waveform, thorough=True))
            hearing = intelligibility.better(hearing, again)
        return asdict(hearing)
