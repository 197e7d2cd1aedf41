"""The recogniser and a voice that says known sentences, whole and damaged."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.media import audio
from pipeline.speech.intelligibility import compare
from pipeline.speech.recogniser import Recogniser
from tests import voice

pytestmark = voice.needs_piper
SENTENCE = "I missed the last train home, so now I am walking along the river in the rain."


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser()


@pytest.fixture(scope="module")
def spoken() -> audio.Waveform:
    return voice.spoken(SENTENCE)


@pytest.mark.parametrize("thorough", [False, True])
def test_a_spoken_sentence_is_heard(recogniser: Recogniser, spoken: audio.Waveform, thorough: bool) -> None:
    heard = recogniser.text(spoken, thorough=thorough)
    assert compare(SENTENCE, heard).word_error_rate == 0
    assert recogniser.text(spoken, thorough=thorough) == heard


def test_the_end_of_a_recording_that_is_cut_off_is_missing(recogniser: Recogniser, spoken: audio.Waveform) -> None:
    hearing = compare(SENTENCE, recogniser.text(spoken[: len(spoken) // 2]))
    assert hearing.missing_end_words > 3


def test_another_sentence_and_noise_are_mostly_wrong(recogniser: Recogniser, spoken: audio.Waveform) -> None:
    other = compare("Bins not emptied for three weeks, maggots everywhere.", recogniser.text(spoken)).word_error_rate
    assert other is not None
    assert other > 0.8
    noise = np.random.default_rng(1).normal(0, 0.2, len(spoken)).astype(np.float32)
    rate = compare(SENTENCE, recogniser.text(noise)).word_error_rate
    assert rate is not None
    assert rate > 0.8


def test_nothing_is_heard_in_silence(recogniser: Recogniser) -> None:
    assert recogniser.text(np.zeros(16_000, dtype=np.float32)) == ""


def test_of_a_long_recording_the_first_half_minute_is_heard(recogniser: Recogniser, spoken: audio.Waveform) -> None:
    limit = 30 * 16_000
    long = np.concatenate([spoken, np.zeros(limit, dtype=np.float32)])
    assert recogniser.text(np.concatenate([long[:limit], spoken])) == recogniser.text(long[:limit])
