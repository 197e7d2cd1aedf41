from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import font_manager

from pipeline.explanation.figure_text import MISSING, drawable, font, ink_on, line_height, plain, width_of, wrapped

ORANGE = (0.9, 0.5, 0.1, 1.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("so sick 🤮🤮 #gross", "so sick [face vomiting] [face vomiting] #gross"),
        ("a &amp; b &lt;3", "a & b <3"),
        ("two\nlines\tand  gaps", "two lines and gaps"),
        ("naïve – “quoted” … €5 $5 ^2_", "naïve – “quoted” … €5 $5 ^2_"),
        ("良い day", f"{MISSING}{MISSING} day"),
        ("", ""),
    ],
)
def test_text_is_made_of_signs_that_can_be_drawn(text: str, expected: str) -> None:
    assert drawable(text) == expected


@given(st.text())
@settings(max_examples=60)
def test_any_text_can_be_drawn_on_one_line(text: str) -> None:
    signs = font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap()
    result = drawable(text)
    assert all(ord(sign) in signs for sign in result)
    assert result == " ".join(result.split())


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=60), st.booleans())
    ),
    st.floats(1.5, 9),
)
@settings(max_examples=40, deadline=None)
def test_lines_fit_and_words_neither_overlap_nor_get_lost(words: list[tuple[str, bool]], width: float) -> None:
    lines = wrapped([(text, ORANGE if coloured else None) for text, coloured in words], 11, width)
    for line in lines:
        end = 0.0
        for text, at, long, _ in line:
            assert at >= end
            assert long == width_of(text, font(11))
            end = at + long
        assert end <= width
    assert "".join(text for line in lines for text, *_ in line) == "".join(text for text, _ in words)


def test_widths_are_those_of_the_font() -> None:
    assert width_of("mm", font(11)) == pytest.approx(2 * width_of("m", font(11)), rel=0.05)
    assert width_of("word", font(22)) == pytest.approx(2 * width_of("word", font(11)), rel=0.08)
    assert line_height(72) == pytest.approx(1.55)


def test_ink_can_be_read_on_its_ground() -> None:
    assert ink_on(None) == ink_on((1.0, 1.0, 1.0, 1.0)) == "black"
    assert ink_on((0.2, 0.0, 0.3, 1.0)) == "white"


def test_plain_words_have_no_ground() -> None:
    assert plain("a b") == [("a", None), ("b", None)]
