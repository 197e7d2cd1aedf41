"""synthesize: let a voice speak every tweet.

In   data/clean (id, tweet_id, spoken_text, sentiment)
Out  data/speech: shards of `tables.SPEECH`, 16 kHz 16-bit mono FLAC; rejects with reasons
     reports/synthesize.json, reports/plots/word_error_rate.csv

A tweet has up to 4 images, and retweets repeat texts: each distinct utterance (text, speaker, prosody) is spoken once,
and what a share of the recordings says is transcribed (first pass, in small parts, see `pipeline.speech.recordings`);
the second pass joins the recordings to all rows, but for those that were not understood.
"""

from functools import partial

from pipeline.engine import files, shards
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.errors import UserError
from pipeline.frame.metrics_files import write_plot
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.speech import intelligibility, loading
from pipeline.speech.joining import HEARING, Joiner, hearing_of, speech_metrics
from pipeline.speech.params import SynthesizeParams
from pipeline.speech.recordings import Recorder, divide
from pipeline.speech.script import utterances_of

LIBRARIES = ("ctranslate2", "faster-whisper", "jiwer", "numpy", "pyarrow", "soundfile", "soxr")


def run(params: SynthesizeParams, context: Context) -> Report:
    """Raises UserError: the voice is not installed, clean is not there, or nothing could be spoken."""
    clean = context.paths.data / "clean"
    sources = shards.read_manifest(clean, "clean")
    loaded = loading.load(params, context.base)
    voice, script = loaded.voice, loaded.script
    # Without the limits of recognition: with others, only the second pass is done anew.
    mark = fingerprint(
        params=(params.voice, params.limits, params.recognition.share), input=files.sha256_of(clean / shards.MANIFEST),
        script=script, voice=voice.digest, recogniser=loaded.recogniser,
        code=code_version(__file__, [f"pipeline.voices.{params.voice.engine}"]),
        libraries=library_versions([*LIBRARIES, *voice.libraries]),
    )  # fmt: skip
    work = work_folder(context.paths.work, "synthesize", mark)
    stored = work_folder(context.paths.shards, "synthesize", mark)
    places = work / "places.parquet"
    parts = divide(clean, sources, script, places)

    recorder = partial(
        Recorder, params.voice, params.limits, params.recognition, clean, script, places, context.base.language
    )
    tasks = [shards.Task(n, part.utterances, (part.shard, sources[part.shard])) for n, part in enumerate(parts)]
    first = Work("synthesize", stored / "recorded", mark, recorder, tasks, last=False)
    recorded = run_shards(context.engine, first)
    said_by = (voice.name, voice.digest)
    joiner = partial(Joiner, params.recognition, clean, script, places, first.folder, recorded, said_by)
    tasks = [shards.Task(index, marker.part.rows, marker) for index, marker in enumerate(sources)]
    joined = fingerprint(recorded=mark, recognition=params.recognition)
    markers = run_shards(context.engine, Work("synthesize: join", stored / "joined", joined, joiner, tasks))

    counts = shards.total_counts(markers)
    utterances = sum(part.utterances for part in parts)
    if not counts[shards.OK]:
        raise UserError(f"{clean}: none of {utterances} utterances could be spoken so that it is understood: {counts}")
    out = context.paths.data / "speech"
    heard = (shards.read_part(first.folder, marker, columns=HEARING).to_pylist() for marker in recorded)
    hearings = (hearing for part in heard for row in part if (hearing := hearing_of(row)))
    metrics, plot = intelligibility.summarise(hearings, params.recognition)
    shards.publish(stored / "joined", markers, out)
    finish(work, stored)
    write_plot(context.paths.reports / "plots" / "word_error_rate.csv", ("series", "word_error_rate", "texts"), plot)
    texts = {utterance.text for marker in sources for _, utterance in utterances_of(clean, marker, script)}
    return speech_metrics(len(texts), utterances, counts, out, markers, metrics, context)


if __name__ == "__main__":
    raise SystemExit(stage_main("synthesize", SynthesizeParams, run, sharded=True))
