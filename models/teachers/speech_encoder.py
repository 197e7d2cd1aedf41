"""Utterances to vectors: the frozen encoder of Whisper tiny.en, pooled over time.

In   waveforms: float32 [samples], mono, 16 kHz, full scale 1.0
Out  float32 [n, 768]: mean (384) and standard deviation (384) of the encoder's frames, one frame per 20 ms

Whisper was trained on clips padded to 30 s, but here a clip is encoded at its own length: the frames of silence
would make up most of the mean, and the encoder would take about 15 times as long. Clips go through the encoder one
by one: a common batch of equal lengths is only about a tenth faster, and it changes the last bits of a vector with
the number of its neighbours. No torch is imported.
"""

import hashlib
from collections.abc import Sequence

import ctranslate2
import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from models.errors import ItemError
from models.teachers.encoder_settings import EncoderSettings
from models.weights.whisper_weights import MAX_SECONDS, MODEL_FILE

WHISPER = "whisper-tiny.en"
SAMPLING_RATE_HZ = 16_000
MIN_SECONDS = 0.1
CHANNELS = 384

# Changed by hand whenever the way from waveform to vector changes, so that old scores are not taken for new ones.
_RECIPE = "log-mel unpadded, float32, mean and std over frames, version 1"


def check_waveform(item: NDArray[np.float32]) -> None:
    """Raises ItemError if `item` is too short to be speech, or holds values that are not finite."""
    seconds = len(item) / SAMPLING_RATE_HZ
    if seconds < MIN_SECONDS:
        raise ItemError("audio_too_short", f"{seconds:.3f} s of audio, at least {MIN_SECONDS} s are needed")
    if not np.isfinite(item).all():
        raise ItemError("audio_not_finite", "the waveform holds values that are not finite numbers")


class WhisperEncoder:
    """The encoder of Whisper tiny.en through CTranslate2, weights from a package (ModelError if missing or others).

    One CPU thread per clip is the default: parallelism belongs to the worker processes.
    """

    name = WHISPER
    settings = EncoderSettings()
    dimensions = 2 * CHANNELS

    def __init__(self, cpu_threads: int = 1, device: str = "cpu") -> None:
        folder = MODEL_FILE.path().parent
        # int8 is twice as fast and as accurate on 200 acted clips, but moves the vectors by 5 %.
        self._model = ctranslate2.models.Whisper(
            str(folder), device=device, compute_type="float32", intra_threads=cpu_threads, inter_threads=1
        )
        self._features = FeatureExtractor()
        self._blas = ThreadpoolController()
        self.digest = hashlib.sha256(f"{MODEL_FILE.sha256} {_RECIPE}".encode()).hexdigest()

    def check(self, item: NDArray[np.float32]) -> None:
        """Raises ItemError: see `check_waveform`."""
        check_waveform(item)

    def encode(self, batch: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Vectors float32 [n, 768] of n waveforms, of which the first 30 s count; ItemError: see `check`."""
        vectors = np.empty((len(batch), self.dimensions), dtype=np.float32)
        for row, waveform in enumerate(batch):
            vectors[row] = self._pooled(self._log_mel(waveform))
        return vectors

    def _log_mel(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """Whisper's own log-mel features, float32 [80, frames], one frame per 10 ms."""
        if waveform.ndim != 1 or waveform.dtype != np.float32:
            raise ValueError(f"expected float32 [samples], found {waveform.dtype} {list(waveform.shape)}")
        self.check(waveform)
        # The mel filters are a matrix product, which BLAS would share out over all cores.
        with self._blas.limit(limits=1, user_api="blas"):
            features = self._features(waveform[: MAX_SECONDS * SAMPLING_RATE_HZ], padding=0)
        return np.ascontiguousarray(features, dtype=np.float32)

    def _pooled(self, mel: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean and standard deviation over time, [768], of the states of [80, frames]."""
        states = np.asarray(self._model.encode(ctranslate2.StorageView.from_array(mel[np.newaxis]), to_cpu=True))[0]
        pooled: NDArray[np.float32] = np.concatenate([states.mean(axis=0), states.std(axis=0)])
        return pooled
