"""Ten speakers and their prosody per emotion, made from one synthetic voice.

Out  mono float32 in [-1, 1], shape [samples], at 16,000 Hz.

A speaker is a vocal-tract length and a brightness: resampling moves pitch and formants together, as the size of a
throat does, and the voice speaks slower or faster to make up for the changed duration. An emotion is a pace, a pitch, a
pitch movement over the utterance, a level, a brightness and the pauses between sentences.
"""

import re
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import lfilter

from pipeline import voices

SAMPLING_RATE_HZ = 16_000

# How far prosody follows the emotion: 0 is the neutral voice throughout, 1 the table below.
PROSODY_STRENGTH = 0.4
# Standard deviation of each utterance's own deviation, relative to the table's values. Raise to make speech harder.
PROSODY_NOISE = 0.9

RATES = (0.5, 2.0)  # that a voice is asked for
OVERSAMPLING = 4  # linear interpolation at this factor leaves no audible error below 8 kHz
NOISE_FLOOR = 0.0008  # the room: no recording has digital silence


@dataclass(frozen=True)
class Speaker:
    """Ratios relative to the voice itself; `brightness` in [-1, 1] tilts the spectrum."""

    shift: float
    pace: float
    brightness: float
    level_db: float


@dataclass(frozen=True)
class Prosody:
    """Ratios relative to the speaker's neutral speech; pauses in seconds, tempo of pitch movement in Hz."""

    pace: float = 1.0
    pitch: float = 1.0
    fall: float = 0.04  # relative drop of pitch from first to last sample
    sway: float = 0.02  # relative height of the pitch movement
    sway_hz: float = 1.0
    level_db: float = 0.0
    brightness: float = 0.0
    pause_seconds: float = 0.25


# Session 1-5, female then male. The voice is a woman's, so men are shifted down.
SPEAKERS = {
    "Ses01F": Speaker(1.02, 1.00, 0.10, 0.0),
    "Ses01M": Speaker(0.82, 1.04, -0.05, -1.0),
    "Ses02F": Speaker(0.97, 0.94, -0.10, -2.0),
    "Ses02M": Speaker(0.78, 0.97, 0.05, 1.0),
    "Ses03F": Speaker(1.04, 1.06, 0.00, -1.0),
    "Ses03M": Speaker(0.86, 1.00, 0.15, 0.0),
    "Ses04F": Speaker(0.99, 0.98, 0.20, 1.0),
    "Ses04M": Speaker(0.76, 0.93, -0.15, -2.0),
    "Ses05F": Speaker(0.95, 1.03, 0.05, 0.0),
    "Ses05M": Speaker(0.83, 1.08, -0.10, -1.0),
}

PROSODY = {
    "ang": Prosody(1.12, 1.10, 0.00, 0.05, 3.0, 6.0, 0.5, 0.12),
    "exc": Prosody(1.14, 1.14, -0.03, 0.08, 2.2, 4.0, 0.3, 0.10),
    "hap": Prosody(1.05, 1.08, 0.00, 0.06, 1.6, 2.0, 0.2, 0.20),
    "sad": Prosody(0.80, 0.94, 0.08, 0.01, 0.6, -6.0, -0.6, 0.60),
    "neu": Prosody(),
    "fru": Prosody(1.02, 1.03, 0.06, 0.03, 1.4, 2.0, 0.1, 0.30),
    "sur": Prosody(1.06, 1.14, -0.10, 0.06, 1.2, 2.0, 0.2, 0.20),
    "fea": Prosody(1.10, 1.08, 0.00, 0.03, 5.0, -3.0, -0.2, 0.35),
    "dis": Prosody(0.92, 0.96, 0.10, 0.04, 1.0, 0.0, -0.2, 0.40),
    "oth": Prosody(),
    "xxx": Prosody(0.97, 1.02, 0.05, 0.03, 1.0, -1.0, 0.0, 0.35),
}


# What differs from one utterance to the next whatever the mood, per trait and at PROSODY_NOISE = 1.
SPREAD = {
    "pace": 0.07, "pitch": 0.04, "fall": 0.02, "sway": 0.012, "sway_hz": 0.3, "level_db": 2.0, "brightness": 0.15,
    "pause_seconds": 0.08,
}  # fmt: skip
# Beyond these a trait is no longer speech as people speak.
LIMITS = {"pause_seconds": (0.05, 1.2), "pace": (0.7, 1.35), "pitch": (0.88, 1.22), "sway_hz": (0.3, 6.0)}


def act(
    voice: voices.Voice, text: str, speaker: Speaker, prosody: Prosody, rng: np.random.Generator
) -> NDArray[np.float32]:
    """`text` as this speaker says it in this mood. The same generator state gives the same samples."""
    mood = _individual(prosody, rng)
    shift = speaker.shift * mood.pitch
    pieces: list[NDArray[np.float64]] = []
    for sentence in filter(None, re.split(r"(?<=[.!?])\s+", text.strip())):
        # Resampling by `shift` shortens what is said by as much.
        rate = float(np.clip(speaker.pace * mood.pace / shift, *RATES))
        spoken = voice.speak(sentence, prosody=voices.Prosody(rate=rate))
        pieces.append(_bend(spoken, voice.sampling_rate_hz, shift, mood, rng))
        pieces.append(np.zeros(int(mood.pause_seconds * rng.uniform(0.7, 1.3) * SAMPLING_RATE_HZ)))
    samples = _tilt(np.concatenate(pieces[:-1]), speaker.brightness + mood.brightness)
    level = 0.08 * 10 ** ((speaker.level_db + mood.level_db) / 20)
    samples *= level / max(float(np.sqrt(np.mean(samples**2))), 1e-6)
    samples = np.tanh(samples / 0.9) * 0.9  # loud speech saturates a microphone softly
    edge = np.zeros(int(0.12 * SAMPLING_RATE_HZ))
    samples = np.concatenate([edge, samples, edge])
    room = lfilter([0.3], [1.0, -0.7], rng.standard_normal(len(samples))) * NOISE_FLOOR
    return np.asarray(samples + room, dtype=np.float32)


def _individual(prosody: Prosody, rng: np.random.Generator) -> Prosody:
    """This utterance's share of the emotion: weaker or stronger than the table, each trait by itself."""
    neutral = Prosody()
    traits = {}
    for name in Prosody.__dataclass_fields__:
        base, value = getattr(neutral, name), getattr(prosody, name)
        own = PROSODY_STRENGTH * (1 + PROSODY_NOISE * rng.standard_normal())
        jitter = SPREAD[name] * PROSODY_NOISE * rng.standard_normal()
        traits[name] = base + own * (value - base) + jitter
    for name, (low, high) in LIMITS.items():
        traits[name] = float(np.clip(traits[name], low, high))
    return Prosody(**traits)


def _bend(
    spoken: NDArray[np.float32], rate_hz: int, shift: float, mood: Prosody, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Resampled to 16 kHz by a factor that moves over the sentence: level shift, fall and sway of the pitch."""
    fine = soxr.resample(spoken.astype(np.float64), rate_hz, OVERSAMPLING * SAMPLING_RATE_HZ)
    count = int(len(fine) / OVERSAMPLING / shift)
    seconds = np.arange(count) / SAMPLING_RATE_HZ
    progress = np.linspace(-0.5, 0.5, count)
    phase = rng.uniform(0, 2 * np.pi)
    ratio = 1 - mood.fall * progress + mood.sway * np.sin(2 * np.pi * mood.sway_hz * seconds + phase)
    positions = np.cumsum(ratio)
    positions *= (len(fine) - 1) / positions[-1]
    return np.asarray(np.interp(positions, np.arange(len(fine)), fine), dtype=np.float64)


def _tilt(samples: NDArray[np.float64], brightness: float) -> NDArray[np.float64]:
    """A first-order shelf: positive makes the voice brighter and harder, negative duller and softer."""
    amount = float(np.clip(brightness, -0.9, 0.9))
    if amount >= 0:
        return np.asarray(lfilter([1.0, -0.7 * amount], [1.0], samples))
    return np.asarray(lfilter([1.0 + 0.75 * amount], [1.0, 0.75 * amount], samples))
