"""Texts of one template: the same words in the same order, but for rare ones and one place where each has its own.

In   comparison texts (words between single spaces, see `pipeline.tweets.text`)
Out  pairs int64 [k, 2] of row numbers, which tie the texts of a template together

"Why are you feeling sad? Take the quiz" and "... feeling lost? ..." share 7 of 9 words, which is below the usual
similarity. Words that are rare in the corpus are masked first, and neighbouring masks count as one word, so that names
of any length fill the place.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.tweets.groups import Pairs, chains

LEAST_WORDS = 6  # that are shared; fewer make phrases that anybody writes, and chains of them groups without end
TEXTS_PER_RARE = 50_000  # a word is rare if it stands in one text, or in one of so many
MASK = 0


def template_pairs(texts: Sequence[str]) -> Pairs:
    """Pairs of rows whose masked texts differ in one word at most; each row is tied to the next such row only."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        rows_of[text].append(row)
    distinct = {text: rows[0] for text, rows in rows_of.items()}
    masked = _masked([text.split() for text in distinct])
    first = np.array(list(distinct.values()), dtype=np.int64)
    by_length: dict[int, list[int]] = defaultdict(list)
    for number, words in enumerate(masked):
        if len(words) > LEAST_WORDS:
            by_length[len(words)].append(number)
    found = [np.empty((0, 2), dtype=np.int64)]
    for numbers in by_length.values():
        keys, who = _keys(np.array([masked[number] for number in numbers], dtype=np.int64))
        found.append(first[np.array(numbers, dtype=np.int64)[who[chains(keys)]]])
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _masked(texts: list[list[str]]) -> list[list[int]]:
    """Numbers of the words of each text, from 1, with `MASK` for a run of rare ones."""
    in_texts = Counter(word for words in texts for word in set(words))
    rare = max(1, len(texts) // TEXTS_PER_RARE)
    numbers: dict[str, int] = {}
    masked: list[list[int]] = []
    for words in texts:
        text: list[int] = []
        for word in words:
            number = MASK if in_texts[word] <= rare else numbers.setdefault(word, len(numbers) + 1)
            if number or not text or text[-1]:
                text.append(number)
        masked.append(text)
    return masked


def _keys(words: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """A number for each text [texts, words] without one of its words, for each of them, and the row it is of.

    Only where `LEAST_WORDS` words are left that are no mask. Sums of 64 random bits for each word and place: two others
    of a million texts share one with a probability of one in a million.
    """
    random, of_length = np.random.default_rng(0), np.random.default_rng(words.shape[1])
    code_of: NDArray[np.uint64] = random.integers(0, 2**64, (int(words.max()) + 1,), dtype=np.uint64)
    codes = code_of[words]
    factors: NDArray[np.uint64] = of_length.integers(0, 2**63, (words.shape[1],), dtype=np.uint64)
    codes = codes * (factors * np.uint64(2) + np.uint64(1))
    place = factors[np.newaxis] + np.arange(words.shape[1], dtype=np.uint64)
    known = words != MASK
    enough = known.sum(axis=1, keepdims=True) - known >= LEAST_WORDS
    keys = codes.sum(axis=1, dtype=np.uint64, keepdims=True) - codes + place
    return keys[enough], np.nonzero(enough)[0]
