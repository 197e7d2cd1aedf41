"""Texts are published without what points at people."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.publishing.media import redacted

PIECES = st.sampled_from(
    ["@user", "@", "&#64;", "amp;", "&amp;#64;someone", "http://t.co/x", "https://", "www.a.b/c", "hello", "RT ", " ",
     "a@b.org", "t.co/abc", "😀", "\n", ":", "x"]
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RT @some_body: look https://t.co/AbC123 now", "look now"),
        ("mail me.too@example.org or @me, at 5 @ home", "mail or , at 5 @ home"),
        ("&#64;hidden &amp; seen", "& seen"),
        ("no handle here, 3 < 4", "no handle here, 3 < 4"),
        ("www.example.org/a?b=c pic.twitter.com/xyz", ""),
    ],
)
def test_mentions_and_addresses_go_and_words_stay(text: str, expected: str) -> None:
    assert redacted(text) == expected


@given(st.lists(PIECES | st.text(max_size=8), max_size=12).map("".join))
def test_nothing_is_left_however_pieces_are_put_together(text: str) -> None:
    found = redacted(text)
    assert redacted(found) == found
    assert re.search(r"[@＠]\w|https?://\S|www\.\S", found, re.IGNORECASE) is None
