"""Waveforms in and out: FLAC bytes, resampling, and the checks that a spoken row must pass.

A waveform is float32 [samples], mono, in [-1, 1].
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from pipeline.errors import RowError, first_line
from pipeline.frame import tables
from pipeline.frame.params import STRICT

SAMPLING_RATE_HZ = tables.SAMPLING_RATE_HZ
FULL_SCALE = 0.999

# What is read of a stranger's file. A FLAC file of a megabyte can hold days of silence, and a header can say anything.
MAX_DURATION_SECONDS = 600
MAX_FRAMES = 2**26  # 10 minutes at 96 kHz; 256 MiB as floats
RATES_HZ = (1_000, 768_000)
MAX_AMPLITUDE = 1e6  # full scale is 1, but 16-bit values stored as floats are found too
# Energy of an average to that of channels of which all but one are silent: less, and they cancel each other.
CANCELLED = 0.1
_BLOCK_SAMPLES = 2**20  # of all channels together

Waveform = NDArray[np.float32]


@dataclass(frozen=True, config=STRICT)
class SpeechLimits:
    """What speech must be like to be kept."""

    min_duration_seconds: Annotated[float, Field(gt=0)]  # shorter is a defect of the voice, not an utterance
    max_duration_seconds: Annotated[float, Field(gt=0)]  # longer overruns the teachers' and networks' windows
    min_rms: Annotated[float, Field(ge=0, le=1)]  # root mean square, full scale = 1, below which it counts as silence
    max_clipped_share: Annotated[float, Field(ge=0, le=1)]  # of samples at full scale, above which it counts as clipped

    @field_validator("max_duration_seconds")
    @classmethod
    def _above_the_minimum(cls, value: float, info: ValidationInfo) -> float:
        if value <= info.data.get("min_duration_seconds", 0.0):
            raise ValueError("greater than min_duration_seconds")
        return value


def resample(waveform: Waveform, from_hz: int, to_hz: int = SAMPLING_RATE_HZ) -> Waveform:
    """Band-limited resampling, soxr's highest quality."""
    if from_hz == to_hz:
        return waveform
    return np.asarray(soxr.resample(waveform, from_hz, to_hz, quality="VHQ"), dtype=np.float32)


def check_speech(waveform: Waveform, sampling_rate_hz: int, limits: SpeechLimits) -> float:
    """Duration in seconds of speech within `limits`; `RowError` if it is outside, or not finite."""
    duration_seconds = len(waveform) / sampling_rate_hz
    if not np.isfinite(waveform).all():
        raise RowError("speech_not_finite", "the voice returned samples that are not numbers")
    if duration_seconds < limits.min_duration_seconds:
        raise RowError("speech_too_short", f"{duration_seconds:.2f} s, at least {limits.min_duration_seconds} s")
    if duration_seconds > limits.max_duration_seconds:
        raise RowError("speech_too_long", f"{duration_seconds:.2f} s, at most {limits.max_duration_seconds} s")
    rms = float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))
    if rms < limits.min_rms:
        raise RowError("speech_silent", f"root mean square {rms:.5f}, at least {limits.min_rms}")
    clipped = float(np.mean(np.abs(waveform) >= FULL_SCALE))
    if clipped > limits.max_clipped_share:
        share = f"{clipped:.2%} of samples at full scale, at most {limits.max_clipped_share:.2%}"
        raise RowError("speech_clipped", share)
    return duration_seconds


def encode_flac(waveform: Waveform, sampling_rate_hz: int) -> bytes:
    """16-bit mono FLAC."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(waveform, -1, 1), sampling_rate_hz, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def decode(source: bytes | Path) -> Waveform:
    """Any sound file as mono 16 kHz; several channels are averaged, or if they cancel each other the loudest is taken.

    What the header says of the length is not believed.

    Raises RowError if it is damaged, empty or outside the limits above.
    """
    try:
        with soundfile.SoundFile(_Bytes(source) if isinstance(source, bytes) else source) as file:
            rate_hz = file.samplerate
            if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
                low, high = RATES_HZ
                raise RowError("audio_sampling_rate", f"{rate_hz:,} Hz, expected {low:,} to {high:,} Hz")
            waveform = _read_mono(file)
    except soundfile.LibsndfileError as error:  # as text it names the buffer's address, another one in each run
        raise RowError("audio_unreadable", error.error_string) from None
    except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:
        raise RowError("audio_unreadable", first_line(error)) from None
    if not len(waveform):
        raise RowError("audio_empty", "no samples")
    if not np.isfinite(waveform).all():
        raise RowError("audio_not_finite", "samples that are not numbers")
    if np.abs(waveform).max() > MAX_AMPLITUDE:
        raise RowError("audio_not_finite", f"samples beyond {MAX_AMPLITUDE:g} times full scale")
    decoded = resample(waveform, rate_hz)
    if not len(decoded):
        raise RowError("audio_empty", f"{len(waveform)} samples at {rate_hz:,} Hz, less than one at 16 kHz")
    return decoded


class _Bytes(io.BytesIO):
    """A file in memory. From libsndfile's callback an exception cannot be raised: it would be printed and forgotten."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):  # a damaged header sent it before the start of the file
            return self.tell()


def _read_mono(file: soundfile.SoundFile) -> Waveform:
    """All samples as float32."""
    if file.channels == 1:
        return _joined(block[:, 0] for block in _blocks(file))
    energies = np.zeros(file.channels)

    def averaged(block: Waveform) -> Waveform:
        energies[:] += np.square(block, dtype=np.float64).sum(axis=0)
        return np.asarray(block.mean(axis=1))

    mixed = _joined(averaged(block) for block in _blocks(file))
    # Of two channels in antiphase, or one turned and as loud as all others, nothing would be left.
    if np.square(mixed, dtype=np.float64).sum() >= CANCELLED * energies.sum() / file.channels**2:
        return mixed
    file.seek(0)
    loudest = int(np.argmax(energies))
    return _joined(block[:, loudest] for block in _blocks(file))


def _joined(blocks: Iterator[Waveform]) -> Waveform:
    return np.concatenate([np.zeros(0, np.float32), *blocks])


def _blocks(file: soundfile.SoundFile) -> Iterator[Waveform]:
    """Samples [frames, channels], block by block, so that only what is there takes memory."""
    most = min(MAX_DURATION_SECONDS * file.samplerate, MAX_FRAMES)
    frames = 0
    while len(block := file.read(max(1, _BLOCK_SAMPLES // file.channels), dtype="float32", always_2d=True)):
        frames += len(block)
        if frames > most:
            raise RowError("audio_too_long", f"more than {most / file.samplerate:.0f} s")
        yield block
