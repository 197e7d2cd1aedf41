from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.tweets.hashtags import hashtag_words


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("TDF2015", "TDF 2015"),
        ("F1", "F1"),
        ("a380", "a380"),
        ("ItsNOTtaxed", "Its NOT taxed"),
        ("FIFAWorldCup", "FIFA World Cup"),
        ("DVDs", "DVDs"),
        ("nofilter", "no filter"),
        ("PAPAROACH", "PAPA ROACH"),
        ("seabirds", "seabirds"),
        ("goursouzia", "goursouzia"),
        ("snake_case_tag", "snake case tag"),
        ("14thFeb", "14th Feb"),
        ("1in7billion", "1 in 7 billion"),
        ("CaféParis", "CaféParis"),
        ("", ""),
    ],
)
def test_hashtags_split_into_words_where_words_are_known(tag: str, words: str) -> None:
    assert hashtag_words(tag) == words


@settings(deadline=None)  # the first call loads the word list
@given(st.from_regex(r"\w{0,90}", fullmatch=True))
def test_splitting_a_hashtag_keeps_its_characters(tag: str) -> None:
    assert hashtag_words(tag).replace(" ", "") == tag.replace("_", "")
