from __future__ import annotations

import csv
import os
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.errors import RowError
from pipeline.tweets.text import TextOptions, comparison_text, spoken_text

WORDS = TextOptions(emoji="words", max_characters=280)
DROP = TextOptions(emoji="drop", max_characters=280)

# Pieces that real tweets are made of; joined at random they meet each other in every order.
TWEET_PIECES = st.sampled_from(
    [
        *("RT @user: ", "MT @a_b ", '"@user: ', "@", "@x's", "via @y", "RT", "http://t.co/Q…", "https://t.co/a1B2c3"),
        *(
            "www.x.org/a",
            "pic.twitter.com/abc",
            "bit.ly/2x",
            "htt…",
            "http:/…",
            "#HappyDay",
            "#nofilter",
            "#",
            "##a",
            "#1",
        ),
        *(
            "&amp;",
            "&amp;amp;",
            "&lt;3",
            "&#39;",
            "&#x1F602;",
            "&",
            "<3",
            ":)",
            ":-(",
            "?",
            "???",
            "!!",
            "…",
            "...",
            "[[",
        ),
        *(
            "]]",
            "(",
            ")",
            '"',
            "”",
            "'",
            "😂",
            "❤️",
            "👍🏽",
            "👨‍👩‍👧",
            "🇮🇹",
            "1️⃣",
            "𝓱𝓮𝓵𝓵𝓸",
            "ﬁ",
            "\u200b",
            "\u202e",
            "\ufffd",
        ),
        *(
            "\x00",
            "\n",
            "\t",
            " ",
            "  ",
            "a",
            "I",
            "word",
            "soooo",
            "hahaha",
            "$5m",
            "50%",
            "6-2",
            "10,000",
            "-",
            "--",
            "w/",
        ),
        *(
            "é",
            "e\u0301",
            "ß",
            "İ",
            "नमस्ते",
            "مرحبا",
            "你好",
            "\ue000",
            "\ue001",
            ".",
            ",",
            ":",
            ";",
            "/",
            "~",
            "*",
            "_",
            "’",
        ),
    ]
)
TWEETS = st.lists(TWEET_PIECES, max_size=14).map("".join) | st.text(max_size=80)
ANY_TEXT = TWEETS | st.text(st.characters(), max_size=60)  # st.characters() has lone surrogates too


def spoken_or_empty(text: str, options: TextOptions) -> str:
    try:
        return spoken_text(text, options)
    except RowError as error:
        assert error.status == "text_empty"
        return ""


@pytest.mark.parametrize(
    ("tweet", "spoken"),
    [
        ("RT @user: RT @other_1: so sad", "so sad"),
        ("So true > RT @user: never give up", "So true. never give up"),
        ('"@user: all aglow', "all aglow"),
        ("RT to win", "retweet to win"),
        ("Peru makes contact http://t.co/c6tVtNxSEn http://t.co/wCb…", "Peru makes contact"),
        ("seen (more:http://t.co/Mnyxf0Fice) today", "seen, more: today"),
        ("look pic.twitter.com/aBc1 or bit.ly/2xY now", "look or now"),
        ("shop at etsy.com today", "shop at today"),  # or anyone's own site
        ("my new .com course", "my new dot com course"),
        ("call 202-555-0143, IG: jane_doe, or jane [at] example.com", "call, IG: or"),
        ("etc.and/or so", "etc.and or so"),
        ("write to me.you@site.org please", "write to please"),
        ("thanks @user, great", "thanks, great"),
        ("features in @user's Week", "features in someone's Week"),
        ("Live @ Wimbledon", "Live at Wimbledon"),
        ("Fish &amp;amp; chips &amp; tea", "Fish and chips and tea"),
        ("R&amp;B at AT&T", "R and B at AT and T"),
        ("it&#39;s 3 &lt; 5", "it's 3 less than 5"),
        ("you&nothing", "you and nothing"),  # not the entity &not
        ("#HappyValentinesDay all", "Happy Valentines Day all"),
        ("this has got to go #worthless #eliminatethewaste", "this has got to go, worthless, eliminate the waste"),
        ("the most #vibrant #female community", "the most vibrant female community"),
        ("in the #rain #london", "in the rain, london"),
        ("we are #1", "we are number 1"),
        ("forever changed ?", "forever changed"),
        ("so happy ???? today", "so happy today"),
        ("why is this cat so cute ??", "why is this cat so cute?"),
        ("a price to pay???????", "a price to pay?"),
        ("I don?t know, marred?match", "I don't know, marred match"),
        ("I don\ufffdt", "I don't"),
        ("No way!!!!! Really?!?!", "No way! Really?"),
        ("soooooo yessss 1000000 Rocky III", "so yes 1000000 Rocky 3"),
        ("hahahahaha stop", "ha ha stop"),
        ("say [[fuU]] [it] now", "say, fuU, it, now"),
        ("𝓱𝓮𝓵𝓵𝓸 ｗｏｒｌｄ ﬁne", "hello world fine"),
        ("zero\u200bwidth \u202eright\u202c soft\u00adhyphen", "zerowidth right softhyphen"),
        ("line one\nline two", "line one, line two"),
        ("That had to hurt… the week", "That had to hurt, the week"),
        ("RT @user: recognize our impotence,and nothin…", "recognize our impotence, and"),
        ("RT @user: what a day h…", "what a day"),
        ("#strong #focused #fitne…", "strong, focused"),
        ("so tired…", "so tired."),
        ("30+ degrees, 99% of 20°C", "30 plus degrees, 99 percent of 20 degrees Celsius"),
        ("$5m and £475 and A$AP", "5 million dollars and 475 pounds and AsAP"),
        ("screaming w/ him w/o you b/c why", "screaming with him without you because why"),
        ("1617-1815, won 6-2 in a t-shirt - wow", "1617 to 1815, won 6 to 2 in a t-shirt, wow"),
        ('Presley 7" Single, "called" so', "Presley 7 inch Single, called so"),
        ("*** ::Watches:: ***", "Watches"),
        ("Best… http://t.co/a", "Best."),
        ("email(s) sent .", "emails sent."),
        ("MR.& MRS. RIGHT,NOT", "MR. and MRS. RIGHT, NOT"),
    ],
)
def test_tweets_become_what_a_person_would_read_aloud(tweet: str, spoken: str) -> None:
    assert spoken_text(tweet, WORDS) == spoken


@pytest.mark.parametrize(
    ("tweet", "words", "dropped"),
    [
        ("great 😂😂😂 day", "great, face with tears of joy, day", "great day"),
        ("ok 👍🏽", "ok, thumbs up", "ok"),
        ("us 👨‍👩‍👧 home", "us, family man woman girl, home", "us home"),
        ("in 🇮🇹!", "in, Italy flag!", "in!"),
        ("1️⃣ done", "1 done", "1 done"),
        ("I <3 you :)", "I, red heart, you, slightly smiling face", "I you"),
        ("go ➡️ there ™", "go there", "go there"),
        (
            "wow 😂😍😎🔥💔",
            "wow, face with tears of joy, smiling face with heart-eyes, smiling face with sunglasses",
            "wow",
        ),
    ],
)
def test_emoji_are_said_once_or_dropped(tweet: str, words: str, dropped: str) -> None:
    assert spoken_text(tweet, WORDS) == words
    assert spoken_text(tweet, DROP) == dropped


@pytest.mark.parametrize(
    "text", ["", "   ", "http://t.co/abc", "RT @user: http://t.co/…", "?????", "\u200b\ufeff", "@a @b", "[[ ]]"]
)
def test_nothing_left_to_say_is_a_row_error(text: str) -> None:
    with pytest.raises(RowError, match="text_empty"):
        spoken_text(text, WORDS)


def test_an_emoji_alone_is_speech_only_if_emoji_are_spoken() -> None:
    assert spoken_text("💔", WORDS) == "broken heart"
    with pytest.raises(RowError):
        spoken_text("💔", DROP)


def test_long_texts_end_at_a_sentence_or_word_within_the_limit() -> None:
    options = TextOptions(emoji="words", max_characters=30)
    assert spoken_text("One two three four five. Six seven eight", options) == "One two three four five."
    assert spoken_text("One. two three four five six, seven eight", options) == "One. two three four five six"
    assert spoken_text("a" * 10 + "bc" * 2500, options) == "aabcbcbcbcbcbcbcbcbcbcbcbcbcbc"


@settings(max_examples=600, deadline=None)
@given(ANY_TEXT, st.sampled_from(["words", "drop"]), st.integers(20, 120))
@example("ht@atp://x.y/z", "words", 20)
@example("&am@p;lt;3", "words", 20)
def test_spoken_text_is_clean_short_and_idempotent(text: str, emoji: str, limit: int) -> None:
    options = TextOptions(emoji=emoji, max_characters=limit)  # type: ignore[arg-type]
    spoken = spoken_or_empty(text, options)
    assert len(spoken) <= limit
    assert spoken_or_empty(spoken, options) == spoken
    assert spoken == " ".join(spoken.split())
    assert not re.search(r"https?:/|www\.|\w\.[a-z]{2,}/\w|[@#&<>\[\]{}_*…\"]|--|\?\?|!!", spoken, re.IGNORECASE)
    assert {unicodedata.category(character)[0] for character in spoken} <= set("LMNPZ")
    assert all(character == " " for character in spoken if unicodedata.category(character)[0] == "Z")


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT)
def test_comparison_text_is_folded_words_only_and_idempotent(text: str) -> None:
    compared = comparison_text(text)
    assert comparison_text(compared) == compared
    assert all(character.isalnum() or character == " " for character in compared)
    assert compared == " ".join(compared.split())


def test_comparison_text_is_equal_for_copies_that_differ_in_wrapping() -> None:
    original = "Don't panic, the #HappyDay is here!"
    for copy in (
        "RT @user: Don’t panic, the #HappyDay is here! http://t.co/abc",
        "don't PANIC the happy day is here 😂",
        "“@x: Don't panic, the Happy Day is here!!!” https://t.co/…",
    ):
        assert comparison_text(copy) == comparison_text(original) == "dont panic the happy day is here"
    assert comparison_text("😂 http://t.co/a") == ""


@pytest.mark.parametrize("values", [{"emoji": "keep", "max_characters": 200}, {"emoji": "drop", "max_characters": 5}])
def test_impossible_options_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TextOptions(**values)  # type: ignore[arg-type]


def test_real_tweets_are_all_speakable() -> None:
    root = os.environ.get("SIER_REAL_CORPORA")
    if not root:
        pytest.skip("SIER_REAL_CORPORA is not set")
    with (Path(root) / "b_t4sa" / "raw_tweets_text.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    assert len(texts) == 315
    for text in texts:
        spoken = spoken_text(text, WORDS)
        assert not re.search(r"https?:|@|#|\bRT\b|…|&", spoken)
        assert re.search(r"[A-Za-z]{2}", spoken)
