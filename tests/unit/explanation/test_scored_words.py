from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.explanation.transcripts import ScoredWord, Word, score_words, top_words, word_boundaries


def test_a_word_has_what_lies_inside_its_interval() -> None:
    frames = np.array([1.0, 2.0, 4.0, 8.0])
    words = [Word("a", 0.0, 1.0), Word("b", 1.5, 3.0), Word("c", 3.25, 3.5), Word("d", 3.5, 9.0)]
    values = [word.value for word in score_words(words, frames, seconds_per_frame=1.0)]
    assert values == pytest.approx([1.0, 1.0 + 4.0, 2.0, 4.0])
    assert score_words(words, frames, 1.0)[1] == ScoredWord("b", 1.5, 3.0, 5.0)


@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=30),
    st.lists(st.floats(0, 1), min_size=0, max_size=8),
    st.floats(0.01, 0.5),
)
def test_words_without_gaps_share_out_all_of_the_speech(
    values: list[float], cuts: list[float], seconds_per_frame: float
) -> None:
    end = len(values) * seconds_per_frame
    times = [0.0, *sorted(cut * end for cut in cuts), end]
    words = [Word(str(place), *pair) for place, pair in enumerate(pairwise(times))]
    scored = score_words(words, np.array(values), seconds_per_frame)
    assert sum(word.value for word in scored) == pytest.approx(sum(values), abs=1e-9)


def test_no_words_have_no_scores() -> None:
    assert score_words([], np.ones(3), 0.1) == ()


def test_top_words_are_those_that_speak_for_the_label_largest_first() -> None:
    words = [
        ScoredWord(text, float(place), place + 1.0, value)
        for place, (text, value) in enumerate(zip("abcd", [1, 3, 3, -5], strict=True))
    ]
    assert [word.text for word in top_words(words, 2)] == ["b", "c"]
    assert [word.text for word in top_words(words, 9)] == ["b", "c", "a"]  # d speaks against the label


def test_speech_is_cut_where_words_begin() -> None:
    words = [Word("a", 0.1, 0.3), Word("b", 0.32, 0.5), Word("c", 0.71, 0.9)]
    assert word_boundaries(words, seconds_per_frame=0.1) == [3, 7]
    assert word_boundaries([], 0.1) == []
