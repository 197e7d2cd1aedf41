"""First pass of `synthesize`: the recording of each distinct utterance."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.engine import files, shards
from pipeline.engine.rejects import required
from pipeline.errors import RowError
from pipeline.media import audio
from pipeline.speech import intelligibility, recogniser
from pipeline.speech.intelligibility import RecognitionParams
from pipeline.speech.script import Script, Utterance, utterances_of
from pipeline.voices import Request, Spoken, VoiceParams, load_voice

# One row per distinct utterance that could be spoken. `utterance` is the key of the join; the columns of a hearing are
# null where nothing was transcribed. The rate has 64 bits, or 0.6 would exceed a limit of 0.6.
RECORDED = pa.schema([
    required("utterance", pa.string()), required("audio", pa.binary()), required("duration_seconds", pa.float32()),
    ("word_error_rate", pa.float64()), ("missing_end_words", pa.int32()), ("heard", pa.string()),
])  # fmt: skip
# Where the recording of each utterance of a shard is: the shard of the first pass that speaks it, its owner.
PLACES = pa.schema([("shard", pa.int32()), ("utterance", pa.string()), ("owner", pa.int32())])


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
    """Owner of each utterance of `shard`."""
    table = pq.read_table(path, filters=pc.field("shard") == shard, partitioning=None)
    return dict(zip(table["utterance"].to_pylist(), table["owner"].to_pylist(), strict=True))


class Recorder:
    """Worker: speaks the utterances that stand first in its shard, and listens to a share of them."""

    def __init__(
        self, voice: VoiceParams, limits: audio.SpeechLimits, recognition: RecognitionParams, clean: Path,
        script: Script, places: Path,
    ) -> None:  # fmt: skip
        self.voice = load_voice(voice)
        self.limits = limits
        self.share = recognition.share
        self.recogniser = recogniser.Recogniser(recognition.model) if self.share else None
        self.clean = clean
        self.script = script
        self.places = places

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `RECORDED`, and a reject (id = key of the utterance) for each that cannot be spoken."""
        owner_of = read_places(self.places, task.index)
        own: dict[str, Utterance] = {}
        for _, utterance in utterances_of(self.clean, task.payload, self.script):
            if owner_of[utterance.key] == task.index:
                own[utterance.key] = utterance
        rows: list[dict[str, Any]] = []
        rejects: list[tuple[str, str, str]] = []
        keys = list(own)
        at_once = self.voice.requests_at_once
        # What is spoken together follows from the shard alone: a voice that draws noise per batch says the same again.
        for start in range(0, len(keys), at_once):
            chunk = keys[start : start + at_once]
            requests = [Request(own[key].text, own[key].speaker, own[key].prosody) for key in chunk]
            for key, spoken in zip(chunk, self.voice.speak_batch(requests), strict=True):
                try:
                    rows.append({"utterance": key, **self._recording(key, own[key], spoken)})
                except RowError as error:
                    rejects.append((key, error.status, error.reason))
        return shards.Output(pa.Table.from_pylist(rows, schema=RECORDED), rejects)

    def _recording(self, key: str, utterance: Utterance, spoken: Spoken) -> dict[str, Any]:
        if isinstance(spoken, RowError):
            raise spoken
        waveform = at_level(audio.resample(spoken, self.voice.sampling_rate_hz), utterance.prosody.energy_db)
        duration_seconds = audio.check_speech(waveform, audio.SAMPLING_RATE_HZ, self.limits)
        flac = audio.encode_flac(waveform, audio.SAMPLING_RATE_HZ)
        return {"audio": flac, "duration_seconds": duration_seconds, **self._hear(key, utterance.text, flac)}

    def _hear(self, key: str, text: str, flac: bytes) -> dict[str, Any]:
        if self.recogniser is None or not intelligibility.is_chosen(key, self.share):
            return {}
        waveform = audio.decode(flac)
        hearing = intelligibility.compare(text, self.recogniser.text(waveform))
        if intelligibility.is_doubtful(hearing):  # is it the voice, or the quick search?
            again = intelligibility.compare(text, self.recogniser.text(waveform, thorough=True))
            hearing = intelligibility.better(hearing, again)
        return asdict(hearing)


def at_level(waveform: NDArray[np.float32], energy_db: float) -> NDArray[np.float32]:
    """The waveform, float32 [samples], louder by `energy_db`."""
    return waveform if energy_db == 0 else waveform * np.float32(10 ** (energy_db / 20))
