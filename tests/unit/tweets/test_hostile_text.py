"""Texts that break a phonemiser or take a regular expression hours: speech or a reject, in bounded time."""

from __future__ import annotations

import random
import time
import unicodedata
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import RowError
from pipeline.tweets.personal import MOST_CHARACTERS, redacted
from pipeline.tweets.text import TextOptions, comparison_text, spoken_text
from pipeline.voices import PiperParams, piper
from tests.hostile import in_little_memory, outcome

OPTIONS = TextOptions(emoji="words", max_characters=300)
needs_piper = pytest.mark.skipif(find_spec("piper") is None, reason="the extra piper is not installed")

# Repeated without end, each made some rule take quadratic or cubic time, or the phonemiser overrun a buffer.
UNITS = (
    "a", "a.", ". ", "…", "? ", " ?", " ", "\t", "\r\n", "@", "@a ", "RT @", "RT ", ">", "> ", "-a", "1-", "1.",
    "_", "a@", "a@b.", "#a", "#", "&amp;", "&", "<", '"', "'", "(", "haha", "http:", "bit.ly", "é", "e\u0301",
    "\u0301", "\u200b", "\u200d", "\u202e", "א", "م", "漢", "漢 ", "ﷺ", "㍿", "½", "İ", "𝔸", "🇬", "👍🏽",
    "👩\u200d👩\u200d👧", "1\ufe0f\u20e3", "❤\ufe0f", "\U000e0041", "\x00", "\x07", "\x1b[2J", "\ufffd",
    "\ufeff", "\ue000", "\ufffc", "\u2028", "[[", "<speak>", "W.", "é.", "ბ.", "f .", "U.S.", "9" * 15 + " ",
    "+1", "07700 9", "202-555-0143 ", "a.com/", "a[dot]", "a dot ", "a at ", "@\u2009", "\u2800", "ig: a ", "add a_b ",
    "u/aaa ", "://", "&amp;amp;", "1.1.1.1:",
)  # fmt: skip


def test_texts_of_any_length_are_normalised_in_bounded_time() -> None:
    length = 131_072  # Python's limit for a field of a csv
    slowest = 0.0
    for number, unit in enumerate(UNITS):
        text = (unit * length)[:length]
        started = time.process_time()
        redacted(text)
        said = outcome(lambda text=text: spoken_text(text, OPTIONS))  # type: ignore[misc]
        if number % 4 == 0:  # it goes through the same rules
            comparison_text(text)
        slowest = max(slowest, time.process_time() - started)
        assert said in {"ok", "text_empty"}, unit
    assert (
        slowest < 10
    )  # a tenth of that on an idle core; the slowest took 30 s at 8,000 characters, and hours at the last


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(UNITS), min_size=1, max_size=12).flatmap(lambda units: st.just("".join(units) * 9)))
def test_what_is_spoken_has_no_control_character_and_no_lone_mark_in_front(text: str) -> None:
    try:
        spoken = spoken_text(text, OPTIONS)
    except RowError as error:
        assert error.status == "text_empty"
        return
    spoken.encode()
    assert 0 < len(spoken) <= OPTIONS.max_characters
    assert not any(unicodedata.category(character)[0] == "C" for character in spoken)
    assert spoken == spoken_text(spoken, OPTIONS)


def test_what_is_looked_at_of_a_text_has_a_limit() -> None:
    long = TextOptions(emoji="drop", max_characters=MOST_CHARACTERS)
    assert len(spoken_text("word " * 100_000, long)) <= MOST_CHARACTERS
    assert comparison_text("word " * 100_000) == comparison_text("word " * 200_000)


def phonemise(seed: str) -> int:
    """Runs apart, for espeak-ng dies without an exception: sentences found in hostile texts."""
    voice = piper.load(PiperParams(engine="piper", model="en_US-joe-medium", length_scale=1.0))
    draw = random.Random(int(seed))
    planes = ((0x20, 0x250), (0x250, 0x2000), (0x300, 0x370), (0x2000, 0xD7FF), (0xF900, 0xFFFF), (0x10000, 0x10FFFF))
    texts = [unit * 400 for unit in UNITS]
    for _ in range(250):
        letters = [chr(draw.randint(*draw.choice(planes))) for _ in range(draw.randint(1, 5))]
        ends = draw.choice((".", " .", ". ", "-", "'", "/", ":", " ", "", "\u0301."))
        pieces = [letter + ends for letter in letters]
        texts.append("".join(draw.choice(pieces) for _ in range(draw.choice((60, 150, 300)))))
    found = 0
    for text in texts:
        for plain in (text, spoken_text_or_nothing(text)):  # a voice must stand what `clean` would have removed, too
            found += len(voice.phoneme_counts(plain))
    return found


def spoken_text_or_nothing(text: str) -> str:
    try:
        return spoken_text(text, OPTIONS)
    except RowError:
        return ""


@needs_piper
def test_no_text_brings_the_phonemiser_down() -> None:
    assert in_little_memory(phonemise, 1, extra_mib=600) > 250


@needs_piper
def test_a_sentence_that_would_take_gigabytes_is_refused_before_it_is_spoken() -> None:
    assert in_little_memory(speak_monsters, extra_mib=600) == ["speech_too_long"] * 2 + ["ok"] * 2


def speak_monsters() -> list[str]:
    """Runs in little memory."""
    voice = piper.load(PiperParams(engine="piper", model="en_US-joe-medium", length_scale=1.0))
    monsters = ("漢 " * 149, "9999999999999 " * 21, "A.B." * 6, "e" + "\u0301" * 299)
    return [outcome(lambda text=text: voice.speak(text)) for text in monsters]  # type: ignore[misc]


@needs_piper
def test_abbreviations_of_ordinary_length_reach_the_voice_as_they_are() -> None:
    for text in ("at 5 p.m. in the U.S.A. today", "A.B.C.D.E.F.G.H.I. done", "version 1.2.3.4.5.6.7.8.9.10.11.12"):
        assert piper._without_marks(text) == text
    assert piper._without_marks("A.B.C.D.E.F.G.H.I.J. done") == "A B C D E F G H I J  done"
