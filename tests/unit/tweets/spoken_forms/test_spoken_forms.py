"""The spoken form of tweets: a table by kind in our own words, the published complaints, and what each rule is for."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import RowError
from pipeline.tweets.hashtags import word_counts
from pipeline.tweets.spoken_forms.elongations import shortened
from pipeline.tweets.spoken_forms.emoticons import as_emoji
from pipeline.tweets.spoken_forms.money import money
from pipeline.tweets.spoken_forms.numbers import counts, numerals
from pipeline.tweets.text import TextOptions, comparison_text, spoken_by_rules, spoken_text

SAID = TextOptions(emoji="words", max_characters=280)
DROPPED = TextOptions(emoji="drop", max_characters=280, handles="drop")
KINDS: dict[str, list[list[str]]] = json.loads(
    (Path(__file__).parent / "spoken_forms.json").read_text(encoding="utf-8")
)
TABLE = [
    pytest.param(tweet, spoken, id=f"{kind}-{tweet[:30]}") for kind, rows in KINDS.items() for tweet, spoken in rows
]


def test_the_table_has_three_hundred_tweets_of_all_kinds() -> None:
    assert sum(map(len, KINDS.values())) >= 300
    assert all(len(rows) >= 7 for rows in KINDS.values())
    assert len({tweet for rows in KINDS.values() for tweet, _ in rows}) == len(TABLE)


@pytest.mark.parametrize(("tweet", "spoken"), TABLE)
def test_tweets_are_said_as_the_table_has_it(tweet: str, spoken: str) -> None:
    assert spoken_text(tweet, SAID) == spoken
    assert spoken_text(spoken, SAID) == spoken  # nothing that is said is said differently a second time


@pytest.mark.parametrize(
    ("tweet", "spoken"),
    [
        ("dinner with @a & @b tonight", "dinner tonight"),
        ("photo by @artist | model: @someone", "photo, model"),
        ("thanks to @a and @b", "thanks"),
        ("features in @user's Week", "features in Week"),
        ("on the @user tour", "on the tour"),
        ("happy :) <3 T_T day", "happy day"),
        ("(´・ω・`) fine ♥", "fine"),
    ],
)
def test_handles_and_emoticons_are_dropped_with_the_phrase_they_stand_in(tweet: str, spoken: str) -> None:
    assert spoken_text(tweet, DROPPED) == spoken


def test_the_published_complaints_are_mended() -> None:
    folder = Path(os.environ.get("SIER_REAL_CORPORA", "/nowhere")).parent / "cases"
    if not folder.is_dir():
        pytest.skip("no folder of cases beside SIER_REAL_CORPORA")
    wanted = {tweet: spoken for rows in KINDS.values() for tweet, spoken in rows}
    numbers = ("01", "03", "04", "05", "08", "09", "10", "11", "12", "13", "14", "39")
    texts = [
        json.loads(line)
        for number in numbers
        for path in sorted(folder.glob(f"{number}-*/texts.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert len(texts) >= 44
    assert {text: spoken_text(text, SAID) for text in texts} == {text: wanted[text] for text in texts}


@pytest.mark.parametrize(
    ("tweet", "rules"),
    [
        ("plain words", []),
        ("soooo happy #today http://t.co/a", ["links", "hashtags", "elongations"]),
        ("â‚¬5 with @a &amp; me", ["entities", "encoding", "handles", "money", "signs"]),
        ("<b>10⁶</b> :) ﬁne", ["markup", "powers", "emoji", "letters"]),
        ("RT @user: 5km on 10/31, Rocky III ?", ["retweets", "lost_characters", "units", "numbers", "numerals"]),
        ("word " * 80, ["cut"]),
    ],
)
def test_rules_are_named_where_they_changed_the_text(tweet: str, rules: list[str]) -> None:
    assert spoken_by_rules(tweet, SAID)[1] == rules


def test_copies_that_differ_in_encoding_and_stress_compare_equal() -> None:
    original = "It's so sad, the café is closed"
    for copy in (
        "Itâ€™s so sad, the cafÃ© is closed",
        "IT&#39;S soooo sad, the café is closed :(",
        f"RT @a: {original}",
    ):
        assert comparison_text(copy) == comparison_text(original)
    assert comparison_text("with @a") == "with"  # nobody's name is a word of the text


@settings(deadline=None)  # the first call loads the word list
@given(
    st.sampled_from(["so", "happy", "today", "love", "please", "home", "night"]), st.integers(0, 6), st.integers(3, 9)
)
def test_a_stretched_word_is_the_word_again(word: str, place: int, times: int) -> None:
    place = min(place, len(word) - 1)
    said = shortened(word[:place] + word[place] * times + word[place + 1 :])
    # "home" may become another word, if that is written more often: never a rarer one.
    assert word_counts()[said] >= word_counts()[word]


@pytest.mark.parametrize(
    "text", ["plain", "3:0", "1) a 2) b", "a: b", "http://x.y/z", "5 < 3", "dear mom:", "(see: this)"]
)
def test_what_is_no_emoticon_stays(text: str) -> None:
    assert as_emoji(text) == text


@given(st.text(max_size=40) | st.from_regex(r"[0-9$€£.,:/ -]{0,30}", fullmatch=True))
def test_rules_of_numbers_stand_any_text(text: str) -> None:
    for rule in (money, counts, numerals):
        assert isinstance(rule(text), str)


def test_real_tweets_have_no_holes_nor_signs() -> None:
    root = os.environ.get("SIER_REAL_CORPORA")
    if not root:
        pytest.skip("SIER_REAL_CORPORA is not set")
    import csv

    with (Path(root) / "b_t4sa" / "raw_tweets_text.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    holes = re.compile(r"(?i)\b(?:with|by|from|to) (?:and|[,.!?])|[0-9]/[0-9]|[$€£%<>]|([a-z])\1\1")
    found: list[Any] = [said for text in texts if holes.search(said := spoken_text(text, SAID))]
    assert not found


def test_a_text_of_signs_alone_is_empty() -> None:
    for text in ("(´・ω・`)", ":-)"):
        with pytest.raises(RowError, match="text_empty"):
            spoken_text(text, DROPPED)
