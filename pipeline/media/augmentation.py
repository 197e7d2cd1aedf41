"""Changes of what a network learns from, drawn anew in each epoch: mirrored pictures, SpecAugment (Park et al. 2019).

In   arrays of one row, and a generator of random numbers that is the row's own in this epoch
Out  arrays of the same shape and type; what was given stays as it is

Where a network reads spectrograms, bands of time and of frequency are cut out of these. A fine-tuned one makes its own
input of the waveform, so that there they are cut out of the waveform: the same for each family, whereas transformers
masks only what wav2vec2's like have made of it, by random numbers of the process.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.frame.params import STRICT

Masks = Annotated[int, Field(ge=0, le=20)]
WidthShare = Annotated[float, Field(ge=0, le=0.5)]


@dataclass(frozen=True, config=STRICT)
class SpecAugmentParams:
    """Masks of a row, each as wide as chance has it, from nothing to its share, and anywhere."""

    time_masks: Masks
    time_width_share: WidthShare  # of what was spoken, at most; it becomes silence
    frequency_masks: Masks
    frequency_width_share: WidthShare  # of the mel scale up to half the sampling rate, at most


@dataclass(frozen=True, config=STRICT)
class AugmentParams:
    """Section `augment` of training: of rows that are learnt from, never of those that are measured."""

    flip: bool = False  # mirror every other picture, by chance
    spec_augment: SpecAugmentParams | None = None


def flips(random: np.random.Generator) -> bool:
    """Whether a picture is to be mirrored."""
    return bool(random.random() < 0.5)


def mask_spectrogram(
    spectrogram: NDArray[np.floating], params: SpecAugmentParams, random: np.random.Generator
) -> NDArray[Any]:
    """A spectrogram [n_mels, n_frames] in which masked cells are 0, silence; the frames after the speech are none."""
    masked = spectrogram.copy()
    heard = np.flatnonzero(spectrogram.any(axis=0))
    spoken = int(heard[-1]) + 1 if len(heard) else 0
    for first, end in _spans(params.time_masks, params.time_width_share, random):
        masked[:, round(first * spoken) : round(end * spoken)] = 0
    for first, end in _spans(params.frequency_masks, params.frequency_width_share, random):
        masked[round(first * len(masked)) : round(end * len(masked))] = 0
    return masked


def mask_waveform(
    waveform: NDArray[np.floating], params: SpecAugmentParams, random: np.random.Generator, *, sampling_rate_hz: int
) -> NDArray[np.float32]:
    """A waveform float32 [samples] with silent stretches, and without bands of frequency that lie even in mel."""
    spans = list(_spans(params.time_masks, params.time_width_share, random))
    bands = list(_spans(params.frequency_masks, params.frequency_width_share, random))
    masked = np.array(waveform, dtype=np.float32)
    if bands:
        spectrum = np.fft.rfft(masked)
        mel = np.log1p(np.fft.rfftfreq(len(masked), 1 / sampling_rate_hz) / 700)
        height = mel / np.log1p(sampling_rate_hz / 2 / 700)
        for low, high in bands:
            spectrum[(low <= height) & (height < high)] = 0
        masked = np.fft.irfft(spectrum, len(masked)).astype(np.float32)
    for first, end in spans:
        masked[round(first * len(masked)) : round(end * len(masked))] = 0
    return masked


def _spans(masks: int, width_share: float, random: np.random.Generator) -> Iterator[tuple[float, float]]:
    """First and end of each mask, as shares of the whole."""
    for _ in range(masks):
        width = random.uniform(0, width_share)
        first = random.uniform(0, 1 - width)
        yield first, first + width
