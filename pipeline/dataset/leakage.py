"""The leakage check: does anything in the test split also stand in the training split?

The groups that a split respects are made in `pipeline.tweets.groups`. A check that used that code would share its
mistakes, so this one shares nothing with it: plain bit counts of every pair of pictures; of texts every pair whose
rarest words meet, which leaves out none that is similar enough (prefix filter: Chaudhuri et al., A primitive operator
for similarity joins in data cleaning, ICDE 2006; Bayardo et al., Scaling up all pairs similarity search, WWW 2007).
"""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

_PAIRS_AT_A_TIME = 300_000  # bounds the memory, and keeps it near the processor
_ROUNDING = 1e-9  # 0.7 * 10 is a little more than 7

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Side:
    """One split, row by row: 256-bit perceptual hashes as uint8 [n, 32], texts as words between spaces."""

    ids: Sequence[str]
    phashes: npt.NDArray[np.uint8]
    texts: Sequence[str]
    tweet_ids: Sequence[str]

    def __post_init__(self) -> None:
        lengths = {len(self.ids), len(self.phashes), len(self.texts), len(self.tweet_ids)}
        if len(lengths) != 1 or self.phashes.shape[1:] != (32,):
            raise ValueError(f"columns differ in length or hashes are not [n, 32]: {lengths}, {self.phashes.shape}")


@dataclass(frozen=True, order=True)
class Leak:
    """Two rows that should not be in different splits; `measure`: Hamming distance in bits, Jaccard index, or 0."""

    kind: Literal["same_tweet", "similar_image", "similar_text"]
    train_id: str
    test_id: str
    measure: float


@dataclass(frozen=True)
class Check:
    """What was found, sorted, and what was compared: plain values for a metrics file."""

    leaks: list[Leak]
    compared: dict[str, Any]


def find_leaks(train: Side, test: Side, *, max_distance_bits: int, min_jaccard: float) -> Check:
    """Pairs of a training and a test row of one tweet, with near images or with similar texts; every pair is covered.

    Args:
        max_distance_bits: images up to this Hamming distance are the same picture, 0 to 256.
        min_jaccard: texts from this Jaccard index of their sets of words on are the same text, in (0, 1].
    """
    pairs = len(train.ids) * len(test.ids)
    tweets = list(_same_tweets(train, test))
    images, nearest_bits = _similar_images(train, test, max_distance_bits)
    texts, counted = _similar_texts(train, test, min_jaccard)
    compared = {
        "rows": {"train": len(train.ids), "test": len(test.ids)},
        "tweets": {"pairs": pairs, "found": len(tweets)},
        "images": {
            "pairs": pairs, "at_most_bits": max_distance_bits, "nearest_bits": nearest_bits, "found": len(images),
        },
        "texts": {**counted, "at_least_jaccard": min_jaccard, "found": len(texts)},
    }  # fmt: skip
    return Check(sorted([*tweets, *images, *texts]), compared)


def _same_tweets(train: Side, test: Side) -> Iterator[Leak]:
    train_ids = defaultdict(list)
    for sample_id, tweet_id in zip(train.ids, train.tweet_ids, strict=True):
        train_ids[tweet_id].append(sample_id)
    for sample_id, tweet_id in zip(test.ids, test.tweet_ids, strict=True):
        for train_id in train_ids.get(tweet_id, ()):
            yield Leak("same_tweet", train_id, sample_id, 0.0)


def _similar_images(train: Side, test: Side, max_distance_bits: int) -> tuple[list[Leak], int | None]:
    """Leaks, and the smallest distance of all pairs; None without pairs."""
    found: list[Leak] = []
    nearest: int | None = None
    if not train.ids:
        return found, nearest
    train_words = np.ascontiguousarray(np.ascontiguousarray(train.phashes).view(np.uint64).T)  # [4, n_train]
    test_words = np.ascontiguousarray(test.phashes).view(np.uint64)
    for block in _blocks(len(test.ids), len(train.ids)):
        distances = np.zeros((len(test_words[block]), len(train.ids)), dtype=np.uint16)
        for word, of_train in enumerate(train_words):
            distances += np.bitwise_count(test_words[block, word, None] ^ of_train)
        smallest = int(distances.min())
        nearest = smallest if nearest is None else min(nearest, smallest)
        if smallest <= max_distance_bits:
            for row, column in np.argwhere(distances <= max_distance_bits):
                ids = (train.ids[column], test.ids[block.start + row])
                found.append(Leak("similar_image", *ids, float(distances[row, column])))
    return found, nearest


def _similar_texts(train: Side, test: Side, min_jaccard: float) -> tuple[list[Leak], dict[str, int]]:
    """Leaks, and how many pairs of texts with words there are and how many of those were compared word by word."""
    sides = [[set(text.split()) for text in side.texts] for side in (train, test)]
    frequency = Counter(word for side in sides for words in side for word in words)
    number = {word: place for place, word in enumerate(sorted(frequency, key=lambda word: (frequency[word], word)))}
    # Of each text the numbers of its words, the rarest first.
    train_rows, test_rows = ([sorted(number[word] for word in words) for words in side] for side in sides)
    train_words, test_words = (_matrix(rows, len(number)) for rows in (train_rows, test_rows))
    train_first, test_first = (
        _matrix([row[: _prefix(len(row), min_jaccard)] for row in rows], len(number))
        for rows in (train_rows, test_rows)
    )
    by_word = train_first.T.tocsr()
    found: list[Leak] = []
    candidates = 0
    for block in _blocks(len(test.ids), len(train.ids)):
        meeting = (test_first[block] @ by_word).tocoo()
        rows, columns = meeting.row.astype(np.int64) + block.start, meeting.col.astype(np.int64)
        candidates += len(rows)
        jaccard = _jaccard(test_words, rows, train_words, columns)
        for pair in np.flatnonzero(jaccard >= min_jaccard):
            ids = (train.ids[columns[pair]], test.ids[rows[pair]])
            found.append(Leak("similar_text", *ids, float(jaccard[pair])))
    with_words = math.prod(sum(map(bool, rows)) for rows in (train_rows, test_rows))
    return found, {"pairs": with_words, "candidates": candidates}


def _prefix(words: int, min_jaccard: float) -> int:
    """How many of a text's rarest words suffice: without one of them, too few are left for a similar text to share."""
    return words - math.ceil(min_jaccard * words - _ROUNDING) + 1 if words else 0


def _jaccard(one: csr_array, rows: Numbers, other: csr_array, columns: Numbers) -> npt.NDArray[np.float64]:
    """Jaccard index of the words of row `rows[i]` of `one` and row `columns[i]` of `other`, float64 [pairs]."""
    shared = np.asarray(one[rows].multiply(other[columns]).sum(axis=1), dtype=np.float64)
    jaccard: npt.NDArray[np.float64] = shared / (np.diff(one.indptr)[rows] + np.diff(other.indptr)[columns] - shared)
    return jaccard


def _matrix(rows: Sequence[Sequence[int]], n_words: int) -> csr_array:
    """Which text has which word: 0 / 1, [texts, words]."""
    columns, ends = array("i"), array("q", [0])
    for row in rows:
        columns.extend(row)
        ends.append(len(columns))
    entries = (np.ones(len(columns), dtype=np.int32), np.array(columns), np.array(ends))
    return csr_array(entries, shape=(len(rows), n_words))


def _blocks(n_test: int, n_train: int) -> Iterator[slice]:
    step = max(1, _PAIRS_AT_A_TIME // max(1, n_train))
    return (slice(start, min(start + step, n_test)) for start in range(0, n_test, step))
