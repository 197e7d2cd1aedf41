from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.tweets import groups
from pipeline.tweets.groups import connected_groups, keep_first, near_pairs, similar_text_pairs

WORDS = st.sampled_from("the a cat dog sat on mat happy sad so very good bad day night".split())
TEXTS = st.lists(st.lists(WORDS, max_size=8).map(" ".join), max_size=12)
GRAPHS = st.integers(1, 12).flatmap(
    lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=14))
)


def as_pairs(listed: list[tuple[int, int]]) -> npt.NDArray[np.int64]:
    return np.array(listed, dtype=np.int64).reshape(-1, 2)


def as_set(pairs: npt.NDArray[np.int64]) -> set[tuple[int, int]]:
    return {(int(first), int(second)) for first, second in pairs}


def hashes_around_centres(n: int, centres: int, flips: int, seed: int) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (centres, 256), dtype=np.uint8)[rng.integers(0, centres, n)]
    for row in bits:
        row[rng.integers(0, 256, rng.integers(0, flips + 1))] ^= 1
    return np.packbits(bits, axis=1)


def brute_force_pairs(hashes: npt.NDArray[np.uint8], limit: int) -> set[tuple[int, int]]:
    numbers = [int.from_bytes(row.tobytes(), "big") for row in hashes]
    return {(i, j) for i, j in combinations(range(len(numbers)), 2) if (numbers[i] ^ numbers[j]).bit_count() <= limit}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(1, 5), st.integers(0, 30), st.integers(0, 60), st.integers(0, 9), st.booleans())
def test_near_pairs_are_exactly_those_of_an_exhaustive_search(
    n: int, centres: int, flips: int, limit: int, seed: int, chain: bool
) -> None:
    hashes = hashes_around_centres(n, centres, flips, seed)
    expected = brute_force_pairs(hashes, limit)
    assert as_set(near_pairs(hashes, limit)) == expected
    chained = near_pairs(hashes, limit, chain_equal=chain)
    assert as_set(chained) <= expected
    assert connected_groups(n, chained).tolist() == connected_groups(n, as_pairs(sorted(expected))).tolist()


def test_near_pairs_cross_block_borders_and_come_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = hashes_around_centres(60, 4, 10, seed=3)
    whole = near_pairs(hashes, 12)
    assert len(whole) > 100
    monkeypatch.setattr(groups, "_BLOCK_ROWS", 7)
    assert np.array_equal(near_pairs(hashes, 12), whole)
    assert np.array_equal(whole, whole[np.lexsort((whole[:, 1], whole[:, 0]))])


def test_the_distance_limit_is_inclusive() -> None:
    hashes = np.zeros((2, 32), dtype=np.uint8)
    hashes[1, :3] = (0xFF, 0x01, 0x80)  # ten bits
    assert as_set(near_pairs(hashes, 10)) == {(0, 1)}
    assert as_set(near_pairs(hashes, 9)) == set()


def test_equal_hashes_chained_need_one_pair_each() -> None:
    hashes = np.zeros((500, 32), dtype=np.uint8)
    assert len(near_pairs(hashes, 0, chain_equal=True)) == 499
    assert len(near_pairs(hashes, 0)) == 500 * 499 // 2


def test_hashes_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[n, 32\]"):
        near_pairs(np.zeros((3, 8), dtype=np.uint8), 1)


def jaccard_groups(texts: list[str], threshold: float) -> list[int]:
    sets = [set(text.split()) for text in texts]
    ties = [
        (i, j)
        for i, j in combinations(range(len(texts)), 2)
        if sets[i] and sets[j] and len(sets[i] & sets[j]) / len(sets[i] | sets[j]) >= threshold
    ]
    return [int(group) for group in connected_groups(len(texts), as_pairs(ties))]


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.sampled_from([0.5, 0.8, 1.0]))
def test_similar_texts_group_as_an_exhaustive_comparison_does(texts: list[str], threshold: float) -> None:
    pairs = similar_text_pairs(texts, threshold, seed=7)
    assert connected_groups(len(texts), pairs).tolist() == jaccard_groups(texts, threshold)


def test_pairs_at_the_threshold_are_hardly_ever_missed() -> None:
    # 400 couples of texts that share 8 of 10 words: a Jaccard index of exactly 0.8, nothing else alike.
    texts = []
    for couple in range(400):
        shared = " ".join(f"w{couple}x{number}" for number in range(8))
        texts += [f"{shared} left{couple}", f"{shared} right{couple}"]
    pairs = similar_text_pairs(texts, 0.8, seed=1)
    assert as_set(pairs) <= {(2 * couple, 2 * couple + 1) for couple in range(400)}
    assert len(pairs) >= 399
    assert len(similar_text_pairs(texts, 0.81, seed=1)) == 0


def test_equal_texts_are_chained_and_empty_ones_left_alone() -> None:
    texts = ["", "good day", "x", "day good good", "", "good day"]
    assert as_set(similar_text_pairs(texts, 0.8, seed=0)) == {(1, 3), (3, 5)}
    assert similar_text_pairs([], 0.8, seed=0).shape == (0, 2)
    assert similar_text_pairs(["", ""], 0.8, seed=0).shape == (0, 2)


def test_a_threshold_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        similar_text_pairs(["a"], 0.0, seed=0)


@given(GRAPHS)
def test_groups_are_the_classes_that_ties_connect(graph: tuple[int, list[tuple[int, int]]]) -> None:
    n, ties = graph
    members: list[set[int]] = [{row} for row in range(n)]
    for first, second in ties:
        union = members[first] | members[second]
        for row in union:
            members[row] = union
    expected = [min(members[row]) for row in range(n)]
    half = len(ties) // 2
    assert connected_groups(n, as_pairs(ties)).tolist() == expected
    assert connected_groups(n, as_pairs(ties[:half]), as_pairs(ties[half:])).tolist() == expected


def test_groups_without_ties_or_rows() -> None:
    assert connected_groups(3).tolist() == [0, 1, 2]
    assert connected_groups(0).tolist() == []


@given(GRAPHS)
def test_keep_first_drops_exactly_the_rows_near_a_kept_earlier_one(graph: tuple[int, list[tuple[int, int]]]) -> None:
    n, ties = graph
    keep = keep_first(n, as_pairs(ties))
    for row in range(n):
        near_kept = any(keep[min(tie)] for tie in ties if max(tie) == row and min(tie) != row)
        assert keep[row] == (not near_kept)


def test_keep_first_keeps_the_far_end_of_a_chain() -> None:
    assert keep_first(3, as_pairs([(1, 2), (0, 1)])).tolist() == [True, False, True]
    assert keep_first(2, as_pairs([])).tolist() == [True, True]
