from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.voices.number_words import in_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("100 happy days", "one hundred happy days"),
        ("born in 1984, moved in 2015", "born in nineteen eighty-four, moved in twenty fifteen"),
        ("the 4th of 10,000", "the fourth of ten thousand"),
        ("the 80s at 7:30pm", "the eighties at seven:thirty pm"),
        ("2.5 million, 007 and F1", "two point five million, zero zero seven and F one"),
        ("12345678901234567", "one two three four five six seven eight nine zero one two three four five six seven"),
        ("no number", "no number"),
    ],
)
def test_numbers_become_words(text: str, words: str) -> None:
    assert in_words(text) == words


@given(st.text(max_size=40) | st.from_regex(r"[0-9.,:/a-z-]{0,40}", fullmatch=True))
def test_no_digit_is_left_of_any_text(text: str) -> None:
    assert not set(in_words(text)) & set("0123456789")
