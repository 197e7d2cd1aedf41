"""The words of a recording as text, as fast as one core can: Whisper tiny.en, greedy, 8-bit weights, no word times.

`synthesize.recognition.model` can name another Whisper in CTranslate2's format; what follows is of tiny.en.

Whisper was trained on clips padded with silence to 30 s. Without padding it does not find the end and repeats itself;
all 30 s cost 2.4 times as much as 8 s of silence after the speech, and hear hardly better (100 texts of the sample,
mean word error rate: no padding 0.43, 2 s 0.17, 4 s 0.11, 8 s 0.09, up to 30 s 0.08). 8-bit weights hear as well as
32-bit ones at more than one and a half times the speed. Words are searched in batches, for one by one half of the
time goes into weights on their way from memory, for each word anew. A batch holds recordings of one window, which
follows from the length of each alone, so that nothing is padded to a neighbour and no transcript depends on one.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from models.weights.whisper_weights import MAX_SECONDS, MODEL_FILE
from pipeline.engine.files import sha256_of
from pipeline.errors import UserError, first_line
from pipeline.frame.stage import ENGLISH
from pipeline.media.audio import SAMPLING_RATE_HZ, Waveform

SILENCE_SECONDS = 6  # at least; where speech is rounded up to the grid, there is up to that more
GRID_SECONDS = 2
BATCH_RECORDINGS = 16
THOROUGH_BEAM = 5
START, END = "<|startoftranscript|>", "<|notimestamps|>"
PROMPT_TOKENS = 2  # models of many languages have two more: "<|en|>", "<|transcribe|>"
# Fast English has six tokens per second; the bound ends what goes round in circles.
TOKENS_PER_SECOND = 12
TOKENS_AT_LEAST = 10

# Changed by hand whenever the way from waveform to text changes, so that old word error rates are not taken for new.
_RECIPE = (
    f"int8; greedy, {SILENCE_SECONDS} s of silence and up to the next {GRID_SECONDS} s; "
    f"thorough: beam {THOROUGH_BEAM}, 30 s; version 2"
)

_MANY = "expected a Whisper of many languages, such as base, or share: 0"

# What is read of a model's folder. Where the tokenizer is missing, faster-whisper would download one.
_NEEDED = ("config.json", "model.bin", "tokenizer.json")
_READ = (*_NEEDED, "preprocessor_config.json", "vocabulary.json", "vocabulary.txt")


def digest_of(model: str | None, language: str = ENGLISH) -> str:
    """Of all that decides what is heard; a folder with the packaged files has their digest. UserError: no model."""
    weights = MODEL_FILE.sha256
    if model is not None:
        try:
            found = {name: sha256_of(file) for name in _READ if (file := Path(model) / name).is_file()}
        except OSError as error:
            raise _model_error(model, f"cannot read it: {error.strerror}") from None
        if missing := sorted({*_NEEDED} - {*found}):
            expected = "expected a folder with a Whisper model in CTranslate2's format, or null"
            raise _model_error(model, f"{', '.join(missing)} not found; {expected}")
        weights = weights if found == MODEL_FILE.digests else str(sorted(found.items()))
    spoken = "" if language == ENGLISH else f" {language}"
    return hashlib.sha256(f"{weights} {_RECIPE}{spoken}".encode()).hexdigest()


@dataclass(frozen=True, order=True)
class _Window:
    """What a recording is heard in; it follows from its own length alone. Recordings of one window are a batch."""

    samples: int  # speech and the silence after it
    tokens: int  # at most

    @classmethod
    def of(cls, speech: Waveform, *, thorough: bool) -> "_Window":
        spoken_seconds = GRID_SECONDS * math.ceil(len(speech) / SAMPLING_RATE_HZ / GRID_SECONDS)
        seconds = MAX_SECONDS if thorough else min(MAX_SECONDS, spoken_seconds + SILENCE_SECONDS)
        tokens = PROMPT_TOKENS + TOKENS_AT_LEAST + TOKENS_PER_SECOND * spoken_seconds
        return cls(seconds * SAMPLING_RATE_HZ, tokens)


def _model_error(model: str, problem: str) -> UserError:
    return UserError(f"synthesize.recognition.model = {model}: {problem}")


class Recogniser:
    """Speech of one language to text on the CPU, one thread, by the packaged weights or those in the folder `model`.

    Raises ModelError: the package with the weights is missing or holds others; UserError: `model` cannot be used, or
    does not know the language.
    """

    def __init__(self, model: str | None = None, language: str = ENGLISH) -> None:
        if model is None and language != ENGLISH:
            raise _model_error(
                "null", f"the packaged Whisper knows English only, and base.language = {language}; {_MANY}"
            )
        folder = model or str(MODEL_FILE.path().parent)
        try:
            whisper = WhisperModel(
                folder, device="cpu", compute_type="int8", cpu_threads=1, num_workers=1, local_files_only=True
            )
            self._model = whisper.model
            self._features = whisper.feature_extractor
            self._tokens = whisper.hf_tokenizer
            self._blas = ThreadpoolController()
            prompt = (
                [START, f"<|{language}|>", "<|transcribe|>", END] if whisper.model.is_multilingual else [START, END]
            )
            self._prompt = [self._tokens.token_to_id(token) for token in prompt]
            known = whisper.model.is_multilingual or language == ENGLISH
            if model and known and None not in self._prompt:  # files that do not fit each other fail at first use
                self.text(np.full(SAMPLING_RATE_HZ, 0.01, dtype=np.float32))
        except Exception as error:  # tokenizers raises nothing more special
            if model is None:
                raise
            raise _model_error(model, f"not a Whisper model of CTranslate2: {first_line(error)}") from None
        if model and (not known or None in self._prompt):
            raise _model_error(model, f"does not know base.language = {language}; {_MANY}")

    def text(self, waveform: Waveform, *, thorough: bool = False) -> str:
        """What is said in one recording, see `texts`."""
        return self.texts([waveform], thorough=thorough)[0]

    def texts(self, waveforms: Sequence[Waveform], *, thorough: bool = False) -> list[str]:
        """What is said in each recording, of which the first 30 s are heard; empty where it is digital silence.

        A `thorough` search is one with a beam in a full window of 30 s, for about five times the time.
        """
        windows: dict[_Window, list[int]] = defaultdict(list)
        for position, waveform in enumerate(waveforms):
            if waveform.any():  # in silence the recogniser would make words up
                speech = waveform[: MAX_SECONDS * SAMPLING_RATE_HZ]
                windows[_Window.of(speech, thorough=thorough)].append(position)
        heard = [""] * len(waveforms)
        for window, positions in windows.items():
            for start in range(0, len(positions), BATCH_RECORDINGS):
                batch = positions[start : start + BATCH_RECORDINGS]
                said = self._search([waveforms[position] for position in batch], window, thorough)
                for position, text in zip(batch, said, strict=True):
                    heard[position] = text
        return heard

    def _search(self, waveforms: list[Waveform], window: _Window, thorough: bool) -> list[str]:
        padded = np.zeros((len(waveforms), window.samples), dtype=np.float32)
        for row, waveform in zip(padded, waveforms, strict=True):
            row[: len(waveform)] = waveform[: window.samples]
        # Several at once do not fit the processor's cache: the encoder takes a third longer for each.
        encoded = np.concatenate([self._encoded(samples) for samples in padded])
        results = self._model.generate(
            ctranslate2.StorageView.from_array(encoded), [self._prompt] * len(padded), max_length=window.tokens,
            beam_size=THOROUGH_BEAM if thorough else 1,
        )  # fmt: skip
        found = (self._tokens.decode(result.sequences_ids[0], skip_special_tokens=True) for result in results)
        return [str(text).strip() for text in found]

    def _encoded(self, samples: Waveform) -> NDArray[np.float32]:
        """What the encoder makes of a window: [1, frames, width]."""
        with self._blas.limit(limits=1, user_api="blas"):
            mel = np.ascontiguousarray(self._features(samples, padding=0)[np.newaxis], dtype=np.float32)
        return np.array(self._model.encode(ctranslate2.StorageView.from_array(mel), to_cpu=True))
