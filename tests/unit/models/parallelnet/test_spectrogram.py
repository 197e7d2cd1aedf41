from __future__ import annotations

import warnings

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.parallelnet.spectrogram import HOP_SAMPLES, MAX_DB, RANGE_DB, WINDOW_SAMPLES, log_mel, speech_frames

RATE_HZ = 16_000

Waveform = NDArray[np.float32]


def tone(frequency_hz: float, seconds: float = 2.0, peak: float = 1.0) -> Waveform:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (peak * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


def noise(samples: int, peak: float = 0.5, seed: int = 0) -> Waveform:
    return np.random.default_rng(seed).uniform(-peak, peak, samples).astype(np.float32)


def by_librosa(waveform: Waveform, duration_seconds: float, n_mels: int, n_frames: int) -> NDArray[np.float64]:
    samples = round(duration_seconds * RATE_HZ)
    fixed = librosa.util.fix_length(waveform, size=samples)
    power = librosa.feature.melspectrogram(
        y=fixed, sr=RATE_HZ, n_fft=WINDOW_SAMPLES, hop_length=HOP_SAMPLES, n_mels=n_mels, pad_mode="constant"
    )
    floor = 10 ** ((MAX_DB - RANGE_DB) / 10)
    decibels = librosa.power_to_db(power, ref=10 ** (MAX_DB / 10), amin=floor, top_db=None)
    loudness = np.clip(decibels / RANGE_DB + 1, 0, 1)
    windows = loudness.shape[1]
    starts = [frame * windows // n_frames for frame in range(n_frames)]
    ends = [-(-(frame + 1) * windows // n_frames) for frame in range(n_frames)]
    return np.stack([loudness[:, start:end].mean(axis=1) for start, end in zip(starts, ends, strict=True)], axis=1)


@pytest.mark.parametrize(
    ("duration_seconds", "n_mels", "n_frames"), [(10.0, 128, 128), (6.0, 128, 128), (2.5, 64, 50), (0.3, 40, 128)]
)
def test_it_is_librosas_spectrogram_on_a_fixed_scale(duration_seconds: float, n_mels: int, n_frames: int) -> None:
    chirp = librosa.chirp(fmin=80, fmax=7800, sr=RATE_HZ, duration=3.0).astype(np.float32)
    for waveform in (chirp, noise(RATE_HZ), tone(440) * noise(2 * RATE_HZ), tone(200, peak=1e-3)):
        found = log_mel([waveform], duration_seconds=duration_seconds, n_mels=n_mels, n_frames=n_frames)
        assert found.dtype == torch.float32
        assert found.shape == (1, 1, n_mels, n_frames)
        expected = by_librosa(waveform, duration_seconds, n_mels, n_frames)
        assert expected.max() > 0.2
        np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=2e-5)


@settings(deadline=None, max_examples=15)
@given(lengths=st.lists(st.integers(0, 50_000), min_size=1, max_size=6), data=st.data())
def test_a_waveform_has_the_same_bits_in_every_batch(lengths: list[int], data: st.DataObject) -> None:
    waveforms = [noise(length, seed=place) for place, length in enumerate(lengths)]
    together = log_mel(waveforms, duration_seconds=2.0)
    assert together.shape == (len(lengths), 1, 128, 128)
    row = data.draw(st.integers(0, len(lengths) - 1))
    assert torch.equal(log_mel([waveforms[row]], duration_seconds=2.0)[0], together[row])


def test_threads_change_no_bit() -> None:
    waveforms = [noise(40_000, seed=seed) for seed in range(3)]
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(log_mel(waveforms, duration_seconds=2.0))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


@pytest.mark.parametrize("samples", [0, 1, 1_000, 16_000, 500_000])
def test_digital_silence_is_exactly_zero(samples: int) -> None:
    found = log_mel([np.zeros(samples, np.float32)], duration_seconds=1.0)
    assert torch.count_nonzero(found) == 0


def test_the_rounding_noise_of_16_bit_files_is_silence_and_faint_speech_is_not() -> None:
    rounding = noise(RATE_HZ, peak=0.5 / 32768)
    assert torch.count_nonzero(log_mel([rounding], duration_seconds=1.0)) == 0
    assert log_mel([tone(300, 1.0, peak=0.001)], duration_seconds=1.0).max() > 0.3


def test_a_sine_of_full_scale_reaches_the_top_and_nothing_passes_it() -> None:
    for frequency_hz in (100, 250, 440, 900):
        assert 0.97 < float(log_mel([tone(frequency_hz)], duration_seconds=2.0).max()) <= 1.0
    assert float(log_mel([100 * noise(RATE_HZ)], duration_seconds=1.0).max()) == 1.0


@pytest.mark.parametrize("decibels", [1.0, 20.0, 40.0])
def test_the_scale_is_fixed_so_a_quieter_clip_is_lower_by_its_decibels(decibels: float) -> None:
    loud = log_mel([tone(440, peak=0.9)], duration_seconds=2.0)
    quiet = log_mel([tone(440, peak=0.9 * 10 ** (-decibels / 20))], duration_seconds=2.0)
    place = torch.unravel_index(loud.argmax(), loud.shape)
    assert float(loud[place] - quiet[place]) == pytest.approx(decibels / RANGE_DB, abs=1e-4)


def test_bands_rise_with_frequency() -> None:
    peaks = [
        int(log_mel([tone(frequency_hz)], duration_seconds=2.0)[0, 0, :, 64].argmax())
        for frequency_hz in (100, 400, 1600, 6400)
    ]
    centres_hz = librosa.mel_frequencies(n_mels=130, fmin=0, fmax=RATE_HZ / 2)[1:-1]
    assert peaks == [int(np.abs(centres_hz - frequency_hz).argmin()) for frequency_hz in (100, 400, 1600, 6400)]


def test_longer_speech_is_cropped_and_shorter_is_followed_by_silence() -> None:
    waveform = noise(5 * RATE_HZ)
    found = log_mel([waveform, waveform[: 2 * RATE_HZ], waveform[:RATE_HZ]], duration_seconds=2.0)
    assert torch.equal(found[0], found[1])
    padded = np.concatenate([waveform[:RATE_HZ], np.zeros(RATE_HZ, np.float32)])
    assert torch.equal(found[2], log_mel([padded], duration_seconds=2.0)[0])
    assert not torch.equal(found[2], found[1])


@settings(deadline=None, max_examples=60)
@given(
    spoken=st.integers(0, 60_000), duration_seconds=st.sampled_from([0.1, 1.0, 2.5, 3.0]),
    n_frames=st.sampled_from([16, 100, 128, 300]),
)  # fmt: skip
def test_frames_after_the_speech_are_zero_and_the_last_of_the_speech_is_not(
    spoken: int, duration_seconds: float, n_frames: int
) -> None:
    waveform = np.sign(noise(spoken)) * np.float32(1e6)  # loud enough to be seen through the thin end of a window
    found = log_mel([waveform], duration_seconds=duration_seconds, n_mels=40, n_frames=n_frames)[0, 0]
    frames = speech_frames(spoken / RATE_HZ, duration_seconds, n_frames)
    assert torch.count_nonzero(found[:, frames:]) == 0
    assert frames == 0 or found[:, frames - 1].max() > 0


@pytest.mark.parametrize(
    ("spoken_seconds", "frames"), [(0.0, 0), (1.0, 14), (5.0, 65), (9.99, 128), (10.0, 128), (25.0, 128)]
)
def test_speech_frames_of_ten_seconds(spoken_seconds: float, frames: int) -> None:
    # 1 s: windows 0 to 64 of 626 see it, which is 13.3 of 128 frames; a window reaches 32 ms past its middle.
    assert speech_frames(spoken_seconds, 10.0, 128) == frames


def test_arrays_and_tensors_are_alike_and_read_only_ones_give_no_warning() -> None:
    waveform = noise(20_000)
    frozen = waveform.copy()
    frozen.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = log_mel([waveform, frozen, torch.from_numpy(waveform), waveform.astype(np.float64)], duration_seconds=2)
    assert all(torch.equal(row, found[0]) for row in found)
    np.testing.assert_array_equal(waveform, noise(20_000))


def test_no_waveforms_give_an_empty_batch() -> None:
    assert log_mel([], duration_seconds=2.0, n_mels=64, n_frames=32).shape == (0, 1, 64, 32)


@pytest.mark.parametrize(
    ("waveform", "options", "message"),
    [
        (np.zeros(10, np.int16), {}, r"found torch.int16 \[10\]"),
        (np.zeros((2, 10), np.float32), {}, r"found torch.float32 \[2, 10\]"),
        (np.array([0.0, np.nan], np.float32), {}, "not finite"),
        (np.array([0.0, np.inf], np.float32), {}, "not finite"),
        (noise(10), {"duration_seconds": 0.0}, "duration_seconds must be positive, found 0.0"),
        (noise(10), {"n_mels": 512}, "n_mels = 512 are too many bands"),
    ],
)
def test_what_is_no_waveform_or_cannot_be_drawn_is_refused(
    waveform: NDArray[np.generic], options: dict[str, float], message: str
) -> None:
    with warnings.catch_warnings(), pytest.raises(ValueError, match=message):
        warnings.simplefilter("error")
        log_mel([waveform], **{"duration_seconds": 1.0, **options})  # type: ignore[arg-type, list-item]
