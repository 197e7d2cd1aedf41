"""Waveforms to log-mel spectrograms: the one way that training, scoring and explaining share.

In   waveforms: floating point [samples], mono, full scale 1.0, of any lengths
Out  float32 [n, 1, n_mels, n_frames] in [0, 1]: loudness on a fixed scale; digital silence is exactly 0

Conventions are librosa's: power spectrum of centred Hann windows, mel bands of Slaney's scale and norm. Each waveform
is worked on by itself, so that its result is the same, to the last bit, in any batch (one large transform for all would
also be three times slower on a CPU, for want of cache).

The scale is fixed because a maximum of the clip's own would make silence loud and tie every frame to the loudest one:
then "speech absent" would have no feature, and a frame could not be taken out alone. Its ends, in dB of mel power:
  35   a sine of full scale below 1 kHz; the loudest cell of 291 spoken tweets lies at 28, the 99th percentile at 10
  -55  90 dB lower: the threshold of hearing if full scale is played at 90 dB SPL; a fifth of the cells, pauses and
       treble, lies below. The rounding noise of 16-bit files lies at -88, well below, so that it too is silence.
"""

import math
import warnings
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d
from transformers.audio_utils import mel_filter_bank

WINDOW_SAMPLES = 1024  # 64 ms at 16 kHz; with half of it the lowest of 128 mel bands would rest on one frequency each
HOP_SAMPLES = 256
MAX_DB = 35.0
RANGE_DB = 90.0

Waveform = NDArray[np.floating] | Tensor


def log_mel(
    waveforms: Sequence[Waveform],
    *,
    duration_seconds: float,
    n_mels: int = 128,
    n_frames: int = 128,
    sampling_rate_hz: int = 16_000,
) -> Tensor:
    """Spectrograms float32 [n, 1, n_mels, n_frames] in [0, 1] of n waveforms, on the device of the first.

    Args:
        waveforms: each floating point [samples], full scale 1.0, arrays or tensors; ValueError for others.
        duration_seconds: what a spectrogram shows; longer waveforms are cropped, shorter ones followed by silence.
        n_mels: bands, lowest first, from 0 Hz to half the sampling rate.
        n_frames: every frame of the result is the mean over the windows of its share of the duration.
        sampling_rate_hz: of all waveforms.
    """
    filters = _mel_filters(n_mels, sampling_rate_hz)
    samples = _samples(duration_seconds, sampling_rate_hz)
    clips = [waveform if isinstance(waveform, Tensor) else torch.tensor(waveform) for waveform in waveforms]
    device = clips[0].device if clips else None
    spectrograms = torch.empty(len(clips), 1, n_mels, n_frames, device=device)
    for row, clip in zip(spectrograms, clips, strict=True):
        row[0] = adaptive_avg_pool1d(_loudness(clip, samples, filters), n_frames)
    return spectrograms


def _loudness(waveform: Tensor, samples: int, filters: Tensor) -> Tensor:
    """Mel bands of every window of the waveform, float32 [n_mels, windows], on the scale of the result."""
    if waveform.ndim != 1 or not waveform.is_floating_point():
        found = f"{waveform.dtype} {list(waveform.shape)}"
        raise ValueError(f"expected a waveform of floating point [samples], found {found}")
    if not bool(waveform.isfinite().all()):
        raise ValueError("the waveform holds values that are not finite numbers")
    padded = torch.zeros(samples, device=waveform.device)
    padded[: len(waveform)] = waveform[:samples]
    window = torch.hann_window(WINDOW_SAMPLES, device=waveform.device)
    spectrum = torch.stft(
        padded, WINDOW_SAMPLES, HOP_SAMPLES, window=window, center=True, pad_mode="constant", return_complex=True
    )
    power = torch.view_as_real(spectrum).square().sum(dim=-1)
    mel = filters.to(power.device) @ power
    decibels = 10 * mel.clamp(min=10 ** ((MAX_DB - RANGE_DB) / 10)).log10()
    return ((decibels - MAX_DB) / RANGE_DB + 1).clamp(0, 1)


def speech_frames(
    duration_of_waveform: float, duration_seconds: float, n_frames: int, sampling_rate_hz: int = 16_000
) -> int:
    """How many frames of a spectrogram can hold something of a waveform of so many seconds; later ones are 0."""
    spoken = round(duration_of_waveform * sampling_rate_hz)
    if spoken < 1:
        return 0
    windows = 1 + _samples(duration_seconds, sampling_rate_hz) // HOP_SAMPLES
    # Window t sees the samples from t * hop - half + 1 to t * hop + half - 1 (a Hann window begins with a zero).
    heard = min(windows, (spoken - 2 + WINDOW_SAMPLES // 2) // HOP_SAMPLES + 1)
    # Frame j is the mean over the windows from floor(j * windows / n_frames) on.
    return min(n_frames, -(-heard * n_frames // windows))


def _samples(duration_seconds: float, sampling_rate_hz: int) -> int:
    samples = round(duration_seconds * sampling_rate_hz)
    if samples < 1 or not math.isfinite(duration_seconds):
        raise ValueError(f"duration_seconds must be positive, found {duration_seconds}")
    return samples


@cache
def _mel_filters(n_mels: int, sampling_rate_hz: int) -> Tensor:
    """Weights float32 [n_mels, frequencies]."""
    frequencies_hz = np.fft.rfftfreq(WINDOW_SAMPLES, 1 / sampling_rate_hz)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of silent bands, which are an error here
        weights = mel_filter_bank(
            num_frequency_bins=len(frequencies_hz), num_mel_filters=n_mels, min_frequency=0.0,
            max_frequency=sampling_rate_hz / 2, sampling_rate=sampling_rate_hz, norm="slaney", mel_scale="slaney",
        )  # fmt: skip
    if not weights.any(axis=0).all():
        raise ValueError(f"n_mels = {n_mels} are too many bands for windows of {WINDOW_SAMPLES} samples; use fewer")
    return torch.from_numpy(np.ascontiguousarray(weights.T, dtype=np.float32))
