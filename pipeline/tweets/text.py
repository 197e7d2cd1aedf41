"""Tweets to what a voice says.

In   the text of a tweet as published (any Unicode)
Out  `spoken_text`: plain words and punctuation, read as a person would read the tweet aloud
     `comparison_text`: its case-folded words only, by which texts are compared

Both go through `_normalised`, which is repeated until nothing changes, so that both are idempotent.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.errors import RowError
from pipeline.frame.params import STRICT
from pipeline.tweets.emoji_words import speak_emoji
from pipeline.tweets.hashtags import hashtag_words
from pipeline.tweets.personal import INVISIBLE, MENTION, MOST_CHARACTERS, unescaped, without


@dataclass(frozen=True, config=STRICT)
class TextOptions:
    """Section `clean.text`: how texts are prepared for the voice."""

    emoji: Literal["words", "drop"]  # say an emoji's name ("red heart"), or leave it out
    max_characters: Annotated[int, Field(ge=20, le=MOST_CHARACTERS)]  # longer ones are cut at a sentence or word


def spoken_text(text: str, options: TextOptions) -> str:
    """What a voice is asked to say for a tweet: no URL, handle, markup or control character, single spaces.

    Raises RowError if nothing speakable is left.
    """
    spoken = _until_stable(
        text, lambda current: _cut(_normalised(current, options.emoji == "words"), options.max_characters)
    )
    if not any(map(str.isalnum, spoken)):
        raise RowError("text_empty", f"nothing to say is left of {text[:60]!r}")
    return spoken


def comparison_text(text: str) -> str:
    """Case-folded words of a tweet without punctuation and emoji, separated by single spaces; may be empty."""

    def words(current: str) -> str:
        folded = unicodedata.normalize("NFKC", _normalised(current, emoji_words=False).casefold())
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


# -- one round --------------------------------------------------------------------------------------------------------


def _normalised(text: str, emoji_words: bool) -> str:
    retweet_or_full = len(text) >= _NEAR_TWEET_LIMIT or "RT @" in text
    for _ in range(2):  # &amp;amp;
        text = unescaped(text)
    text = speak_emoji(text, emoji_words)
    text = INVISIBLE.sub("", text)
    text = _truncation_removed(text, retweet_or_full)
    text = without(unicodedata.normalize("NFKC", text), "link", "email", "phone", "account").translate(_AFTER_NFKC)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = "".join(character if _speakable(character) else " " for character in text)
    for pattern, replacement in _TIDY:
        text = pattern.sub(replacement, text)
    return unicodedata.normalize("NFKC", text.strip(" ,;:-'/").lstrip(" .,!?;:-/"))


_MOST_ROUNDS = 20
_NEAR_TWEET_LIMIT = 100  # characters; a text this long that ends in an ellipsis was cut off, at 140, in mid-word
_NOT_A_WORD = re.compile(r"[\W_]+")


def _truncation_removed(text: str, retweet_or_full: bool) -> str:
    """Without the half word (often half a URL) before a closing ellipsis; other ellipses become pauses."""
    text = _LINKS_AFTER_ELLIPSIS.sub("… ", text)
    text = (_HALF_WORD if retweet_or_full else _HALF_TAG_OR_LINK).sub("", text)
    return text.replace("…", "... ")


_LINKS_AFTER_ELLIPSIS = re.compile(r"…(?:\s*https?:\S*)+\s*$")
_HALF_TAG_OR_LINK = re.compile(r"(?:#\w*|\bh(?:t(?:tp?s?)?)?|\bhttps?:\S{0,40})…[\s\"”'’]*$")
_HALF_WORD = re.compile(r"[^\s…]{0,60}…[\s\"”'’]*$")

_AFTER_NFKC: dict[int, str] = {
    **dict.fromkeys(map(ord, "‘’‛`´ʼ"), "'"),
    **dict.fromkeys(map(ord, "“”„‟«»「」『』〝〞"), '"'),
    **dict.fromkeys(map(ord, "‐‑⁃−"), "-"),
    **dict.fromkeys(map(ord, "–—―"), " - "),
    **dict.fromkeys(map(ord, "¿¡"), " "),
    ord("⁄"): "/",
    ord("。"): ". ",
    ord("、"): ", ",
}

_FUNCTION_WORDS = re.compile(
    r"(?i)(?:a|an|the|my|your|our|his|her|its|their|this|that|some|any|no|of|in|at|on|to|for|from|by|with|as|and|or|but"
    r"|is|are|was|be|so|very|too)"
)


def _hashtag_run(match: re.Match[str]) -> str:
    """Hashtags as words: part of the sentence where it goes on after them, else a list set off from it."""
    tags = [words for words in map(hashtag_words, _HASHTAG.findall(match[0])) if words]
    before = match.string[: match.start()].split()
    if before and _SENTENCE_GOES_ON.match(match.string, match.end()):
        return f" {' '.join(tags)} "
    listed = len(tags) > 1 and before and not _FUNCTION_WORDS.fullmatch(before[-1])
    return f"{', ' if listed else ' '}{', '.join(tags)} "


_HASHTAG = re.compile(r"#(\w+)")
_SENTENCE_GOES_ON = re.compile(r"\s*(?!(?:and|or)\b)[a-z]")
_QUESTION_WORDS = (
    r"\b(?:who|whose|what|when|where|which|why|how|is|are|was|were|do|does|did|can|could|will|would|should|have|has"
    r"|isn't|aren't|don't|doesn't|didn't|can't|won't)\b"
)
_LAST_SENTENCE = re.compile(r"[^.!?]*$")
_OPENING_QUESTION = re.compile(rf"\W*(?:(?:and|but|so|oh|hey|ok|well|now) )?{_QUESTION_WORDS}", re.IGNORECASE)


def _detached_question_mark(match: re.Match[str]) -> str:
    # A question mark after a space is what a lossy export leaves of an emoji, unless the sentence asks something.
    sentence = _LAST_SENTENCE.search(match.string[max(0, match.start() - 200) : match.start()])
    return "? " if sentence and _OPENING_QUESTION.match(sentence[0]) else " "


def _inches(match: re.Match[str]) -> str:
    # 7" is a length unless the mark closes a quotation.
    return f"{match[1]} inch" if match.string.count('"', 0, match.start()) % 2 == 0 else match[0]


_CURRENCIES = {"$": "dollars", "£": "pounds", "€": "euros", "¥": "yen"}
_MAGNITUDES = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion"}


def _money(match: re.Match[str]) -> str:
    sign, amount, magnitude = match.groups()
    words = (amount, _MAGNITUDES.get((magnitude or "").lower(), magnitude), _CURRENCIES[sign])
    return f" {' '.join(word for word in words if word)} "


Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]


def _rules(*pairs: tuple[str, str | Callable[[re.Match[str]], str]]) -> tuple[Rule, ...]:
    return tuple((re.compile(pattern), replacement) for pattern, replacement in pairs)


_RULES = _rules(
    # What Twitter adds: retweet marks, handles.
    (rf"(?:(?<![>\s])[>\s]++)?\b(?:RT|MT)\s*+(?::\s*+)?{MENTION}\s*:?", ". "),
    (rf"(?i)\b(?:via|cc)\s*:?\s*(?:{MENTION}[\s,]*)+", " "),
    (rf"\"\s*{MENTION}\s*:", " "),
    (rf"{MENTION}(?:'s\b)?:?", " "),
    (r"\s@\s", " at "),
    (r"\bRT\s*\+\s*F\b", "retweet and follow"),
    (r"\bRTs\b", "retweets"),
    (r"\bRT\b", "retweet"),
    # Lost characters: an apostrophe, an emoji, an accent.
    (r"(?<=[a-z])[?\ufffd](?=(?:t|s|re|ll|ve|m|d)\b)", "'"),
    (r"(?<=\s)\?+(?=[\w#@])", " "),
    (r"(?<=\s)[?\ufffd]{2,}(?=\s|$)|(?<=\s)\?(?=\s|$)", _detached_question_mark),
    (r"(?<=[^\W_])\?+(?=[^\W_])", " "),
    # Hashtags.
    (r"#([0-9]{1,3})\b", r" number \1 "),
    (r"(?<=[.!?])(?=#)|(?<=\w)-(?=#)", " "),
    (r"(#\w+)'(?=\w{3})", r"\1"),  # whati'mloving
    (r"#\w+(?:[\s,]*#\w+)*", _hashtag_run),
    # Signs that are read as words.
    (r"(?i)\bw/o\b", "without"),
    (r"(?i)\bw/\s*", "with "),
    (r"(?i)\bb/c\b", "because"),
    (r"(?<=[A-Za-z])\$(?=[A-Za-z])", "s"),
    (r"([$£€¥])\s?([0-9]+(?:[.,][0-9]+)*)(?:\s?(k|m|bn|b|K|M|thousand|million|billion)\b)?", _money),
    (r"\s*&\s*", " and "),
    (r"(?<=[0-9])\s*%", " percent"),
    (r"(?<=[0-9])\s*°\s*C\b", " degrees Celsius"),
    (r"(?<=[0-9])\s*°\s*F\b", " degrees Fahrenheit"),
    (r"(?<=[0-9])\s*°", " degrees "),
    (r"(?<=[0-9])\+", " plus "),
    (r"\s\+\s", " and "),
    (r"\s=\s", " equals "),
    (r"(?<!\S)([0-9])\*(?!\S)", r"\1 star"),
    (r"\b([0-9]{1,3})\"(?=\s)", _inches),
    (r"(?<!\S)-(?=[0-9.]+ (?:degrees|percent))", "minus "),
    (r"(?<=\b[0-9]{4})\s?-\s?(?=[0-9]{4}\b)", " to "),
    (r"(?<=[0-9]),(?=[0-9]{1,2}(?![0-9]))", ", "),  # 6-1,6-1 but 10,000
    (r"(?<=[0-9])-(?=[0-9])", " "),
    (r"(?i)(?<!\.)\.(com|org|net)\b", r" dot \1"),
    (r"(?<=\w)\(([a-z]{1,2})\)", r"\1"),  # tab(s)
    # Pauses: line ends, brackets, dashes, ellipses.
    (r"\s*[\r\n\x0b\x0c\x85\u2028\u2029]+\s*", ", "),
    (r"\s*[()\[\]{}|•·~]+\s*|\s-+\s|-{2,}|(?<=[^\W\d_])-(?=\s)", ", "),
    (r"(?:(?<!\s)\s++)?(?<!\.)(?<!\.\s)(?:\.\s?+){2,}+(?=\s*+[a-z])", ", "),
    (r"(?:(?<!\s)\s++)?(?:\.\s?+){2,}+", ". "),
    (r"(?<![0-9])/|/(?![0-9])", " "),
    (r"\"", " "),
)

_KEPT_PUNCTUATION = frozenset(".,!?;:'-/")


@lru_cache(maxsize=2**12)
def _speakable(character: str) -> bool:
    return character in _KEPT_PUNCTUATION or unicodedata.category(character)[0] in "LNM"


def _strongest(match: re.Match[str]) -> str:
    return next(mark for mark in "?!.;:," if mark in match[0]) + " "


_TIDY = _rules(
    (r"\b([A-Z])\1\1\b|([^\W\d_])\2{2,}", lambda match: match[0] if match[1] else match[2] * 2),  # soooo, not III
    (r"(?i)\b(ha|he|lo|la)\1{2,}h?\b", r"\1 \1"),  # hahahaha
    (r"(?<![^\W_])'+(?![^\W_])|'{2,}", " "),
    (r"(?<!\w)-+|-+(?!\w)|(?<!\w)/+|/+(?!\w)", " "),
    (r"\s+(?=[.,!?;:](?:\s|$))", ""),
    (r"[.,!?;:](?:\s*[.,!?;:])+(?=\s|$)", _strongest),
    (r"([!?,;])\1+", r"\1"),
    (r"([!?;,])(?=[^\W\d_])|(?<=[a-z]{2})([:.])(?=[A-Z][a-z])", r"\1\2 "),
    (r"\s+", " "),
)


def _cut(text: str, max_characters: int) -> str:
    """`text`, or its longest beginning within the limit that ends with a sentence, else with a word."""
    if len(text) <= max_characters:
        return text
    head = text[: max_characters + 1]
    sentence_end = max(head.rfind(mark + " ") for mark in ".!?") + 1
    word_end = head.rfind(" ")
    if sentence_end >= 0.6 * max_characters:
        return head[:sentence_end]
    return head[: word_end if word_end > 0 else max_characters].rstrip(" ,;:-'/")
