"""Speaking tweets: the stage's worker against the bare model, and the stage against what one would run instead.

    python -m benchmarks.synthesis [--data data] [--texts 200] [--rounds 3] [--quick] [--json FILE]

On one thread in one process, by turns: `session.run` of onnxruntime on phonemes that are ready (the bare model, which
no arrangement can beat), and the worker of `pipeline.synthesize` (texts to phonemes, model, resampling, checks, FLAC),
both with Piper's voice; then, listening to all texts, the worker with the voice of params.yaml and the same worker as
it was with Piper and a recogniser that hears one recording after another. On all cores, each as a process from start to
end, with Piper's voice: the stage, piper's own command line, and a loop over `PiperVoice.synthesize_wav`. Texts are
those of data/clean; run `make repro` before.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks import measure
from pipeline.engine import shards
from pipeline.engine.fingerprint import PROJECT
from pipeline.engine.local import LocalEngine
from pipeline.engine.work import Work, run_shards
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.params import PARAMS_FILE, read_params, section
from pipeline.media.audio import SAMPLING_RATE_HZ, Waveform
from pipeline.speech import recogniser, recordings
from pipeline.speech.params import SynthesizeParams
from pipeline.speech.script import SPOKEN_COLUMNS, Cast, Script
from pipeline.voices import PiperParams, load_voice
from pipeline.voices.piper import PACKAGED, PiperVoice, _packaged_files

SHARD_TEXTS = recordings.PART_UTTERANCES
ONE_THREAD_TEXTS = (
    SHARD_TEXTS  # shares of the bare model settle early; processes need many texts to outweigh their start
)
OF_BARE_MODEL = 0.95
OVER_ONE_BY_ONE = 3.0
PIPER = PiperParams("piper", "en_US-joe-medium")
SCRIPT = Script(Cast("one", ()), None)


class OneByOne(recogniser.Recogniser):
    """The recogniser as it was before batches: each recording for itself, with 8 s of silence after it."""

    def texts(self, waveforms: Sequence[Waveform], *, thorough: bool = False) -> list[str]:
        heard = []
        for waveform in waveforms:
            seconds = len(waveform) / SAMPLING_RATE_HZ
            samples = int(min(30.0, 30.0 if thorough else seconds + 8) * SAMPLING_RATE_HZ)
            window = recogniser._Window(samples, 12 + math.ceil(12 * seconds))
            heard += self._search([waveform], window, thorough)
        return heard


def params(share: float, *, default: bool = False) -> SynthesizeParams:
    """Section `synthesize`, with that share of texts transcribed, and Piper's voice unless it is to be the default."""
    read = section(read_params(PROJECT / PARAMS_FILE), "synthesize", SynthesizeParams)
    voice = read.voice if default else PIPER
    return replace(read, voice=voice, recognition=replace(read.recognition, share=share))


def make_clean(data: Path, texts: int, folder: Path) -> list[str]:
    """The first distinct texts of data/clean as shards with nothing else, in `folder`/clean; returns them."""
    markers = shards.read_manifest(data / "clean", "clean")
    parts = [shards.read_part(data / "clean", marker, columns=["spoken_text"]) for marker in markers]
    found = list(dict.fromkeys(pa.concat_tables(parts)["spoken_text"].to_pylist()))[:texts]
    made = []
    for index, start in enumerate(range(0, len(found), SHARD_TEXTS)):
        rows = [dict.fromkeys(SPOKEN_COLUMNS, "") | {"spoken_text": text} for text in found[start:][:SHARD_TEXTS]]
        table = pa.Table.from_pylist(rows, schema=pa.schema([tables.CLEAN.field(name) for name in SPOKEN_COLUMNS]))
        made.append(shards.commit(folder / "made", shards.Task(index, len(table), None), shards.Output(table), ""))
    shards.publish(folder / "made", made, folder / "clean")
    return found


def tasks_of(folder: Path) -> list[shards.Task]:
    """The work of the stage's first pass over `folder`/clean."""
    sources = shards.read_manifest(folder / "clean", "clean")
    parts = recordings.divide(folder / "clean", sources, SCRIPT, folder / "places.parquet")
    return [shards.Task(n, part.utterances, (part.shard, sources[part.shard])) for n, part in enumerate(parts)]


def worker(share: float, folder: Path, *, default: bool = False) -> partial[recordings.Recorder]:
    """A worker of that pass, which listens to a share of the recordings."""
    chosen = params(share, default=default)
    places = folder / "places.parquet"
    return partial(
        recordings.Recorder, chosen.voice, chosen.limits, chosen.recognition, folder / "clean", SCRIPT, places
    )


def in_one_thread(folder: Path, texts: list[str], rounds: int) -> dict[str, list[float]]:
    """Seconds of each round of the bare model and of the workers."""
    voice = load_voice(params(0.0).voice)
    assert isinstance(voice, PiperVoice)
    engine = voice._engine
    ready = [
        engine.phonemes_to_ids(phonemes) for text in texts for phonemes in engine.phonemize(text.replace("[[", " "))
    ]
    tasks = tasks_of(folder)[: -(-len(texts) // SHARD_TEXTS)]

    def bare() -> None:
        settings = _settings(voice.length_scale)
        for ids in ready:
            engine.phoneme_ids_to_audio(ids, settings)

    def work(recorder: recordings.Recorder) -> None:
        for task in tasks:
            recorder(task)

    before = worker(1.0, folder)()
    before.recogniser = OneByOne()
    workers = {
        "worker": worker(0.0, folder)(), "and recogniser": worker(1.0, folder)(), "one by one": before,
        "default voice, listening": worker(1.0, folder, default=True)(),
    }  # fmt: skip
    return measure.by_turns({"bare model": bare, **{name: partial(work, one) for name, one in workers.items()}}, rounds)


def _settings(length_scale: float) -> Any:
    from piper import SynthesisConfig  # noqa: PLC0415

    return SynthesisConfig(length_scale=length_scale, noise_scale=0.0, noise_w_scale=0.0)


def run_stage(folder: Path) -> None:
    """All texts on all cores, as `pipeline.synthesize` does in its first pass, into an empty folder."""
    recorder = worker(0.0, folder)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        run_shards(LocalEngine(measure.cores()), Work("synthesize", Path(out), "benchmark", recorder, tasks_of(folder)))


def run_loop(folder: Path, model: Path) -> None:
    """What a first script would do."""
    from piper import PiperVoice as Engine  # noqa: PLC0415

    engine = Engine.load(model)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        for number, text in enumerate((folder / "texts.txt").read_text(encoding="utf-8").splitlines()):
            with wave.open(f"{out}/{number}.wav", "wb") as file:
                engine.synthesize_wav(text, file)


def model_file() -> Path:
    """The .onnx file of Piper's voice."""
    return _packaged_files(PACKAGED[PIPER.model][0], PIPER.model)[0]


def on_all_cores(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each round of whole processes."""
    here = ("-m", "benchmarks.synthesis", "--folder", str(folder), "--only")
    (folder / "cli").mkdir()
    commands = {
        "stage": measure.python(*here, "stage"),
        "piper's command line": measure.python(
            "-m", "piper", "-m", str(model_file()), "-i", str(folder / "texts.txt"), "-d", str(folder / "cli")
        ),
        "one-by-one loop": measure.python(*here, "loop"),
    }
    return measure.by_turns({name: partial(measure.run, line, PROJECT) for name, line in commands.items()}, rounds)


def main() -> None:
    parser = measure.arguments("synthesis", __doc__, "6 texts, one round: that it runs")
    parser.add_argument("--data", type=Path, default=PROJECT / "data")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=["stage", "loop"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        run_stage(options.folder) if options.only == "stage" else run_loop(options.folder, model_file())
        return
    facts = measure.machine()
    wanted, rounds = (6, 1) if options.quick else (options.texts, options.rounds)
    with tempfile.TemporaryDirectory(prefix="sier-synthesis-") as name:
        folder = Path(name)
        try:
            texts = make_clean(options.data, wanted, folder)
        except UserError as error:
            sys.exit(str(error))
        (folder / "texts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
        few = texts[:ONE_THREAD_TEXTS]
        one_thread = in_one_thread(folder, few, rounds)
        all_cores = on_all_cores(folder, rounds)

    print(f"\n{len(few)} texts, medians of {rounds} rounds by turns; one thread, one process")
    for label, seconds in one_thread.items():
        share = measure.median_ratio(one_thread["bare model"], seconds)
        print(f"  {label:<24}{len(few) / statistics.median(seconds):8.1f} texts/s  {share:6.3f} of the bare model")
    print(f"{len(texts)} texts, all {measure.cores()} cores, whole processes")
    for label, seconds in all_cores.items():
        faster = measure.median_ratio(seconds, all_cores["stage"])
        print(f"  {label:<24}{len(texts) / statistics.median(seconds):8.1f} texts/s  stage is {faster:5.2f} x as fast")
    reached = measure.median_ratio(one_thread["bare model"], one_thread["worker"])
    over_before = measure.median_ratio(one_thread["one by one"], one_thread["default voice, listening"])
    ahead = min(measure.median_ratio(all_cores[name], all_cores["stage"]) for name in list(all_cores)[1:])
    checked = [
        measure.Target("worker, of the bare model", reached, OF_BARE_MODEL),
        measure.Target("synthesis stage (voice + recogniser on all texts)", over_before, OVER_ONE_BY_ONE),
        measure.Target(f"stage ahead of both, {len(texts)} texts", ahead, 1.0),
    ]
    measure.tell(checked)
    results = {
        "texts": len(texts),
        "one_thread_texts": len(few),
        "one_thread_seconds": one_thread,
        "all_cores_seconds": all_cores,
    }
    measure.write_json("synthesis", facts, results | measure.as_json(checked), options.json)


if __name__ == "__main__":
    main()
