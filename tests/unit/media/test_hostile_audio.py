"""Recordings made by an enemy: what the header says is not believed, and nothing but speech of finite length passes."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.media import audio
from tests.hostile import in_little_memory, outcome

RATE_HZ = audio.SAMPLING_RATE_HZ
FRAMES = b"\1\0" * 2_000
FLOAT = 3


def wav(
    data: bytes = FRAMES, *, rate_hz: int = RATE_HZ, channels: int = 1, bits: int = 16, code: int = 1,
    announced_bytes: int | None = None, riff_bytes: int | None = None,
) -> bytes:  # fmt: skip
    """A wav whose header says what it is told to."""
    frame_bytes = channels * bits // 8 % 2**16
    kind = struct.pack("<HHIIHH", code, channels, rate_hz, rate_hz * frame_bytes % 2**32, frame_bytes, bits)
    size = len(data) if announced_bytes is None else announced_bytes
    body = b"WAVEfmt " + struct.pack("<I", len(kind)) + kind + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", len(body) if riff_bytes is None else riff_bytes) + body


def flac(samples: np.ndarray[tuple[int, ...], np.dtype[np.int16]], blocks: int = 1) -> bytes:
    buffer = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(buffer, "w", RATE_HZ, channels, format="FLAC") as file:
        for _ in range(blocks):
            file.write(samples)
    return buffer.getvalue()


def flac_announcing(frames: int) -> bytes:
    """A second of sound whose header speaks of `frames`, a number of 36 bits."""
    data = bytearray(flac(np.ones(RATE_HZ, np.int16)))
    data[21] = data[21] & 0xF0 | frames >> 32
    data[22:26] = struct.pack(">I", frames & 0xFFFFFFFF)
    return bytes(data)


def floats(*values: float) -> bytes:
    return wav(np.tile(np.array(values, np.float32), 500).tobytes(), bits=32, code=FLOAT)


SAID = "audio_unreadable"
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "wav 0 Hz": (partial(wav, rate_hz=0), SAID),
    "wav 1 Hz": (partial(wav, rate_hz=1), "audio_sampling_rate"),
    "wav 200 Hz": (partial(wav, rate_hz=200), "audio_sampling_rate"),
    "wav 2 GHz": (partial(wav, rate_hz=2**31 - 1), "audio_sampling_rate"),
    "wav 4 GHz": (partial(wav, rate_hz=2**32 - 1), SAID),
    "wav 384 kHz": (partial(wav, rate_hz=384_000), "ok"),
    "wav 0 channels": (partial(wav, channels=0), SAID),
    "wav 32 channels": (partial(wav, FRAMES * 32, channels=32), "ok"),
    "wav 1024 channels": (partial(wav, FRAMES * 1024, channels=1024), "ok"),
    "wav 65535 channels": (partial(wav, channels=65_535), SAID),
    "wav 0 bits": (partial(wav, bits=0), SAID),
    "wav 8 bits": (partial(wav, bits=8), "ok"),
    "wav 24 bits": (partial(wav, bits=24), "ok"),
    "wav 32 bits": (partial(wav, bits=32), "ok"),
    "wav 65535 bits": (partial(wav, bits=65_535), SAID),
    "wav of 0 frames": (partial(wav, b""), "audio_empty"),
    "wav announcing 0 bytes": (partial(wav, announced_bytes=0), "audio_empty"),
    "wav announcing 4 GB": (partial(wav, announced_bytes=2**32 - 1), "ok"),
    "wav in a riff of 3 bytes": (partial(wav, riff_bytes=3), "ok"),
    "wav NaN": (partial(floats, 0.1, np.nan), "audio_not_finite"),
    "wav infinite": (partial(floats, np.inf, 0.1), "audio_not_finite"),
    "wav beyond any scale": (partial(floats, 3e38), "audio_not_finite"),
    "flac announcing days": (partial(flac_announcing, 2**36 - 1), SAID),
    "flac announcing an hour": (partial(flac_announcing, 2**28), SAID),
    "flac of hours of silence": (partial(flac, np.zeros(2**20, np.int16), 50), "audio_too_long"),
    "flac of hours on 8 channels": (partial(flac, np.zeros((2**17, 8), np.int16), 80), "audio_too_long"),
}


def warm_up() -> None:
    """Load what the first recording loads."""
    audio.decode(flac(np.ones(RATE_HZ, np.int16)))
    audio.decode(wav(rate_hz=48_000))


def decode_all(folder: str) -> dict[str, list[str]]:
    """Runs in little memory; each file by its bytes and by its path."""
    return {
        path.name: [outcome(lambda: audio.decode(path.read_bytes())), outcome(lambda: audio.decode(path))]  # noqa: B023
        for path in sorted(Path(folder).iterdir())
    }


def test_lying_headers_and_bombs_take_no_memory_and_cost_themselves_only(tmp_path: Path) -> None:
    for name, (make, _) in HOSTILE.items():
        (tmp_path / name).write_bytes(make())
    found = in_little_memory(decode_all, tmp_path, extra_mib=150)
    assert found == {name: [status, status] for name, (_, status) in HOSTILE.items()}


def test_a_recording_of_the_longest_duration_is_read_whole_and_a_longer_one_refused() -> None:
    longest = audio.MAX_DURATION_SECONDS * RATE_HZ
    assert len(audio.decode(flac(np.ones(longest, np.int16)))) == longest
    assert outcome(lambda: audio.decode(flac(np.ones(longest + 1, np.int16)))) == "audio_too_long"


def test_blocks_join_without_a_seam() -> None:
    samples = np.random.default_rng(0).integers(-20_000, 20_000, (2**20, 3), dtype=np.int16)
    expected = (samples.astype(np.float32) / 2**15).mean(axis=1)
    assert np.array_equal(audio.decode(flac(samples)), expected)


def tone(kind: str, subtype: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.sin(np.arange(800) / 9), RATE_HZ, format=kind, subtype=subtype)
    return buffer.getvalue()


SEEDS = [
    tone("WAV", "PCM_16"), tone("WAV", "FLOAT"), tone("WAV", "IMA_ADPCM"), tone("FLAC", "PCM_16"),
    tone("AIFF", "PCM_24"), tone("OGG", "VORBIS"), tone("AU", "ULAW"), tone("CAF", "PCM_16"),
    tone("W64", "PCM_16"), tone("WAVEX", "PCM_16"),
]  # fmt: skip


@pytest.mark.filterwarnings("error")  # such as an exception in a callback, which a user would see as a traceback
@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 900),
)
def test_damaged_recordings_are_finite_sound_or_a_reject(data: bytes, edits: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(data)
    for position, value in edits:
        damaged[position % len(damaged)] = value

    def decode() -> None:
        waveform = audio.decode(bytes(damaged[: len(damaged) - cut] if cut % 3 == 0 else damaged))
        assert waveform.dtype == np.float32
        assert waveform.ndim == 1
        assert np.isfinite(waveform).all()
        assert 0 < len(waveform) <= audio.MAX_DURATION_SECONDS * RATE_HZ + 1

    outcome(decode)


@pytest.mark.parametrize("name", ["missing.wav", "folder"])
def test_what_is_no_file_is_a_reject(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    assert outcome(lambda: audio.decode(tmp_path / name)) == "audio_unreadable"
