"""synthesize: let a voice speak every tweet.

In   data/clean (id, tweet_id, spoken_text, sentiment)
Out  data/speech: shards of `tables.SPEECH`, 16 kHz 16-bit mono FLAC; rejects with reasons
     reports/synthesize.json, reports/plots/word_error_rate.csv

A tweet has up to 4 images, and retweets repeat texts: each distinct utterance (text, speaker, prosody) is spoken once,
in the shard where it stands first, and what a share of the recordings says is transcribed (first pass, see
`pipeline.speech.recordings`); the second pass joins the recordings to all rows, but for those that were not understood.
"""

from __future__ import annotations

from dataclasses import field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic.dataclasses import dataclass

from pipeline.engine import files, shards
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.store import Folder
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.errors import RowError, UserError
from pipeline.frame import tables
from pipeline.frame.metrics_files import write_metrics, write_plot
from pipeline.frame.params import STRICT
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.media import audio
from pipeline.speech import intelligibility, recogniser
from pipeline.speech.intelligibility import Hearing, RecognitionParams
from pipeline.speech.prosody import ProsodyParams
from pipeline.speech.recordings import RECORDED, Recorder, Script, find_owners, read_places, utterances_of
from pipeline.speech.speakers import SpeakerParams, cast_of
from pipeline.voices import VoiceParams, load_voice, voice_of


@dataclass(frozen=True, config=STRICT)
class SynthesizeParams:
    """Section `synthesize`.

    Attributes:
        voice: the engine and its model.
        speakers: which of the voice's speakers says a row.
        prosody: pace and level by sentiment; null for the voice's own throughout.
        limits: what speech must be like to be kept.
        recognition: what a recogniser must understand.
    """

    voice: VoiceParams
    limits: audio.SpeechLimits
    recognition: RecognitionParams
    speakers: SpeakerParams = field(default=SpeakerParams())
    prosody: ProsodyParams | None = field(default=None)


LIBRARIES = ("ctranslate2", "faster-whisper", "jiwer", "numpy", "pyarrow", "soundfile", "soxr")
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
            found[row["utterance"]] = intelligibility.fault_of(_hearing(row), self.params) or columns
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
    script = Script(cast_of(params.speakers, voice.speakers, voice.name, context.base.seed), params.prosody)
    share = params.recognition.share
    # Without the limits of recognition: with others, only the second pass is done anew.
    mark = fingerprint(
        params=(params.voice, params.limits, share), input=files.sha256_of(clean / shards.MANIFEST), script=script,
        voice=voice.digest, recogniser=recogniser.DIGEST if share else None,
        code=code_version(__file__, [f"pipeline.voices.{params.voice.engine}"]),
        libraries=library_versions([*LIBRARIES, *voice.libraries]),
    )  # fmt: skip
    work = work_folder(context.paths.work, "synthesize", mark)
    stored = work_folder(context.paths.shards, "synthesize", mark)
    places = work / "places.parquet"
    owned = find_owners(clean, sources, script, places)

    recorder = partial(Recorder, params.voice, params.limits, share, clean, script, places)
    tasks = [shards.Task(index, owned[index], marker) for index, marker in enumerate(sources)]
    first = Work("synthesize", stored / "recorded", mark, recorder, tasks, last=False)
    recorded = run_shards(context.engine, first)
    said_by = (voice.name, voice.digest)
    joiner = partial(Joiner, params.recognition, clean, script, places, first.folder, recorded, said_by)
    tasks = [shards.Task(index, marker.part.rows, marker) for index, marker in enumerate(sources)]
    joined = fingerprint(recorded=mark, recognition=params.recognition)
    markers = run_shards(context.engine, Work("synthesize: join", stored / "joined", joined, joiner, tasks))

    counts = shards.total_counts(markers)
    if not counts[shards.OK]:
        raise UserError(f"{clean}: none of {sum(owned)} utterances could be spoken so that it is understood: {counts}")
    out = context.paths.data / "speech"
    parts = (shards.read_part(first.folder, marker, columns=HEARING).to_pylist() for marker in recorded)
    hearings = (hearing for part in parts for row in part if (hearing := _hearing(row)))
    metrics, plot = intelligibility.summarise(hearings, params.recognition)
    shards.publish(stored / "joined", markers, out)
    finish(work, stored)
    write_plot(context.paths.reports / "plots" / "word_error_rate.csv", ("series", "word_error_rate", "texts"), plot)
    texts = {utterance.text for marker in sources for _, utterance in utterances_of(clean, marker, script)}
    return _report(len(texts), sum(owned), counts, out, markers, metrics, context)


def _report(
    texts: int,
    utterances: int,
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
        "distinct_utterances": utterances,
        "duration_seconds": {
            "total": durations.sum(),
            "mean": durations.mean(),
            "shortest": durations.min(),
            "longest": durations.max(),
        },
        "recognition": recognition,
    }
    write_metrics(context.paths.reports / "synthesize.json", metrics)
    note = f"{utterances} distinct utterances spoken; {durations.sum() / 60:.1f} minutes of speech"
    return Report(sum(counts.values()), counts[shards.OK], rejected, (note,))


if __name__ == "__main__":
    raise SystemExit(stage_main("synthesize", SynthesizeParams, run, sharded=True))
