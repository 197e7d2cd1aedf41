"""The percentile rule by hand and by property; the recogniser on a voice that says a known sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.explanation.maps import frames_kept
from pipeline.explanation.transcripts import Transcriber, Word, silence_frames, text_of
from pipeline.media import audio
from tests import voice

SENTENCE = "The weather is lovely this morning."


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return Transcriber()


@pytest.fixture(scope="module")
def spoken() -> audio.Waveform:
    return voice.spoken(SENTENCE)


@pytest.mark.parametrize(
    ("segments", "gone"), [(1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (7, 2), (8, 2), (10, 3), (16, 4), (32, 9)]
)
def test_of_equal_segments_whole_ones_go_and_no_more_than_fit(segments: int, gone: int) -> None:
    values = np.repeat(np.arange(float(segments)), 12)
    silenced = ~frames_kept(values, 30)
    assert silenced.sum() == 12 * gone
    assert np.unique(values[silenced]).tolist() == list(range(gone))


def test_frames_below_the_percentile_go_and_those_of_its_very_value_stay() -> None:
    values = np.array([5.0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 10])  # percentile 30 of 0..10 is 3
    assert frames_kept(values, 30).tolist() == [value >= 3 for value in values]
    tied = np.array([1.0, 1, 1, 1, 2])
    assert frames_kept(tied, 30).all()
    assert not frames_kept(np.array([-1.0, 0, 0, 0, 0]), 30)[0]


@given(st.floats(-1e6, 1e6), st.integers(1, 50), st.floats(0, 100))
def test_equal_values_silence_nothing(value: float, count: int, percentile: float) -> None:
    assert frames_kept(np.full(count, value), percentile).all()


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), st.floats(0, 100))
def test_the_least_frames_go_and_no_more_than_the_percentile_says(values: list[float], percentile: float) -> None:
    kept = frames_kept(np.array(values), percentile)
    gone = [value for value, stays in zip(values, kept, strict=True) if not stays]
    left = [value for value, stays in zip(values, kept, strict=True) if stays]
    assert max(gone, default=-1e9) < min(left)
    assert len(gone) <= np.ceil(percentile / 100 * (len(values) - 1))


def test_silence_covers_the_frames_that_go_and_nothing_else() -> None:
    waveform = np.ones(160, dtype=np.float32)
    kept = np.array([True, False, True, False])
    silenced = silence_frames(waveform, kept, seconds_per_frame=0.0025)  # 40 samples
    assert silenced.tolist() == [1.0] * 40 + [0.0] * 40 + [1.0] * 40 + [0.0] * 40
    assert waveform.all()
    longer = silence_frames(np.ones(170, dtype=np.float32), kept, 0.0025)
    assert longer[160:].all()


def test_nothing_is_heard_in_silence(transcriber: Transcriber) -> None:
    assert transcriber.words(np.zeros(16_000, dtype=np.float32)) == ()


@voice.needs_hibari
def test_a_spoken_sentence_is_heard_word_by_word(transcriber: Transcriber, spoken: audio.Waveform) -> None:
    words = transcriber.words(spoken)
    assert text_of(words).lower().strip(".") == SENTENCE.lower().strip(".")
    times = [time for word in words for time in (word.start_seconds, word.end_seconds)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= len(spoken) / 16_000 + 0.1
    assert transcriber.words(spoken) == words


@voice.needs_hibari
def test_what_is_silenced_is_not_heard(transcriber: Transcriber, spoken: audio.Waveform) -> None:
    words = transcriber.words(spoken)
    middle = len(words) // 2
    frames = int(len(spoken) / 16_000 / 0.01)
    kept = np.arange(frames) * 0.01 >= words[middle].start_seconds
    left = text_of(transcriber.words(silence_frames(spoken, kept, 0.01))).lower()
    assert words[-1].text.lower().strip(".") in left
    assert words[1].text.lower() not in left


def test_parts_of_a_word_are_put_together(monkeypatch: pytest.MonkeyPatch, transcriber: Transcriber) -> None:
    class Part:
        def __init__(self, word: str, start: float, end: float) -> None:
            self.word, self.start, self.end = word, start, end

    class Segment:
        words = (Part(" Half", 0.0, 0.2), Part("-time,", 0.2, 0.5), Part(" 8", 0.6, 0.7), Part(",000", 0.7, 1.1))

    monkeypatch.setattr(transcriber._model, "transcribe", lambda *_, **__: ([Segment()], None))
    words = transcriber.words(np.ones(16_000, dtype=np.float32))
    assert words == (Word("Half-time,", 0.0, 0.5), Word("8,000", 0.6, 1.1))
