"""First pass of `synthesize`: the recording of each distinct utterance, in parts that are kept one by one."""

from dataclasses import asdict, dataclass
from functools import partial
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
from pipeline.frame.stage import ENGLISH
from pipeline.media import audio
from pipeline.speech import intelligibility, recogniser
from pipeline.speech.intelligibility import Hearing, RecognitionParams
from pipeline.speech.script import Script, Utterance, utterances_of
from pipeline.voices import Request, Spoken, VoiceParams, load_voice

# One row per distinct utterance that could be spoken. `utterance` is the key of the join; the columns of a hearing are
# null where nothing was transcribed. The rate has 64 bits, or 0.6 would exceed a limit of 0.6.
RECORDED = pa.schema([
    required("utterance", pa.string()), required("audio", pa.binary()), required("duration_seconds", pa.float32()),
    ("word_error_rate", pa.float64()), ("character_error_rate", pa.float64()),
    ("missing_end_words", pa.int32()), ("heard", pa.string()),
])  # fmt: skip
# In which part of the first pass each utterance of a shard of clean is spoken.
PLACES = pa.schema([("shard", pa.int32()), ("utterance", pa.string()), ("part", pa.int32())])
PART_UTTERANCES = 64  # what a kill can cost, per worker: a minute or less of speaking and listening


@dataclass(frozen=True)
class Part:
    """A piece of work: some of the utterances that stand first in a shard of clean."""

    shard: int
    utterances: int


def divide(clean: Path, sources: list[shards.Marker], script: Script, target: Path) -> list[Part]:
    """Deal the distinct utterances to parts, in their order, and write which is where (`PLACES`)."""
    parts: list[Part] = []
    part_of: dict[str, int] = {}
    rows: list[tuple[int, str, int]] = []
    for shard, marker in enumerate(sources):
        keys = dict.fromkeys(utterance.key for _, utterance in utterances_of(clean, marker, script))
        new = [key for key in keys if key not in part_of]
        for start in range(0, len(new), PART_UTTERANCES):
            dealt = new[start : start + PART_UTTERANCES]
            part_of |= dict.fromkeys(dealt, len(parts))
            parts.append(Part(shard, len(dealt)))
        rows += [(shard, key, part_of[key]) for key in keys]
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], []]
    table = pa.table(columns, schema=PLACES)
    files.write_atomically(target, lambda temporary: pq.write_table(table, temporary, row_group_size=10_000))
    return parts


def read_places(path: Path, shard: int) -> dict[str, int]:
    """The part of each utterance of a shard of clean."""
    table = pq.read_table(path, filters=pc.field("shard") == shard, partitioning=None)
    return dict(zip(table["utterance"].to_pylist(), table["part"].to_pylist(), strict=True))


class Recorder:
    """Worker: speaks the utterances of a part, and listens to a share of them.

    A task's payload is the number and the marker of the part's shard of clean.
    """

    def __init__(
        self, voice: VoiceParams, limits: audio.SpeechLimits, recognition: RecognitionParams, clean: Path,
        script: Script, places: Path, language: str = ENGLISH,
    ) -> None:  # fmt: skip
        self.voice = load_voice(voice)
        self.limits = limits
        self.share = recognition.share
        self.recogniser = recogniser.Recogniser(recognition.model, language) if self.share else None
        self.clean = clean
        self.script = script
        self.places = places
        self.language = language

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `RECORDED`, and a reject (id = key of the utterance) for each that cannot be spoken."""
        shard, marker = task.payload
        part_of = read_places(self.places, shard)
        own: dict[str, Utterance] = {}
        for _, utterance in utterances_of(self.clean, marker, self.script):
            if part_of[utterance.key] == task.index:
                own[utterance.key] = utterance
        rows: list[dict[str, Any]] = []
        rejects: list[tuple[str, str, str]] = []
        keys = list(own)
        at_once = self.voice.requests_at_once
        # What is spoken together follows from the part alone: a voice that draws noise per batch says the same again.
        for start in range(0, len(keys), at_once):
            chunk = keys[start : start + at_once]
            requests = [Request(own[key].text, own[key].speaker, own[key].prosody) for key in chunk]
            for key, spoken in zip(chunk, self.voice.speak_batch(requests), strict=True):
                try:
                    rows.append({"utterance": key, **self._recording(own[key], spoken)})
                except RowError as error:
                    rejects.append((key, error.status, error.reason))
        chosen = [row for row in rows if self.recogniser and intelligibility.is_chosen(row["utterance"], self.share)]
        hearings = self._hear([own[row["utterance"]].text for row in chosen], [row["audio"] for row in chosen])
        for row, hearing in zip(chosen, hearings, strict=True):
            row.update(asdict(hearing))
        return shards.Output(pa.Table.from_pylist(rows, schema=RECORDED), rejects)

    def _recording(self, utterance: Utterance, spoken: Spoken) -> dict[str, Any]:
        if isinstance(spoken, RowError):
            raise spoken
        waveform = at_level(audio.resample(spoken, self.voice.sampling_rate_hz), utterance.prosody.energy_db)
        duration_seconds = audio.check_speech(waveform, audio.SAMPLING_RATE_HZ, self.limits)
        flac = audio.encode_flac(waveform, audio.SAMPLING_RATE_HZ)
        return {"audio": flac, "duration_seconds": duration_seconds}

    def _hear(self, texts: list[str], flacs: list[bytes]) -> list[Hearing]:
        """What is heard of each text in its recording."""
        if self.recogniser is None or not texts:
            return []
        waveforms = [audio.decode(flac) for flac in flacs]
        hear, compare = self.recogniser.texts, partial(intelligibility.compare, language=self.language)
        hearings = list(map(compare, texts, hear(waveforms)))
        # Is it the voice, or the quick search?
        doubtful = [number for number, hearing in enumerate(hearings) if intelligibility.is_doubtful(hearing)]
        again = hear([waveforms[number] for number in doubtful], thorough=True)
        for number, heard in zip(doubtful, again, strict=True):
            hearings[number] = intelligibility.better(hearings[number], compare(texts[number], heard))
        # Did the voice stop, or the recogniser? It may do so again at the same pause.
        for margin_words in intelligibility.MARGINS_WORDS:
            lacking = [number for number in doubtful if intelligibility.lacks_end(hearings[number])]
            ends = [self._end(waveforms[number], texts[number], hearings[number], margin_words) for number in lacking]
            for number, heard in zip(lacking, hear(ends, thorough=True), strict=True):
                hearings[number] = intelligibility.with_end(texts[number], hearings[number], heard, self.language)
        return hearings

    def _end(self, waveform: audio.Waveform, text: str, hearing: Hearing, margin_words: int) -> audio.Waveform:
        whole = len(waveform) / audio.SAMPLING_RATE_HZ
        seconds = intelligibility.end_seconds(hearing, text, whole, margin_words, self.language)
        return waveform[-round(seconds * audio.SAMPLING_RATE_HZ) :]


def at_level(waveform: NDArray[np.float32], energy_db: float) -> NDArray[np.float32]:
    """The waveform, float32 [samples], louder by `energy_db`."""
    return waveform if energy_db == 0 else waveform * np.float32(10 ** (energy_db / 20))
