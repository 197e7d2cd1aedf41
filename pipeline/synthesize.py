"""synthesize: let a voice speak every tweet.

In   data/clean (id, spoken_text)
Out  data/speech: shards of `tables.SPEECH`, 16 kHz 16-bit mono FLAC; rejects with reasons
     reports/synthesize.json, reports/plots/word_error_rate.csv

A tweet has up to 4 images, and retweets repeat texts: each distinct text is spoken once, in the shard where it stands
first, and what a share of the recordings says is transcribed (first pass); the second pass joins the recordings to all
rows by text, but for those that the recogniser did not understand.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic.dataclasses import dataclass

from pipeline import audio, intelligibility, recogniser, tables
from pipeline.engine import files, shards
from pipeline.engine.fingerprint import code_version, fingerprint
from pipeline.engine.store import Folder
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.errors import RowError, UserError
from pipeline.intelligibility import Hearing, RecognitionParams
from pipeline.params import STRICT
from pipeline.reports import write_metrics, write_plot
from pipeline.stage import Context, Report, stage_main
from pipeline.voices import Voice, VoiceParams, load_voice


@dataclass(frozen=True, config=STRICT)
class SynthesizeParams:
    """Section `synthesize`."""

    voice: VoiceParams
    limits: audio.SpeechLimits
    recognition: RecognitionParams


# One row per distinct text that could be spoken. `text_sha256` is the key of the join; the columns of a hearing are
# null where nothing was transcribed. The rate has 64 bits, or 0.6 would exceed a limit of 0.6.
RECORDED = pa.schema(
    [
        pa.field("text_sha256", pa.string(), nullable=False),
        pa.field("audio", pa.binary(), nullable=False),
        pa.field("duration_seconds", pa.float32(), nullable=False),
        pa.field("word_error_rate", pa.float64()),
        pa.field("missing_end_words", pa.int32()),
        pa.field("heard", pa.string()),
    ]
)
HEARING = ["word_error_rate", "missing_end_words", "heard"]
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
    """Worker of the first pass: speaks the texts that stand first in its shard, and listens to a share of them."""

    def __init__(self, params: SynthesizeParams, clean: Path, places: Path) -> None:
        self.voice = load_voice(params.voice)
        self.limits = params.limits
        self.share = params.recognition.share
        self.recogniser = recogniser.Recogniser() if self.share else None
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
            except RowError as error:
                rejects.append((key, error.status, error.reason))
                continue
            row = {"text_sha256": key, "audio": flac, "duration_seconds": duration_seconds}
            rows.append(row | self._hear(key, text, flac))
        return shards.Output(pa.Table.from_pylist(rows, schema=RECORDED), rejects)

    def _hear(self, key: str, text: str, flac: bytes) -> dict[str, Any]:
        if self.recogniser is None or not intelligibility.is_chosen(key, self.share):
            return {}
        waveform = audio.decode(flac)
        hearing = intelligibility.compare(text, self.recogniser.text(waveform))
        if intelligibility.is_doubtful(hearing):  # is it the voice, or the quick search?
            again = intelligibility.compare(text, self.recogniser.text(waveform, thorough=True))
            hearing = intelligibility.better(hearing, again)
        return asdict(hearing)


class Joiner:
    """Worker of the second pass: a row of speech for each row of clean, unless its speech was not understood."""

    def __init__(
        self,
        params: RecognitionParams,
        clean: Path,
        places: Path,
        recorded: Folder,
        markers: list[shards.Marker],
        voice: tuple[str, str],
    ) -> None:
        self.params = params
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
                rows.append({
                    "id": row["id"], "sampling_rate_hz": audio.SAMPLING_RATE_HZ, "voice": self.voice_name,
                    "voice_digest": self.voice_digest, **recording,
                })  # fmt: skip
        order = {row["id"]: position for position, row in enumerate(source)}
        rows.sort(key=lambda row: order[row["id"]])
        return shards.Output(pa.Table.from_pylist(rows, schema=tables.SPEECH), rejects)

    def _recordings(self, shard: int) -> dict[str, dict[str, Any] | RowError]:
        """Of each text that the shard speaks: its columns of `tables.SPEECH`, or why it has none."""
        marker = self.markers[shard]
        found: dict[str, dict[str, Any] | RowError] = {}
        for row in shards.read_part(self.recorded, marker, RECORDED).to_pylist():
            columns = {name: row[name] for name in ("audio", "duration_seconds", "word_error_rate")}
            found[row["text_sha256"]] = intelligibility.fault_of(_hearing(row), self.params) or columns
        for key, status, reason in shards.read_rejects(self.recorded, [marker]):
            found[key] = RowError(status, reason)
        return found


def _hearing(row: dict[str, Any]) -> Hearing | None:
    """What was heard of a row of `RECORDED`; None where nobody listened."""
    return None if row["heard"] is None else Hearing(**{name: row[name] for name in HEARING})


def run(params: SynthesizeParams, context: Context) -> Report:
    """See the module's docstring.

    Raises:
        UserError: the voice is not installed, clean is not there, or nothing could be spoken.
    """
    clean = context.paths.data / "clean"
    sources = shards.read_manifest(clean, "clean")
    voice = load_voice(params.voice)
    share = params.recognition.share
    # Without the limits of recognition: with others, only the second pass is done anew.
    mark = fingerprint(
        params=(params.voice, params.limits, share), input=files.sha256_of(clean / shards.MANIFEST),
        voice=voice.digest, recogniser=recogniser.DIGEST if share else None,
        code=code_version(__file__, [f"pipeline.voices.{params.voice.engine}"]),
    )  # fmt: skip
    work = work_folder(context.paths.work, "synthesize", mark)
    stored = work_folder(context.paths.shards, "synthesize", mark)
    owned = _find_owners(clean, sources, work / "places.parquet")

    recorder = partial(Recorder, params, clean, work / "places.parquet")
    tasks = [shards.Task(index, owned[index], marker) for index, marker in enumerate(sources)]
    first = Work("synthesize", stored / "recorded", mark, recorder, tasks, last=False)
    recorded = run_shards(context.engine, first)
    said_by = (voice.name, voice.digest)
    joiner = partial(Joiner, params.recognition, clean, work / "places.parquet", first.folder, recorded, said_by)
    tasks = [shards.Task(index, marker.part.rows, marker) for index, marker in enumerate(sources)]
    joined = fingerprint(recorded=mark, recognition=params.recognition)
    markers = run_shards(context.engine, Work("synthesize: join", stored / "joined", joined, joiner, tasks))

    counts = shards.total_counts(markers)
    if not counts[shards.OK]:
        raise UserError(f"{clean}: none of {sum(owned)} texts could be spoken so that it is understood: {counts}")
    out = context.paths.data / "speech"
    parts = (shards.read_part(first.folder, marker, columns=HEARING).to_pylist() for marker in recorded)
    hearings = (hearing for part in parts for row in part if (hearing := _hearing(row)))
    metrics, plot = intelligibility.summarise(hearings, params.recognition)
    shards.publish(stored / "joined", markers, out)
    finish(work, stored)
    write_plot(context.paths.reports / "plots" / "word_error_rate.csv", ("series", "word_error_rate", "texts"), plot)
    return _report(sum(owned), counts, out, markers, metrics, context)


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


def _report(
    texts: int,
    counts: dict[str, int],
    out: Path,
    markers: list[shards.Marker],
    recognition: dict[str, Any],
    context: Context,
) -> Report:
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
        "recognition": recognition,
    }
    write_metrics(context.paths.reports / "synthesize.json", metrics)
    note = f"{texts} distinct texts spoken; {durations.sum() / 60:.1f} minutes of speech"
    return Report(sum(counts.values()), counts[shards.OK], rejected, (note,))


if __name__ == "__main__":
    raise SystemExit(stage_main("synthesize", SynthesizeParams, run, sharded=True))
