"""synthesize: let a voice speak every tweet.

In   data/clean (id, spoken_text)
Out  data/speech: shards of `tables.SPEECH`, 16 kHz 16-bit mono FLAC; rejects with reasons
     reports/synthesize.json

A tweet has up to 4 images, and retweets repeat texts: each distinct text is spoken once, in the shard where it stands
first (first pass); the second pass joins the recordings to all rows by text.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic.dataclasses import dataclass

from pipeline import audio, tables
from pipeline.engine import files, shards
from pipeline.engine.fingerprint import code_version, fingerprint
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.errors import RowError, UserError
from pipeline.params import STRICT
from pipeline.reports import write_metrics
from pipeline.stage import Context, Report, stage_main
from pipeline.voices import Voice, VoiceParams, load_voice


@dataclass(frozen=True, config=STRICT)
class SynthesizeParams:
    """Section `synthesize`."""

    voice: VoiceParams
    limits: audio.SpeechLimits


# One row per distinct text: the recording, or why there is none. `text_sha256` is the key of the join.
RECORDED = pa.schema(
    [
        pa.field("text_sha256", pa.string(), nullable=False),
        pa.field("audio", pa.binary(), nullable=False),
        pa.field("duration_seconds", pa.float32(), nullable=False),
    ]
)
# Where the recording of each text is: shard of the first pass.
PLACES = pa.schema([("shard", pa.int32()), ("text_sha256", pa.string()), ("owner", pa.int32())])


def text_key(spoken_text: str) -> str:
    """Key of a distinct text."""
    return hashlib.sha256(spoken_text.encode()).hexdigest()


def record(voice: Voice, spoken_text: str, limits: audio.SpeechLimits) -> tuple[bytes, float]:
    """FLAC bytes and duration in seconds of one text.

    Raises:
        RowError: the voice can say nothing, or what it says breaks the limits.
    """
    waveform = audio.resample(voice.speak(spoken_text), voice.sampling_rate_hz)
    duration_seconds = audio.check_speech(waveform, audio.SAMPLING_RATE_HZ, limits)
    return audio.encode_flac(waveform, audio.SAMPLING_RATE_HZ), duration_seconds


class Recorder:
    """Worker of the first pass: speaks the texts that stand first in its shard."""

    def __init__(self, params: SynthesizeParams, clean: Path, places: Path) -> None:
        self.voice = load_voice(params.voice)
        self.limits = params.limits
        self.clean = clean
        self.places = places

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `RECORDED`, and a reject (id = key of the text) for each text that cannot be spoken."""
        texts = shards.read_part(self.clean, task.payload, columns=["spoken_text"])["spoken_text"].to_pylist()
        places = _places(self.places, task.index)
        rows, rejects = [], []
        for text in dict.fromkeys(texts):
            key = text_key(text)
            if places[key] != task.index:
                continue
            try:
                flac, duration_seconds = record(self.voice, text, self.limits)
                rows.append({"text_sha256": key, "audio": flac, "duration_seconds": duration_seconds})
            except RowError as error:
                rejects.append((key, error.status, error.reason))
        return shards.Output(pa.Table.from_pylist(rows, schema=RECORDED), rejects)


class Joiner:
    """Worker of the second pass: a row of speech for each row of clean."""

    def __init__(
        self, clean: Path, places: Path, recorded: Path, markers: list[shards.Marker], voice: tuple[str, str]
    ) -> None:
        self.clean = clean
        self.places = places
        self.recorded = recorded
        self.markers = markers
        self.voice_name, self.voice_digest = voice
        # A retweet is mostly close to its original, so a few shards at hand spare most of the reading.
        self.recordings = lru_cache(maxsize=4)(self._recordings)

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `tables.SPEECH`; the reject of a text becomes one reject per row that has it."""
        source = shards.read_part(self.clean, task.payload, columns=["id", "spoken_text"]).to_pylist()
        places = _places(self.places, task.index)
        rows, rejects = [], []
        for row in sorted(source, key=lambda row: places[text_key(row["spoken_text"])]):
            key = text_key(row["spoken_text"])
            recording = self.recordings(places[key])[key]
            if isinstance(recording, RowError):
                rejects.append((row["id"], recording.status, recording.reason))
            else:
                flac, duration_seconds = recording
                rows.append({
                    "id": row["id"], "audio": flac, "sampling_rate_hz": audio.SAMPLING_RATE_HZ,
                    "duration_seconds": duration_seconds, "voice": self.voice_name, "voice_digest": self.voice_digest,
                })  # fmt: skip
        order = {row["id"]: position for position, row in enumerate(source)}
        rows.sort(key=lambda row: order[row["id"]])
        return shards.Output(pa.Table.from_pylist(rows, schema=tables.SPEECH), rejects)

    def _recordings(self, shard: int) -> dict[str, tuple[bytes, float] | RowError]:
        marker = self.markers[shard]
        found: dict[str, tuple[bytes, float] | RowError] = {
            row["text_sha256"]: (row["audio"], row["duration_seconds"])
            for row in shards.read_part(self.recorded, marker, RECORDED).to_pylist()
        }
        for key, status, reason in shards.read_rejects(self.recorded, [marker]):
            found[key] = RowError(status, reason)
        return found


def run(params: SynthesizeParams, context: Context) -> Report:
    """See the module's docstring.

    Raises:
        UserError: the voice is not installed, clean is not there, or nothing could be spoken.
    """
    clean = context.paths.data / "clean"
    sources = shards.read_manifest(clean, "clean")
    voice = load_voice(params.voice)
    mark = fingerprint(
        params=params, voice=voice.digest, input=files.sha256_of(clean / shards.MANIFEST),
        code=code_version(__file__, [f"pipeline.voices.{params.voice.engine}"]),
    )  # fmt: skip
    work = work_folder(context.paths.work, "synthesize", mark)
    owned = _find_owners(clean, sources, work / "places.parquet")

    recorder = partial(Recorder, params, clean, work / "places.parquet")
    tasks = [shards.Task(index, owned[index], marker) for index, marker in enumerate(sources)]
    recorded = run_shards(context.engine, Work("synthesize", work / "recorded", mark, recorder, tasks))
    joiner = partial(Joiner, clean, work / "places.parquet", work / "recorded", recorded, (voice.name, voice.digest))
    tasks = [shards.Task(index, marker.part.rows, marker) for index, marker in enumerate(sources)]
    markers = run_shards(context.engine, Work("synthesize: join", work / "joined", mark, joiner, tasks))

    counts = shards.total_counts(markers)
    if not counts[shards.OK]:
        raise UserError(f"{clean}: none of {sum(owned)} texts could be spoken: {counts}")
    out = context.paths.data / "speech"
    shards.publish(work / "joined", markers, out)
    finish(work)
    return _report(sum(owned), counts, out, markers, context)


def _find_owners(clean: Path, sources: list[shards.Marker], target: Path) -> list[int]:
    """Write which shard speaks each text; returns the number of texts that each shard speaks."""
    owner_of: dict[str, int] = {}
    rows: list[tuple[int, str, int]] = []
    for index, marker in enumerate(sources):
        texts = shards.read_part(clean, marker, columns=["spoken_text"])["spoken_text"].to_pylist()
        keys = dict.fromkeys(map(text_key, texts))
        rows += [(index, key, owner_of.setdefault(key, index)) for key in keys]
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], []]
    table = pa.table(columns, schema=PLACES)
    files.write_atomically(target, lambda temporary: pq.write_table(table, temporary, row_group_size=10_000))
    return [int(count) for count in np.bincount(list(owner_of.values()), minlength=len(sources))]


def _places(path: Path, shard: int) -> dict[str, int]:
    """Shard of the recording of each text of `shard`."""
    table = pq.read_table(path, filters=pc.field("shard") == shard, partitioning=None)
    return dict(zip(table["text_sha256"].to_pylist(), table["owner"].to_pylist(), strict=True))


def _report(texts: int, counts: dict[str, int], out: Path, markers: list[shards.Marker], context: Context) -> Report:
    durations = np.concatenate(
        [
            shards.read_part(out, marker, columns=["duration_seconds"])["duration_seconds"].to_numpy()
            for marker in markers
        ]
    ).astype(np.float64)
    rejected = {status: count for status, count in counts.items() if status != shards.OK}
    metrics = {
        "rows_in": sum(counts.values()),
        "rows_out": counts[shards.OK],
        "rejected": rejected,
        "distinct_texts": texts,
        "duration_seconds": {
            "total": durations.sum(),
            "mean": durations.mean(),
            "shortest": durations.min(),
            "longest": durations.max(),
        },
    }
    write_metrics(context.paths.reports / "synthesize.json", metrics)
    note = f"{texts} distinct texts spoken; {durations.sum() / 60:.1f} minutes of speech"
    return Report(sum(counts.values()), counts[shards.OK], rejected, (note,))


if __name__ == "__main__":
    raise SystemExit(stage_main("synthesize", SynthesizeParams, run))
