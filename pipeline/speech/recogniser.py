"""The words of a recording as text, as fast as one core can: Whisper tiny.en, greedy, 8-bit weights, no word times.

Whisper was trained on clips padded with silence to 30 s. Without padding it does not find the end and repeats itself;
all 30 s cost 2.4 times as much as 8 s of silence after the speech, and hear hardly better (100 texts of the sample,
mean word error rate: no padding 0.43, 2 s 0.17, 4 s 0.11, 8 s 0.09, up to 30 s 0.08). 8-bit weights hear as well as
32-bit ones at more than one and a half times the speed. Recordings are heard one by one, so that no transcript
depends on its neighbours.
"""

import hashlib
import math

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from threadpoolctl import ThreadpoolController

from models.weights.whisper_weights import MAX_SECONDS, MODEL_FILE
from pipeline.media.audio import SAMPLING_RATE_HZ, Waveform

SILENCE_SECONDS = 8
THOROUGH_BEAM = 5
PROMPT = ("<|startoftranscript|>", "<|notimestamps|>")
# Fast English has six tokens per second; the bound ends what goes round in circles.
TOKENS_PER_SECOND = 12
TOKENS_AT_LEAST = 10

# Changed by hand whenever the way from waveform to text changes, so that old word error rates are not taken for new.
_RECIPE = f"int8; greedy, {SILENCE_SECONDS} s of silence; thorough: beam {THOROUGH_BEAM}, 30 s; version 1"
DIGEST = hashlib.sha256(f"{MODEL_FILE.sha256} {_RECIPE}".encode()).hexdigest()


class Recogniser:
    """Speech to text on the CPU, one thread; ModelError if the package with the weights is missing or holds others."""

    def __init__(self) -> None:
        folder = str(MODEL_FILE.path().parent)
        whisper = WhisperModel(
            folder, device="cpu", compute_type="int8", cpu_threads=1, num_workers=1, local_files_only=True
        )
        self._model = whisper.model
        self._features = whisper.feature_extractor
        self._tokens = whisper.hf_tokenizer
        self._prompt = [self._tokens.token_to_id(token) for token in PROMPT]
        self._blas = ThreadpoolController()

    def text(self, waveform: Waveform, *, thorough: bool = False) -> str:
        """What is said in a recording, of which the first 30 s are heard; empty where it is digital silence.

        A `thorough` search is one with a beam in a full window of 30 s, for about five times the time.
        """
        if not waveform.any():
            return ""  # the recogniser would make words up
        speech = waveform[: MAX_SECONDS * SAMPLING_RATE_HZ]
        seconds = len(speech) / SAMPLING_RATE_HZ
        samples = MAX_SECONDS * SAMPLING_RATE_HZ
        if not thorough:
            samples = min(samples, len(speech) + SILENCE_SECONDS * SAMPLING_RATE_HZ)
        padded = np.pad(speech, (0, samples - len(speech)))
        with self._blas.limit(limits=1, user_api="blas"):
            mel = np.ascontiguousarray(self._features(padded, padding=0)[np.newaxis], dtype=np.float32)
        results = self._model.generate(
            ctranslate2.StorageView.from_array(mel), [self._prompt], beam_size=THOROUGH_BEAM if thorough else 1,
            max_length=len(PROMPT) + TOKENS_AT_LEAST + math.ceil(TOKENS_PER_SECOND * seconds),
        )  # fmt: skip
        return str(self._tokens.decode(results[0].sequences_ids[0], skip_special_tokens=True)).strip()
