from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import RowError
from pipeline.media.audio import SAMPLING_RATE_HZ, SpeechLimits, Waveform, check_speech, decode, encode_flac, resample

LIMITS = SpeechLimits(min_duration_seconds=0.5, max_duration_seconds=2.0, min_rms=0.01, max_clipped_share=0.01)


def tone(seconds: float, rate_hz: int = SAMPLING_RATE_HZ, frequency_hz: float = 440.0, peak: float = 0.5) -> Waveform:
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return (peak * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


def sound_file(samples: np.ndarray, rate_hz: int, kind: str, subtype: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=kind, subtype=subtype)
    return buffer.getvalue()


def with_samples(value: float, count: int, seconds: float = 1.0) -> Waveform:
    waveform = tone(seconds)
    waveform[:count] = value
    return waveform


@pytest.mark.parametrize(
    ("waveform", "status", "reason"),
    [
        (with_samples(np.nan, 1), "speech_not_finite", "the voice returned samples that are not numbers"),
        (with_samples(np.inf, 1), "speech_not_finite", "the voice returned samples that are not numbers"),
        (tone(0.25), "speech_too_short", "0.25 s, at least 0.5 s"),
        (tone(0.0), "speech_too_short", "0.00 s, at least 0.5 s"),
        (tone(2.5), "speech_too_long", "2.50 s, at most 2.0 s"),
        (tone(1.0, peak=0.001), "speech_silent", "root mean square 0.00071, at least 0.01"),
        (tone(1.0, peak=0.0), "speech_silent", "root mean square 0.00000, at least 0.01"),
        (with_samples(1.0, 320), "speech_clipped", "2.00% of samples at full scale, at most 1.00%"),
        (with_samples(-1.0, 320), "speech_clipped", "2.00% of samples at full scale, at most 1.00%"),
    ],
)
def test_speech_outside_the_limits_is_a_reject_that_says_why(waveform: Waveform, status: str, reason: str) -> None:
    with pytest.raises(RowError) as caught:
        check_speech(waveform, SAMPLING_RATE_HZ, LIMITS)
    assert (caught.value.status, caught.value.reason) == (status, reason)


@pytest.mark.parametrize(
    "waveform", [tone(0.5), tone(2.0), with_samples(1.0, 160), tone(1.0, peak=0.01 * 2**0.5 * 1.001)]
)
def test_speech_at_the_limits_is_kept_with_its_duration(waveform: Waveform) -> None:
    assert check_speech(waveform, SAMPLING_RATE_HZ, LIMITS) == len(waveform) / SAMPLING_RATE_HZ


def test_the_duration_is_in_seconds_of_the_given_rate() -> None:
    assert check_speech(tone(1.0), 8_000, LIMITS) == 2.0


@settings(deadline=None)
@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=400))
def test_flac_keeps_every_16_bit_sample(samples: list[int]) -> None:
    exact = np.array(samples, dtype=np.int16)
    data = encode_flac(exact.astype(np.float32) / np.float32(2**15), SAMPLING_RATE_HZ)
    found, rate_hz = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate_hz == SAMPLING_RATE_HZ
    assert np.array_equal(found, exact)
    assert np.array_equal(decode(data), exact.astype(np.float32) / np.float32(2**15))


def test_flac_is_16_bit_mono_and_the_same_bytes_again() -> None:
    data = encode_flac(tone(1.0), SAMPLING_RATE_HZ)
    assert data == encode_flac(tone(1.0), SAMPLING_RATE_HZ)
    described = soundfile.info(io.BytesIO(data))
    assert (described.format, described.subtype, described.channels) == ("FLAC", "PCM_16", 1)
    assert (described.samplerate, described.frames) == (SAMPLING_RATE_HZ, SAMPLING_RATE_HZ)


def test_samples_beyond_full_scale_are_cut_and_do_not_wrap_around() -> None:
    found = decode(encode_flac(np.array([1.5, -1.5, 0.25], dtype=np.float32), SAMPLING_RATE_HZ))
    assert found.tolist() == [1 - 2**-15, -1.0, 0.25]


@pytest.mark.parametrize("from_hz", [8_000, 11_025, 22_050, 24_000, 44_100, 48_000])
def test_resampling_keeps_duration_pitch_and_level(from_hz: int) -> None:
    found = resample(tone(1.0, from_hz), from_hz)
    assert found.dtype == np.float32
    assert abs(len(found) - SAMPLING_RATE_HZ) <= 1
    expected = tone(1.0)[: len(found)]
    middle = slice(1_600, 14_400)  # the filter rings at both ends
    assert np.abs(found[middle] - expected[middle]).max() < 1e-3


def test_the_same_rate_changes_nothing() -> None:
    waveform = tone(0.1)
    assert resample(waveform, SAMPLING_RATE_HZ) is waveform


def test_what_16_khz_cannot_hold_is_filtered_out() -> None:
    found = resample(tone(1.0, 48_000, frequency_hz=12_000), 48_000)
    assert np.abs(found[1_600:-1_600]).max() < 1e-3


@pytest.mark.parametrize(
    ("kind", "subtype", "tolerance"),
    [
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_U8", 2**-7),
        ("WAV", "PCM_24", 2**-23),
        ("WAV", "PCM_32", 2**-23),
        ("WAV", "FLOAT", 0.0),
        ("WAV", "DOUBLE", 0.0),
        ("WAV", "ULAW", 2**-5),
        ("FLAC", "PCM_24", 2**-23),
        ("AIFF", "PCM_16", 2**-15),
        ("OGG", "VORBIS", 0.05),
    ],
)
def test_any_encoding_is_read_as_floats(kind: str, subtype: str, tolerance: float) -> None:
    found = decode(sound_file(tone(0.5), SAMPLING_RATE_HZ, kind, subtype))
    assert found.dtype == np.float32
    assert len(found) == SAMPLING_RATE_HZ // 2
    assert np.abs(found - tone(0.5)).max() <= tolerance


def test_channels_are_averaged() -> None:
    stereo = np.stack([tone(0.5, peak=0.4), np.zeros(8_000, dtype=np.float32)], axis=1)
    found = decode(sound_file(stereo, SAMPLING_RATE_HZ, "WAV", "FLOAT"))
    assert found.shape == (8_000,)
    assert np.abs(found - tone(0.5, peak=0.2)).max() < 1e-7
    five = np.repeat(tone(0.1)[:, None], 5, axis=1)
    assert decode(sound_file(five, SAMPLING_RATE_HZ, "WAV", "PCM_16")).shape == (1_600,)


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ((1.0, -1.0), 1.0),  # antiphase: the average is silence
        ((0.5, -0.52), -0.52),
        ((0.0, -1.0), -0.5),  # one side silent: the average, as ever
        ((1.0, -0.5), 0.25),
        ((1.0, 0.0, 0.0, 0.0, 0.0, 0.0), 1 / 6),
        ((1.0, -1.0, 1.0, -1.0), 1.0),
    ],
)
def test_channels_that_cancel_each_other_do_not_become_silence(gains: tuple[float, ...], expected: float) -> None:
    voice = tone(0.5, peak=0.8)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([gain * voice for gain in gains], axis=1), 16_000, format="WAV", subtype="FLOAT")
    assert decode(buffer.getvalue()) == pytest.approx(expected * voice, abs=1e-6)


def test_another_rate_is_brought_to_16_khz() -> None:
    assert abs(len(decode(sound_file(tone(1.0, 44_100), 44_100, "WAV", "PCM_16"))) - SAMPLING_RATE_HZ) <= 1


def test_a_path_and_its_bytes_are_the_same_sound(tmp_path: Path) -> None:
    data = sound_file(tone(0.5), SAMPLING_RATE_HZ, "WAV", "PCM_16")
    path = tmp_path / "Ses01F_impro01_F000.wav"
    path.write_bytes(data)
    assert np.array_equal(decode(path), decode(data))


def wav_header_of_more_than_there_is() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, SAMPLING_RATE_HZ, 0, "NONE", ""))
        file.writeframes(b"\0\0" * 8_000)
    return buffer.getvalue()[:20]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a sound",
        b"RIFF\x00\x00\x00\x00WAVE",
        wav_header_of_more_than_there_is(),
        encode_flac(tone(0.5), SAMPLING_RATE_HZ)[:30],
        bytes(5_000),
    ],
    ids=["empty", "text", "riff", "cut header", "cut flac", "zeros"],
)
def test_a_file_that_is_no_sound_is_a_reject(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.wav"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(RowError) as caught:
            decode(source)
        assert caught.value.status == "audio_unreadable"
        assert caught.value.reason
        assert "\n" not in caught.value.reason
        assert " at 0x" not in caught.value.reason  # an address would differ from run to run


def test_a_file_that_is_not_there_is_a_reject(tmp_path: Path) -> None:
    with pytest.raises(RowError) as caught:
        decode(tmp_path / "missing.wav")
    assert caught.value.status == "audio_unreadable"


def test_no_samples_and_samples_that_are_not_numbers_are_rejects() -> None:
    with pytest.raises(RowError) as caught:
        decode(sound_file(np.zeros(0, dtype=np.float32), SAMPLING_RATE_HZ, "WAV", "PCM_16"))
    assert caught.value.status == "audio_empty"
    with pytest.raises(RowError) as caught:
        decode(sound_file(with_samples(np.nan, 1), SAMPLING_RATE_HZ, "WAV", "FLOAT"))
    assert caught.value.status == "audio_not_finite"


def test_a_cut_recording_keeps_what_is_there_or_is_a_reject() -> None:
    data = sound_file(tone(1.0), SAMPLING_RATE_HZ, "WAV", "PCM_16")
    found = decode(data[: len(data) // 2])
    assert 7_000 < len(found) < 9_000
    with pytest.raises(RowError):
        decode(encode_flac(tone(1.0), SAMPLING_RATE_HZ)[:-2_000])
