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


def leaks_between(train: Side, test: Side) -> list[Leak]:
    return find_leaks(train, test, max_distance_bits=30, min_jaccard=0.8).leaks


def with_flipped_bits(phash: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint8]:
    flipped = np.unpackbits(phash)
    flipped[:bits] ^= 1
    return np.packbits(flipped)


def test_unrelated_splits_do_not_leak() -> None:
    assert leaks_between(side("a", 60, seed=1), side("b", 40, seed=2)) == []


# The larger sizes are blocks of a test row each, and more rows than were once compared in full.
@pytest.mark.parametrize(
    ("n_train", "n_test", "pairs_at_a_time"), [(60, 40, 300_000), (60, 40, 50), (20_000, 2_500, 1)]
)
def test_a_planted_pair_of_each_kind_is_found(
    n_train: int, n_test: int, pairs_at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leakage, "_PAIRS_AT_A_TIME", pairs_at_a_time)
    train, test = side("a", n_train, seed=1), side("b", n_test, seed=2)
    last = n_test - 1
    texts, tweet_ids, phashes = list(test.texts), list(test.tweet_ids), test.phashes.copy()
    tweet_ids[3] = train.tweet_ids[10]
    phashes[4] = with_flipped_bits(train.phashes[11], 30)
    phashes[5] = with_flipped_bits(train.phashes[12], 31)  # one bit too far
    words = train.texts[13].split()
    texts[last] = " ".join([*reversed(words), "new"])  # 8 of 9 words
    planted = Side(test.ids, phashes, texts, tweet_ids)
    assert leaks_between(train, planted) == [
        Leak("same_tweet", "a10-1", "b3-1", 0.0),
        Leak("similar_image", "a11-1", "b4-1", 30.0),
        Leak("similar_text", "a13-1", f"b{last}-1", len(set(words)) / (len(set(words)) + 1)),
    ]


@settings(deadline=None)
@given(
    st.lists(TEXTS, max_size=8), st.lists(TEXTS, max_size=8), st.integers(0, 5), st.sampled_from([1, 10_000]),
    st.sampled_from([0.05, 0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 1.0]),
)  # fmt: skip
def test_leaks_are_exactly_those_of_a_plain_double_loop(
    train_texts: list[str], test_texts: list[str], seed: int, pairs_at_a_time: int, min_jaccard: float
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
        if first and second and len(first & second) / len(first | second) >= min_jaccard:
            expected.append(Leak("similar_text", *ids, len(first & second) / len(first | second)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leakage, "_PAIRS_AT_A_TIME", pairs_at_a_time)
        found = find_leaks(train, test, max_distance_bits=30, min_jaccard=min_jaccard)
    assert found.leaks == sorted(expected)
    kinds = [leak.kind for leak in expected]
    assert [found.compared[kind]["found"] for kind in ("tweets", "images", "texts")] == [
        kinds.count(kind) for kind in ("same_tweet", "similar_image", "similar_text")
    ]


def test_texts_of_thousands_of_rows_are_compared_as_by_a_full_product() -> None:
    """The words of real texts are few and frequent, so that rare words decide what is compared."""
    rng = np.random.default_rng(4)
    words = np.array([f"w{number}" for number in range(400)])

    def texts(n: int) -> list[str]:
        return [" ".join(words[(400 * rng.random(int(rng.integers(1, 9))) ** 3).astype(int)]) for _ in range(n)]

    train, test = texts(3_000), texts(1_500)
    known = {word: place for place, word in enumerate(words)}
    one, other = np.zeros((3_000, 400), dtype=np.int32), np.zeros((1_500, 400), dtype=np.int32)
    for table, rows in ((one, train), (other, test)):
        for row, text in enumerate(rows):
            table[row, [known[word] for word in text.split()]] = 1
    shared = other @ one.T
    jaccard = shared / (other.sum(axis=1)[:, None] + one.sum(axis=1)[None, :] - shared)
    expected = {(int(row), int(column)) for row, column in np.argwhere(jaccard >= 0.6)}

    def built(rows: list[str]) -> Side:
        hashes = rng.integers(0, 256, (len(rows), 32), dtype=np.uint8)
        return Side(
            [str(row) for row in range(len(rows))], hashes, rows, [f"{id(rows)} {row}" for row in range(len(rows))]
        )

    check = find_leaks(built(train), built(test), max_distance_bits=0, min_jaccard=0.6)
    found = {(int(leak.test_id), int(leak.train_id)) for leak in check.leaks if leak.kind == "similar_text"}
    assert found == expected
    assert len(expected) > 1_000
    assert len(expected) <= check.compared["texts"]["candidates"] < check.compared["texts"]["pairs"] == 4_500_000


def test_what_was_compared_is_counted() -> None:
    zero = np.zeros((3, 32), dtype=np.uint8)
    near = np.array([[0b0111_1111] + [0] * 31, [255] * 32], dtype=np.uint8)
    train = Side(["a", "b", "c"], zero, ["red sun over sea", "", "one"], ["1", "2", "3"])
    test = Side(["d", "e"], near, ["red sun over land", "two"], ["4", "3"])
    check = find_leaks(train, test, max_distance_bits=6, min_jaccard=0.6)
    # Of 4 words, 0.6 are 2.4, so that similar texts share 3 and meet in the two rarest, land and over, over and red, or
    # the like: "land" and "sea" are rarer than "over", which both texts have. Other texts share no word.
    assert check.leaks == [Leak("same_tweet", "c", "e", 0.0), Leak("similar_text", "a", "d", 0.6)]
    assert check.compared == {
        "rows": {"train": 3, "test": 2},
        "tweets": {"pairs": 6, "found": 1},
        "images": {"pairs": 6, "at_most_bits": 6, "nearest_bits": 7, "found": 0},
        "texts": {"pairs": 4, "candidates": 1, "at_least_jaccard": 0.6, "found": 1},
    }


def test_an_empty_split_has_no_leaks() -> None:
    assert leaks_between(side("a", 0, seed=1), side("b", 3, seed=2)) == []
    check = find_leaks(side("a", 3, seed=1), side("b", 0, seed=2), max_distance_bits=30, min_jaccard=0.8)
    assert check.leaks == []
    assert check.compared["images"] == {"pairs": 0, "at_most_bits": 30, "nearest_bits": None, "found": 0}


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="length"):
        Side(["a"], np.zeros((2, 32), dtype=np.uint8), ["x"], ["t"])


def test_the_check_shares_no_code_with_the_grouping() -> None:
    tree = ast.parse(Path(leakage.__file__).read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert "scipy.sparse" in imported
    assert not any(str(name).startswith(("pipeline", "faiss", "datasketch")) for name in imported)
