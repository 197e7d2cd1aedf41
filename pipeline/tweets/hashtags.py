"""Hashtags to words: `HappyValentinesDay` -> `Happy Valentines Day`, `nofilter` -> `no filter`.

In   the characters after the `#` of one hashtag (letters, digits, underscores)
Out  the same characters, in the same case, with spaces where words meet
"""

import functools
import re
from itertools import accumulate, pairwise

import wordsegment

# Capitals followed by small letters ("NOTtaxed", "FIFAWorld"), a word, capitals alone, digits with their ending.
_PARTS = re.compile(r"[A-Z]{2,}[a-z]+|[A-Z]?[a-z]+|[A-Z]+|[0-9]+(?:(?:st|nd|rd|th|s)(?![a-z]))?|[^A-Za-z0-9_]+")
_CAPITALS_THEN_SMALL = re.compile(r"([A-Z]+)([A-Z])([a-z]+)")
_COUNTED = re.compile(r"([0-9]+)(st|nd|rd|th|(?<=0)s)([a-z]{2,60})")
_BRAND = re.compile(r"[a-z]{1,2}[A-Z][a-z]+")  # iPhone, eBay
_ALTERNATING = re.compile(r"(?:[A-Z][a-z]){2,}[A-Z]?|[a-z]?(?:[A-Z][a-z]){3,}[A-Z]?")  # TrAvEl
_MODEL_NUMBER = re.compile(r"[A-Za-z]{1,2}[0-9]+")  # F1, A380, S4: one word to the ear

# Real words of one or two letters. A segmentation with any other short piece is a guess that spells, so it is refused.
_SHORT_WORDS = re.compile(
    r"a|i|u|r|am|an|as|at|be|by|do|go|he|hi|if|in|is|it|me|mr|my|no|of|oh|ok|on|or|so|to|tv|uk|up|us|we"
)
_LONGEST_SEGMENTED = 60  # characters; longer runs are letter salad, and the search is recursive


@functools.lru_cache(maxsize=65536)
def hashtag_words(tag: str) -> str:
    """Words of a hashtag, which is given without its `#`, separated by single spaces."""
    if _MODEL_NUMBER.fullmatch(tag):
        return tag
    if not tag.isascii():  # the word list is English: only underscores are sure boundaries
        return " ".join(tag.replace("_", " ").split())
    if _BRAND.fullmatch(tag) and tag.lower() in word_counts():
        return tag
    if _ALTERNATING.fullmatch(tag):
        tag = tag.lower()
    tag = _COUNTED.sub(_ending_parted, tag)
    return " ".join(piece for part in _PARTS.findall(tag) for piece in _pieces(part))


def _ending_parted(match: re.Match[str]) -> str:
    """An underscore after the ending of a number where no word begins with it: 4th of, 90s kids, but 4 things."""
    number, ending, rest = match.groups()
    counts = word_counts()
    no_word = counts.get(rest, 0) > counts.get(ending + rest, 0) or wordsegment.segment(ending + rest)[0] == ending
    return f"{number}{ending}_{rest}" if no_word else match[0]


def _pieces(part: str) -> list[str]:
    mixed = _CAPITALS_THEN_SMALL.fullmatch(part)
    if mixed:
        capitals, last, small = mixed.groups()
        if small == "s":  # DVDs, RTs
            return [part]
        counts = word_counts()
        if counts.get((last + small).lower(), 0) >= counts.get(small, 0):  # FIFA World
            return [capitals, *_segmented(last + small)]
        return [capitals + last, *_segmented(small)]  # NOT taxed
    if part.isalpha() and not (part.isupper() and len(part) <= 4):
        return _segmented(part)
    return [part]


def _segmented(word: str) -> list[str]:
    counts = word_counts()
    if len(word) > _LONGEST_SEGMENTED or word.lower() in counts:  # seabirds, parkour
        return [word]
    pieces: list[str] = []
    for piece in wordsegment.segment(word):
        if piece == "s" and pieces:  # a plural or possessive that the word list lacks
            pieces[-1] += piece
        elif piece in counts and (len(piece) > 2 or _SHORT_WORDS.fullmatch(piece)):
            pieces.append(piece)
        else:
            return [word]
    if pieces[-1] in {"a", "i"}:  # Balo-tell-i
        return [word]
    ends = accumulate((len(piece) for piece in pieces), initial=0)
    return [word[start:end] for start, end in pairwise(ends)]


@functools.cache
def word_counts() -> dict[str, float]:
    """Counts of 333,000 English words. Loaded on first use: half a second and 80 MB, which few processes need."""
    wordsegment.load()
    counts: dict[str, float] = wordsegment.UNIGRAMS
    return counts
