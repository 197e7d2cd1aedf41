"""Batched VITS against coqui-tts's own call, one text at a time.

    python -m benchmarks.synthesis_batched [--data data] [--texts 8] [--rounds 2] [--threads 1] [--quick] [--json FILE]

By turns in one process: `Synthesizer.tts` of coqui-tts, the adapter one text at a time, and the adapter in batches. The
model is a VITS of the library's own default size with random weights, its pace set to that of speech; noise is 0, and
what the adapter says is compared with what the library says. `--quick` takes a tiny model. Where `SIER_DEVICE` is cuda
all of it runs there. Texts are those of data/clean; run `make repro` before.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import measure
from pipeline.engine import shards
from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import RowError, UserError
from pipeline.voices import CoquiParams, Request, at_peak, load_voice
from pipeline.voices.vits import VitsVoice, device

BATCHES = (2, 8)
CHARACTERS_PER_SECOND = 14.0  # of English read aloud
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
LIBRARY = "coqui-tts, one by one"


def write_model(folder: Path, quick: bool) -> None:
    """A VITS with random weights, as coqui-tts saves it."""
    from trainer.io import save_model  # noqa: PLC0415
    from TTS.tts.configs.shared_configs import CharactersConfig  # noqa: PLC0415
    from TTS.tts.configs.vits_config import VitsArgs, VitsConfig  # noqa: PLC0415
    from TTS.tts.models.vits import Vits  # noqa: PLC0415

    small: dict[str, Any] = {
        "hidden_channels": 32, "num_layers_posterior_encoder": 1, "upsample_initial_channel_decoder": 32,
    }  # fmt: skip
    letters = CharactersConfig(
        characters_class="TTS.tts.models.vits.VitsCharacters", pad="_", punctuations="!'(),-.:;? ", characters=LETTERS,
        phonemes="", blank="<BLNK>",
    )  # fmt: skip
    config = VitsConfig(
        model_args=VitsArgs(init_discriminator=False, **(small if quick else {})),
        characters=letters, use_phonemes=False, text_cleaner="basic_cleaners", add_blank=True,
    )  # fmt: skip
    config.audio.do_trim_silence = False  # else the library cuts quiet ends
    torch.manual_seed(7)
    model = Vits(config)
    config.save_json(str(folder / "config.json"))
    save_model(config, model, str(folder / "model_file.pth"), current_step=0, epoch=0)


def texts_of(data: Path, count: int) -> list[str]:
    """Distinct texts of data/clean, from all over it, in its order."""
    found: dict[str, None] = {}
    for marker in shards.read_manifest(data / "clean", "clean"):
        found |= dict.fromkeys(shards.read_part(data / "clean", marker, columns=["spoken_text"])[0].to_pylist())
    texts = list(found)
    return texts[:: max(1, len(texts) // count)][:count]


def library_at(folder: Path) -> Any:
    """coqui-tts with the model in `folder`, without noise."""
    from TTS.utils.synthesizer import Synthesizer  # noqa: PLC0415

    checkpoint, config = folder / "model_file.pth", folder / "config.json"
    library = Synthesizer(tts_checkpoint=checkpoint, tts_config_path=config, use_cuda=device() == "cuda")
    library.tts_model.inference_noise_scale = library.tts_model.inference_noise_scale_dp = 0.0
    return library


def said_by_library(library: Any, text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Without the silence that it adds to a sentence."""
    from TTS.utils.synthesizer import PAD_SILENCE_SAMPLES  # noqa: PLC0415

    return np.array(library.tts(text, split_sentences=False)[:-PAD_SILENCE_SAMPLES], dtype=np.float32)


def set_pace(library: Any, voice: VitsVoice, texts: list[str]) -> float:
    """Both as fast as people speak; seconds of speech in all."""
    longest = max(texts, key=len)
    natural = len(longest) / CHARACTERS_PER_SECOND
    pace = natural / (len(voice.speak(longest)) / voice.sampling_rate_hz)
    voice.__dict__["pace"] = library.tts_model.length_scale = pace
    return sum(len(said_by_library(library, text)) for text in texts) / voice.sampling_rate_hz


def compare(library: Any, voice: VitsVoice, texts: list[str]) -> tuple[float, int]:
    """What is said in batches beside what the library says: the largest difference, full scale = 1; and how many texts
    last a frame more or less, since a duration just at a whole number of frames can round either way.
    """
    largest, other = 0.0, 0
    for text, spoken in zip(texts, voice.speak_batch([Request(text) for text in texts]), strict=True):
        expected = at_peak(said_by_library(library, text))
        if isinstance(spoken, RowError):
            raise UserError(f"the adapter does not say {text}: {spoken.reason}")
        if len(spoken) == len(expected):
            largest = max(largest, float(np.abs(spoken - expected).max()))
        else:
            other += 1
    return largest, other


def actions_of(library: Any, voice: VitsVoice, texts: list[str]) -> dict[str, Callable[[], object]]:
    """Each way to speak all texts."""

    def one_by_one(speak: Callable[[str], object]) -> None:
        for text in texts:
            speak(text)

    def batched(size: int) -> None:
        voice.batch_size = size
        voice.speak_batch([Request(text) for text in texts])

    return {
        LIBRARY: partial(one_by_one, partial(said_by_library, library)),
        "adapter, one by one": partial(one_by_one, voice.speak),
        **{f"adapter, batches of {size}": partial(batched, size) for size in BATCHES},
    }


def with_cpu_seconds(actions: dict[str, Callable[[], object]], found: dict[str, list[float]]) -> dict[str, Any]:
    """The same actions, which also note the CPU seconds of each of their runs: those hold on a machine in use, too."""

    def run(name: str) -> None:
        begin = time.process_time()
        actions[name]()
        found.setdefault(name, []).append(time.process_time() - begin)

    return {name: partial(run, name) for name in actions}


def main() -> None:
    parser = measure.arguments("synthesis_batched", __doc__, "a tiny model, 4 texts, one round: that it runs")
    parser.add_argument("--data", type=Path, default=PROJECT / "data")
    parser.add_argument("--texts", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of the cpu; a worker of the stage has 1")
    options = parser.parse_args()
    facts = measure.machine()
    count, rounds = (4, 1) if options.quick else (options.texts, options.rounds)
    with tempfile.TemporaryDirectory(prefix="sier-vits-") as name:
        folder = Path(name)
        try:
            texts = texts_of(options.data, count)
            write_model(folder, options.quick)
            voice = load_voice(CoquiParams("coqui", str(folder), noise_scale=0.0, noise_scale_duration=0.0))
        except UserError as error:
            sys.exit(str(error))
        assert isinstance(voice, VitsVoice)
        library = library_at(folder)
        torch.set_num_threads(options.threads)
        speech_seconds = set_pace(library, voice, texts)
        difference, other = compare(library, voice, texts)
        cpu: dict[str, list[float]] = {}
        seconds = measure.by_turns(with_cpu_seconds(actions_of(library, voice, texts), cpu), rounds)
        cpu = {label: taken[1:] for label, taken in cpu.items()}  # the first round warms up

    print(f"\n{len(texts)} texts, {speech_seconds:.1f} s of speech, {voice.device}, threads: {options.threads}")
    for label, taken in seconds.items():
        speed = speech_seconds / statistics.median(taken)
        wall, of_cpu = (measure.median_ratio(kind[LIBRARY], kind[label]) for kind in (seconds, cpu))
        print(
            f"  {label:<24}{speed:8.2f} s of speech a second, {wall:5.2f} x the library ({of_cpu:.2f} x in CPU seconds)"
        )
    print(f"  largest difference to the library: {difference:.1e} of full scale; texts of another length: {other}")
    results = {
        "texts": len(texts), "speech_seconds": speech_seconds, "device": voice.device, "threads": options.threads,
        "largest_difference": difference, "texts_of_another_length": other, "seconds": seconds, "cpu_seconds": cpu,
    }  # fmt: skip
    measure.write_json("synthesis_batched", facts, results, options.json)


if __name__ == "__main__":
    main()
