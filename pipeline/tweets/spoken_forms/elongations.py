"""Elongated words to words of the language: "soooo happy todaaaay" -> "so happy today".

In   text as people stress it, each letter three times or more
Out  of all ways to write a run of a letter once or twice, the word that is most frequent in English

A voice reads "soo" as "sue" and "todaay" as nothing at all. What is no word in any way keeps two letters.
"""

import functools
import itertools
import re

from pipeline.tweets.hashtags import word_counts

_RUN = re.compile(r"([^\W\d_])\1{2,}", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_']*([^\W\d_])\1{2,}[^\W\d_']*", re.IGNORECASE)
_MOST_RUNS = 6  # more of them are no word; all ways to write them would be many
# Frequent words that nobody stretches, and what is stretched instead; sounds whose length is their meaning.
_MEANT = {"to": "too", "of": "off", "se": "see", "be": "bee", "fre": "free", "hm": "hmm", "aw": "aww"}
_SOUNDS = {"m": "mm", "z": "zzz", "h": "hh", "a": "ah", "o": "ooh", "e": "ee", "y": "yy", "w": "ww"}
_KEPT = re.compile(r"[IVXLCM]+|([A-Z])\1\1|[0-9]+|www|zzz|X{2,}L|A{3}")  # numerals, AAA, XXL


def shortened(text: str) -> str:
    """`text` with each elongated word shortened."""
    return _WORD.sub(lambda match: _word(match[0]), text) if _RUN.search(text) else text


@functools.lru_cache(maxsize=4096)
def _word(word: str) -> str:
    if _KEPT.fullmatch(word):
        return word
    lower = word.lower()
    runs = list(_RUN.finditer(lower))
    if len(runs) > _MOST_RUNS:
        return _RUN.sub(r"\1\1", word)
    if len(runs) == 1 and runs[0].span() == (0, len(lower)):
        return _like(word, _SOUNDS.get(lower[0], lower[0] * 2))
    counts = word_counts()
    ways = [_written(lower, runs, lengths) for lengths in itertools.product((1, 2), repeat=len(runs))]
    best = max(ways, key=lambda way: counts.get(way, 0))
    if best not in counts:
        return _RUN.sub(r"\1\1", word)
    return _like(word, _MEANT.get(best, best))


def _written(word: str, runs: list[re.Match[str]], lengths: tuple[int, ...]) -> str:
    pieces, end = [], 0
    for run, length in zip(runs, lengths, strict=True):
        pieces += [word[end : run.start()], run[1] * length]
        end = run.end()
    return "".join([*pieces, word[end:]])


def _like(model: str, word: str) -> str:
    if model.isupper():
        return word.upper()
    return word.capitalize() if model[0].isupper() else word
