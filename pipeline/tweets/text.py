"""Tweets to what a voice says.

In   the text of a tweet as published (any Unicode)
Out  `spoken_text`: plain words and punctuation, read as a person would read the tweet aloud
     `comparison_text`: its case-folded words only, by which texts are compared

Both go through the steps of `_normalised`, which are repeated until nothing changes, so that both are idempotent.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Annotated, Literal
from urllib.parse import unquote

import ftfy
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.errors import RowError
from pipeline.frame.params import STRICT
from pipeline.tweets import wording
from pipeline.tweets.handles import Handles, spoken_handles
from pipeline.tweets.hashtags import word_counts
from pipeline.tweets.personal import INVISIBLE, MOST_CHARACTERS, unescaped, without
from pipeline.tweets.spoken_forms import numbers, quantities
from pipeline.tweets.spoken_forms.dates import dates
from pipeline.tweets.spoken_forms.elongations import shortened
from pipeline.tweets.spoken_forms.emoji_words import speak_emoji
from pipeline.tweets.spoken_forms.money import money
from pipeline.tweets.spoken_forms.rules import LANGUAGE, applied


@dataclass(frozen=True, config=STRICT)
class TextOptions:
    """Section `clean.text`: how texts are prepared for the voice."""

    emoji: Literal["words", "drop"]  # say an emoji's name ("red heart"), or leave it out
    max_characters: Annotated[int, Field(ge=20, le=MOST_CHARACTERS)]  # longer ones are cut at a sentence or word
    handles: Handles = "someone"  # said where a sentence needs them; or drop, with the phrase they stand in


def spoken_text(text: str, options: TextOptions) -> str:
    """What a voice is asked to say for a tweet: no URL, handle, markup or control character, single spaces.

    Raises RowError if nothing speakable is left.
    """
    return spoken_by_rules(text, options)[0]


def spoken_by_rules(text: str, options: TextOptions) -> tuple[str, list[str]]:
    """`spoken_text`, and the names of the rules that changed the text in their order, each once."""
    touched: dict[str, None] = {}
    cut: tuple[str, Step] = ("cut", partial(_cut, options.max_characters))
    steps = [*_steps(options.emoji == "words", options.handles), cut]
    spoken = _until_stable(text, lambda current: _after(steps, current, touched))
    if not any(map(str.isalnum, spoken)):
        raise RowError("text_empty", f"nothing to say is left of {text[:60]!r}")
    return spoken, [name for name in touched if name]


def comparison_text(text: str) -> str:
    """Case-folded words of a tweet without punctuation and emoji, separated by single spaces; may be empty."""
    steps = _steps(emoji_words=False, handles=None)

    def words(current: str) -> str:
        folded = unicodedata.normalize("NFKC", _after(steps, current, {}).casefold())
        return " ".join(_NOT_A_WORD.sub(" ", folded.replace("'", "")).split())

    return _until_stable(text, words)


def _until_stable(text: str, step: Callable[[str], str]) -> str:
    text = text[:MOST_CHARACTERS]
    # Removing one thing may join its neighbours into another ("ht@atp://x"). Two rounds settle nearly every text; the
    # bound is there because the text comes from strangers.
    for _ in range(_MOST_ROUNDS):
        following = step(text)
        if following == text:
            break
        text = following
    return text


_MOST_ROUNDS = 20
_NOT_A_WORD = re.compile(r"[\W_]+")

# -- one round --------------------------------------------------------------------------------------------------------

Step = Callable[[str], str]


@lru_cache
def _steps(emoji_words: bool, handles: Handles | None) -> tuple[tuple[str, Step], ...]:
    """What is done to a text, in this order; each by the name under which the report counts it, "" if it does not."""
    return (
        ("markup", _without_markup),
        ("entities", lambda text: unescaped(unescaped(text))),  # &amp;amp;
        ("encoding", lambda text: text if text.isascii() else ftfy.fix_encoding(text)),  # "donâ€™t"
        ("", lambda text: text if text.isascii() else ftfy.fix_text(text, _FTFY)),
        ("powers", quantities.powers),
        ("emoji", lambda text: speak_emoji(text, emoji_words, LANGUAGE)),
        ("", lambda text: INVISIBLE.sub("", text)),
        ("cut_at_source", _truncation_removed),
        ("letters", _plain_letters),
        ("links", _without_links),
        ("", lambda text: text.translate(_PLAIN_MARKS)),
        ("retweets", partial(applied, wording.RETWEETS)),
        ("handles", lambda text: spoken_handles(text, handles)),
        ("lost_characters", partial(applied, wording.LOST_CHARACTERS)),
        ("hashtags", partial(applied, wording.HASHTAGS)),
        ("money", money),
        ("dates", dates),
        ("units", quantities.measures),
        ("numbers", numbers.counts),
        ("numerals", numbers.numerals),
        ("signs", partial(applied, wording.SIGNS)),
        ("", partial(applied, wording.PAUSES)),
        ("", lambda text: text.translate(_SPEAKABLE)),
        ("elongations", shortened),
        ("", partial(applied, wording.TIDY)),
        ("", lambda text: unicodedata.normalize("NFKC", text.strip(" ,;:-'/").lstrip(" .,!?;:-/"))),
    )


def _after(steps: Iterable[tuple[str, Step]], text: str, touched: dict[str, None]) -> str:
    for name, step in steps:
        following = step(text)
        if following != text:
            touched[name] = None
            text = following
    return text


# Tags that a page could have left; "<3" and "a < b" are none. Escapes of JSON and of addresses.
_TAG = re.compile(
    r"(?i)</?(?:a|abbr|b|blockquote|body|br|center|code|del|div|em|font|h[1-6]|hr|html|i|img|li|ol|p|pre|s|small|span"
    r"|strike|strong|sub|sup|table|td|th|tr|u|ul)\b(?:\s[^<>]{0,300})?/?>"
)
_BREAKING = re.compile(r"(?i)</?(?:br|p|div|li|h[1-6]|tr|hr)\b")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_PERCENT = re.compile(r"(?<![0-9])(?:%[0-9A-F]{2})+")


def _without_markup(text: str) -> str:
    if "\\u" in text:
        text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    if "%20" in text:
        text = _PERCENT.sub(lambda match: unquote(match[0]), text)
    return _TAG.sub(lambda match: "\n" if _BREAKING.match(match[0]) else " ", text) if "<" in text else text


# Curled quotes and halves of characters; letters in other guises are left to NFKC.
_FTFY = ftfy.TextFixerConfig(
    unescape_html=False, fix_encoding=False, fix_latin_ligatures=False, fix_character_width=False,
    fix_line_breaks=False, normalization=None,
)  # fmt: skip

_CERTAINLY_FULL, _NEARLY_FULL = 130, 100  # characters; Twitter cut at 140, with links and names that may be gone
_A_COMMON_WORD = 1e6  # times in the list's trillion


def _truncation_removed(text: str) -> str:
    """Without the half word (often half a URL) before a closing ellipsis; other ellipses become pauses."""
    if "…" not in text:
        return text
    published = len(text)
    text = _LINKS_AFTER_ELLIPSIS.sub("… ", text)
    cut_off = "RT @" in text or published >= _CERTAINLY_FULL
    if not cut_off and published >= _NEARLY_FULL and (last := _LAST_WORD.search(text)):
        cut_off = word_counts().get(last[1].lower(), 0) < _A_COMMON_WORD
    text = (_HALF_WORD if cut_off else _HALF_TAG_OR_LINK).sub("", text)
    return text.replace("…", "... ")


_LINKS_AFTER_ELLIPSIS = re.compile(r"…(?:\s*https?:\S*)+\s*$")
_HALF_TAG_OR_LINK = re.compile(r"(?:#\w*|\bh(?:t(?:tp?s?)?)?|\bhttps?:\S{0,40})…[\s\"”'’]*$")
_HALF_WORD = re.compile(r"[^\s…]{0,60}…[\s\"”'’]*$")
_LAST_WORD = re.compile(r"([^\s…]{0,60})…[\s\"”'’]*$")

_PLAIN_MARKS: dict[int, str] = {
    **dict.fromkeys(map(ord, "`´"), "'"),
    **dict.fromkeys(map(ord, "«»「」『』〝〞"), '"'),
    **dict.fromkeys(map(ord, "‐‑⁃−"), "-"),
    **dict.fromkeys(map(ord, "–—―"), " - "),
    **dict.fromkeys(map(ord, "¿¡"), " "),
    ord("⁄"): "/",
    ord("。"): ". ",
    ord("、"): ", ",
}
_GLUED_LINK = re.compile(r"(?<=[^\W_]|[.!?,])(?=https?://|pic\.twitter\.com/)")


def _plain_letters(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def _without_links(text: str) -> str:
    return without(_GLUED_LINK.sub(" ", text), "link", "email", "phone", "account")


class _Speakable(dict[int, int]):
    """A table for `str.translate`: letters, numbers and punctuation that pauses stay, all else becomes a space."""

    def __missing__(self, number: int) -> int:
        character = chr(number)
        stays = character in ".,!?;:'-/" or unicodedata.category(character)[0] in "LNM"
        self[number] = number if stays else ord(" ")
        return self[number]


_SPEAKABLE = _Speakable()


def _cut(max_characters: int, text: str) -> str:
    """`text`, or its longest beginning within the limit that ends with a sentence, else with a word."""
    if len(text) <= max_characters:
        return text
    head = text[: max_characters + 1]
    sentence_end = max(head.rfind(mark + " ") for mark in ".!?") + 1
    word_end = head.rfind(" ")
    if sentence_end >= 0.6 * max_characters:
        return head[:sentence_end]
    return head[: word_end if word_end > 0 else max_characters].rstrip(" ,;:-'/")
