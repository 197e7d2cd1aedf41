"""The leakage check: does anything in the test split also stand in the training split?

The groups that a split respects are made in `pipeline.tweets.groups`. A check that used that code would share its
mistakes, so this one shares nothing with it: plain bit counts and sparse products, every pair, no index, no sketches.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

_PAIRS_AT_A_TIME = 1_000_000  # bounds the memory: about 50 MB


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

    def rows(self, numbers: npt.NDArray[np.int64]) -> "Side":
        """The rows of these numbers."""
        return Side(
            [self.ids[number] for number in numbers],
            self.phashes[numbers],
            [self.texts[number] for number in numbers],
            [self.tweet_ids[number] for number in numbers],
        )


@dataclass(frozen=True, order=True)
class Leak:
    """Two rows that should not be in different splits; `measure`: Hamming distance in bits, Jaccard index, or 0."""

    kind: Literal["same_tweet", "similar_image", "similar_text"]
    train_id: str
    test_id: str
    measure: float


def find_leaks(
    train: Side,
    test: Side,
    *,
    max_distance_bits: int,
    min_jaccard: float,
    seed: int,
    all_pairs_below_rows: int = 20_000,
    sample_rows: int = 2_000,
) -> list[Leak]:
    """Pairs of a training and a test row of one tweet, with near images or with similar texts, sorted.

    All pairs are compared if both splits have less than `all_pairs_below_rows` rows together; otherwise
    `sample_rows` random test rows are compared with all training rows. Tweet ids are always compared in full.

    Args:
        max_distance_bits: images up to this Hamming distance are the same picture, 0 to 256.
        min_jaccard: texts from this Jaccard index of their sets of words on are the same text.
    """
    leaks = list(_same_tweets(train, test))
    if len(train.ids) + len(test.ids) >= all_pairs_below_rows and len(test.ids) > sample_rows:
        drawn = np.random.default_rng(seed).choice(len(test.ids), size=sample_rows, replace=False)
        test = test.rows(np.sort(drawn))
    leaks += _similar_images(train, test, max_distance_bits)
    leaks += _similar_texts(train, test, min_jaccard)
    return sorted(leaks)


def _same_tweets(train: Side, test: Side) -> Iterator[Leak]:
    train_ids = defaultdict(list)
    for sample_id, tweet_id in zip(train.ids, train.tweet_ids, strict=True):
        train_ids[tweet_id].append(sample_id)
    for sample_id, tweet_id in zip(test.ids, test.tweet_ids, strict=True):
        for train_id in train_ids.get(tweet_id, ()):
            yield Leak("same_tweet", train_id, sample_id, 0.0)


def _similar_images(train: Side, test: Side, max_distance_bits: int) -> Iterator[Leak]:
    train_words = np.ascontiguousarray(train.phashes).view(np.uint64)  # [n_train, 4]
    test_words = np.ascontiguousarray(test.phashes).view(np.uint64)
    for block in _blocks(len(test.ids), len(train.ids)):
        distances = np.zeros((len(test_words[block]), len(train_words)), dtype=np.uint16)
        for word in range(train_words.shape[1]):
            distances += np.bitwise_count(test_words[block, word, None] ^ train_words[None, :, word])
        for row, column in np.argwhere(distances <= max_distance_bits):
            yield Leak("similar_image", train.ids[column], test.ids[block.start + row], float(distances[row, column]))


def _similar_texts(train: Side, test: Side, min_jaccard: float) -> Iterator[Leak]:
    vocabulary: dict[str, int] = {}
    train_words = _word_matrix(train.texts, vocabulary)
    test_words = _word_matrix(test.texts, vocabulary)
    train_words.resize((len(train.texts), len(vocabulary)))
    by_word = train_words.T.tocsr()
    train_sizes, test_sizes = train_words.sum(axis=1), test_words.sum(axis=1)
    for block in _blocks(len(test.ids), len(train.ids)):
        shared = (test_words[block] @ by_word).tocoo()
        rows = shared.row + block.start
        jaccard = shared.data / (test_sizes[rows] + train_sizes[shared.col] - shared.data)
        for pair in np.flatnonzero(jaccard >= min_jaccard):
            yield Leak("similar_text", train.ids[shared.col[pair]], test.ids[rows[pair]], float(jaccard[pair]))


def _word_matrix(texts: Sequence[str], vocabulary: dict[str, int]) -> csr_array:
    """Which text has which word: 0 / 1, [texts, words]; new words are added to the vocabulary."""
    columns, ends = array("i"), array("q", [0])
    for text in texts:
        columns.extend(sorted(vocabulary.setdefault(word, len(vocabulary)) for word in set(text.split())))
        ends.append(len(columns))
    entries = (np.ones(len(columns), dtype=np.int32), np.array(columns), np.array(ends))
    return csr_array(entries, shape=(len(texts), len(vocabulary)))


def _blocks(n_test: int, n_train: int) -> Iterator[slice]:
    step = max(1, _PAIRS_AT_A_TIME // max(1, n_train))
    return (slice(start, min(start + step, n_test)) for start in range(0, n_test, step))
