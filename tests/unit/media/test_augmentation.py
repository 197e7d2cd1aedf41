"""Masks: where they lie, how wide they are, and that a row's numbers are its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.media.augmentation import SpecAugmentParams, mask_spectrogram, mask_waveform
from tests.builders import tone

RATE_HZ = 16_000


def params(**given: Any) -> SpecAugmentParams:
    nothing = {"time_masks": 0, "time_width_share": 0.0, "frequency_masks": 0, "frequency_width_share": 0.0}
    return SpecAugmentParams(**{**nothing, **given})


def masked(seed: int, given: SpecAugmentParams, spoken: int = 60) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which cells of a spectrogram of 40 bands and 100 frames are cut out."""
    spectrogram = np.zeros((40, 100), dtype=np.float16)
    spectrogram[:, :spoken] = 0.5
    found = mask_spectrogram(spectrogram, given, np.random.default_rng(seed))
    assert found.dtype == np.float16
    assert (spectrogram[:, :spoken] == 0.5).all()  # what was given stays
    assert set(np.unique(found)) <= {0.0, 0.5}
    return np.asarray((found == 0) & (spectrogram > 0))


def test_a_mask_takes_whole_frames_or_whole_bands_of_what_was_spoken_and_no_more_than_its_share() -> None:
    frames = [masked(seed, params(time_masks=1, time_width_share=0.25)) for seed in range(300)]
    assert all((one == one[:1]).all() for one in frames)
    widths = np.array([one[0].sum() for one in frames])
    assert (widths.min(), widths.max()) == (0, 15)
    assert 6 < widths.mean() < 9  # uniform from 0 to 15
    assert np.logical_or.reduce(frames)[0, :60].all()  # anywhere
    bands = [masked(seed, params(frequency_masks=1, frequency_width_share=0.25)) for seed in range(300)]
    assert all((one[:, :60] == one[:, :1]).all() for one in bands)
    assert max(one[:, 0].sum() for one in bands) == 10
    assert np.logical_or.reduce(bands)[:, 0].all()
    more = [masked(seed, params(time_masks=3, time_width_share=0.25))[0].sum() for seed in range(100)]
    assert max(more) > 15
    assert not masked(0, params(time_masks=2, time_width_share=0.5), spoken=0).any()


def test_the_same_numbers_give_the_same_masks_and_others_other_ones() -> None:
    given = params(time_masks=2, time_width_share=0.2, frequency_masks=2, frequency_width_share=0.2)
    wave = tone(440.0, 0.3)
    for mask in (
        lambda seed: masked(seed, given),
        lambda seed: mask_waveform(wave, given, np.random.default_rng(seed), sampling_rate_hz=RATE_HZ),
    ):
        np.testing.assert_array_equal(mask(1), mask(1))
        assert not np.array_equal(mask(1), mask(2))


@pytest.mark.parametrize("samples", [1, 2, 4_999])
def test_stretches_of_a_waveform_fall_silent_and_the_rest_stays(samples: int) -> None:
    wave = np.random.default_rng(0).uniform(0.1, 0.9, samples).astype(np.float32)
    given = params(time_masks=2, time_width_share=0.3)
    found = mask_waveform(wave, given, np.random.default_rng(3), sampling_rate_hz=RATE_HZ)
    assert found.dtype == np.float32
    assert found.shape == wave.shape
    silent = found == 0
    np.testing.assert_array_equal(found[~silent], wave[~silent])
    assert samples < 10 or 0 < silent.sum() <= 0.6 * samples


def test_a_band_of_a_waveform_loses_its_power_and_no_other_does() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32)
    given = params(frequency_masks=1, frequency_width_share=0.5)
    found = mask_waveform(noise, given, np.random.default_rng(4), sampling_rate_hz=RATE_HZ)
    before, after = (np.abs(np.fft.rfft(wave)) for wave in (noise, found))
    lost = after < 1e-3 * before
    low, high = np.flatnonzero(lost)[[0, -1]]  # one band
    assert lost[low : high + 1].all()
    np.testing.assert_allclose(after[~lost], before[~lost], rtol=1e-3, atol=1e-2)
    mel = np.log1p(np.array([low, high, RATE_HZ / 2]) / 700)  # a second has a frequency a hertz
    assert 0 < mel[1] - mel[0] <= 0.5 * mel[2]
