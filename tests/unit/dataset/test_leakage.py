from __future__ import annotations

import ast
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dataset import leakage
from pipeline.dataset.leakage import Leak, Side, find_leaks

WORDS = ["cat", "dog", "sun", "sad", "day", "so"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)


def side(name: str, n: int, seed: int) -> Side:
    """Rows that resemble no other row."""
    return Side(
        ids=[f"{name}{row}-1" for row in range(n)],
        phashes=np.random.default_rng(seed).integers(0, 256, (n, 32), dtype=np.uint8),
        texts=[f"{name} text number {row} about {name}{row * 7} things{row} of{row}" for row in range(n)],
        tweet_ids=[f"{name}{row}" for row in range(n)],
    )


def leaks_between(train: Side, test: Side, **options: int) -> list[Leak]:
    return find_leaks(train, test, max_distance_bits=30, min_jaccard=0.8, seed=5, **options)


def with_flipped_bits(phash: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint8]:
    flipped = np.unpackbits(phash)
    flipped[:bits] ^= 1
    return np.packbits(flipped)


def test_unrelated_splits_do_not_leak() -> None:
    assert leaks_between(side("a", 60, seed=1), side("b", 40, seed=2)) == []


@pytest.mark.parametrize("options", [{}, {"all_pairs_below_rows": 10, "sample_rows": 40}])
def test_a_planted_pair_of_each_kind_is_found(options: dict[str, int]) -> None:
    train, test = side("a", 60, seed=1), side("b", 40, seed=2)
    texts, tweet_ids, phashes = list(test.texts), list(test.tweet_ids), test.phashes.copy()
    tweet_ids[3] = train.tweet_ids[10]
    phashes[4] = with_flipped_bits(train.phashes[11], 30)
    phashes[5] = with_flipped_bits(train.phashes[12], 31)  # one bit too far
    words = train.texts[13].split()
    texts[6] = " ".join([*reversed(words), "new"])  # 8 of 9 words
    planted = Side(test.ids, phashes, texts, tweet_ids)
    assert leaks_between(train, planted, **options) == [
        Leak("same_tweet", "a10-1", "b3-1", 0.0),
        Leak("similar_image", "a11-1", "b4-1", 30.0),
        Leak("similar_text", "a13-1", "b6-1", len(set(words)) / (len(set(words)) + 1)),
    ]


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=8), st.lists(TEXTS, max_size=8), st.integers(0, 5), st.sampled_from([1, 10_000]))
def test_leaks_are_exactly_those_of_a_plain_double_loop(
    train_texts: list[str], test_texts: list[str], seed: int, pairs_at_a_time: int
) -> None:
    rng = np.random.default_rng(seed)
    codes = np.packbits(rng.integers(0, 2, (3, 256), dtype=np.uint8), axis=1)

    def built(name: str, texts: list[str]) -> Side:
        phashes = [with_flipped_bits(codes[rng.integers(3)], int(rng.integers(0, 60))) for _ in texts]
        tweets = [f"t{rng.integers(6)}" for _ in texts]
        hashes = np.array(phashes, dtype=np.uint8).reshape(-1, 32)
        return Side([f"{name}{row}" for row in range(len(texts))], hashes, texts, tweets)

    train, test = built("a", train_texts), built("b", test_texts)
    expected = []
    for i, j in product(range(len(train.ids)), range(len(test.ids))):
        ids = (train.ids[i], test.ids[j])
        distance = int(np.unpackbits(train.phashes[i] ^ test.phashes[j]).sum())
        first, second = set(train.texts[i].split()), set(test.texts[j].split())
        if train.tweet_ids[i] == test.tweet_ids[j]:
            expected.append(Leak("same_tweet", *ids, 0.0))
        if distance <= 30:
            expected.append(Leak("similar_image", *ids, float(distance)))
        if first and second and len(first & second) / len(first | second) >= 0.8:
            expected.append(Leak("similar_text", *ids, len(first & second) / len(first | second)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leakage, "_PAIRS_AT_A_TIME", pairs_at_a_time)
        assert leaks_between(train, test) == sorted(expected)


def test_large_splits_are_sampled_by_seed_but_tweet_ids_are_not() -> None:
    train = side("a", 50, seed=1)
    copies = Side([f"b{row}" for row in range(50)], train.phashes, train.texts, train.tweet_ids)
    sampled = leaks_between(train, copies, all_pairs_below_rows=100, sample_rows=20)
    kinds = [leak.kind for leak in sampled]
    assert kinds.count("same_tweet") == 50
    assert kinds.count("similar_image") == 20
    assert sampled == leaks_between(train, copies, all_pairs_below_rows=100, sample_rows=20)
    everything = leaks_between(train, copies, all_pairs_below_rows=101, sample_rows=20)
    assert [leak.kind for leak in everything].count("similar_image") == 50


def test_an_empty_split_has_no_leaks() -> None:
    assert leaks_between(side("a", 0, seed=1), side("b", 3, seed=2)) == []
    assert leaks_between(side("a", 3, seed=1), side("b", 0, seed=2)) == []


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="length"):
        Side(["a"], np.zeros((2, 32), dtype=np.uint8), ["x"], ["t"])


def test_the_check_shares_no_code_with_the_grouping() -> None:
    tree = ast.parse(Path(leakage.__file__).read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert "scipy.sparse" in imported
    assert not any(str(name).startswith(("pipeline", "faiss", "datasketch")) for name in imported)
