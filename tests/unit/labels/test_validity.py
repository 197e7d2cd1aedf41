from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats.contingency import association

from pipeline.labels.validity import Association, associate, contingency

LABELS = ("anger", "happy", "hate", "sad")
SENTIMENTS = ("negative", "neutral", "positive")


def table(*rows: list[int]) -> NDArray[np.int64]:
    return np.array(rows, dtype=np.int64)


def test_the_contingency_table_counts_sentiments_by_labels() -> None:
    found = contingency(["sad", "happy", "sad"], ["negative", "positive", "neutral"], LABELS, SENTIMENTS)
    assert found.tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [0, 1, 0, 0]]
    assert contingency([], [], LABELS, SENTIMENTS).tolist() == [[0] * 4] * 3
    with pytest.raises(ValueError, match="joy"):
        contingency(["joy"], ["neutral"], LABELS, SENTIMENTS)


@given(st.lists(st.lists(st.integers(0, 30), min_size=4, max_size=4), min_size=3, max_size=3))
@settings(deadline=None, max_examples=50)
def test_cramers_v_is_that_of_scipy(cells: list[list[int]]) -> None:
    counts = table(*cells)
    filled = counts[counts.any(axis=1)][:, counts.any(axis=0)]
    found = associate(counts, seed=1).cramers_v
    if min(filled.shape) < 2:
        assert found is None
    else:
        assert found == pytest.approx(association(filled, method="cramer"), abs=1e-7)


def test_independence_is_zero() -> None:
    found = associate(table([10, 20, 30], [20, 40, 60]), seed=1)
    assert found.rows == 180
    assert found.cramers_v == pytest.approx(0.0, abs=1e-7)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < found.high < 0.3


@pytest.mark.parametrize(
    "cells", [table([30, 0], [0, 40]), table([0, 5, 0], [7, 0, 0], [0, 0, 9]), table([1, 0], [0, 1])]
)
def test_a_label_that_tells_the_sentiment_is_one(cells: NDArray[np.int64]) -> None:
    found = associate(cells, seed=1)
    assert found.cramers_v == pytest.approx(1.0)
    assert found.low == pytest.approx(1.0)
    assert found.high == pytest.approx(1.0)


def test_a_case_worked_by_hand() -> None:
    # Expected counts are all 25, each cell is 15 off: chi2 = 4 * 15 ** 2 / 25 = 36; V = sqrt(36 / 100) = 0.6.
    assert associate(table([40, 10], [10, 40]), seed=1).cramers_v == pytest.approx(0.6)
    # Rows 30 and 60, columns 45 and 45: expected 15, 15, 30, 30; chi2 = 2 * 25 / 15 + 2 * 25 / 30 = 5;
    # V = sqrt(5 / 90 / min(1, 1)).
    assert associate(table([20, 10], [25, 35]), seed=1).cramers_v == pytest.approx((5 / 90) ** 0.5)
    # Three columns, all rows and columns even: expected 10 each; chi2 = 4 * 25 / 10 = 10; V = sqrt(10 / 60 / 1).
    assert associate(table([15, 10, 5], [5, 10, 15]), seed=1).cramers_v == pytest.approx((10 / 60) ** 0.5)


def test_classes_that_do_not_occur_do_not_count() -> None:
    full = associate(table([40, 10], [10, 40]), seed=1)
    padded = associate(table([40, 0, 10, 0], [0, 0, 0, 0], [10, 0, 40, 0]), seed=1)
    assert padded.cramers_v == full.cramers_v


@pytest.mark.parametrize(
    "cells", [table([5, 0], [7, 0]), table([5, 7], [0, 0]), table([0, 0], [0, 9]), table([0, 0], [0, 0])]
)
def test_one_class_only_has_no_association(cells: NDArray[np.int64]) -> None:
    assert associate(cells, seed=1) == Association(int(cells.sum()))


def test_the_interval_covers_the_value_and_narrows_with_rows() -> None:
    few, many = (associate(table([40, 10], [10, 40]) * times, seed=1) for times in (1, 100))
    widths = []
    for found in (few, many):
        assert found.low is not None
        assert found.cramers_v is not None
        assert found.high is not None
        assert 0 <= found.low < found.cramers_v < found.high <= 1
        widths.append(found.high - found.low)
    assert widths[1] == pytest.approx(widths[0] / 10, rel=0.25)  # as the root of the number of rows


def test_the_interval_is_that_of_its_seed() -> None:
    cells = table([40, 10], [10, 40])
    assert associate(cells, seed=1) == associate(cells, seed=1)
    assert associate(cells, seed=1) != associate(cells, seed=2)


CELLS = st.lists(st.lists(st.integers(0, 12), min_size=4, max_size=4), min_size=3, max_size=3)


@settings(deadline=None, max_examples=10)
@given(CELLS, st.integers(0, 3))
def test_v_lies_between_zero_and_one_and_does_not_depend_on_names_or_order(cells: list[list[int]], seed: int) -> None:
    cells_ = np.array(cells, dtype=np.int64)
    found = associate(cells_, seed)
    turned = associate(cells_.T[::-1], seed)
    if found.cramers_v is None:
        assert turned.cramers_v is None
    else:
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low <= found.high <= 1 + 1e-9
        assert -1e-9 <= found.cramers_v <= 1 + 1e-9
        assert turned.cramers_v == pytest.approx(found.cramers_v)


def test_chance_is_what_shuffled_sentiments_give() -> None:
    labels, sentiments = np.array([0] * 12 + [1] * 8 + [2] * 20), np.array([0] * 15 + [1] * 25)
    rng = np.random.default_rng(5)
    names = {place: str(place) for place in range(3)}

    def v(order: NDArray[np.int64]) -> float:
        said = [names[place] for place in labels]
        found = associate(contingency(said, [names[place] for place in order], ["0", "1", "2"], ["0", "1"]), seed=1)
        assert found.cramers_v is not None
        return found.cramers_v

    shuffled = [v(rng.permutation(sentiments)) for _ in range(300)]
    found = associate(contingency(
        [names[place] for place in labels], [names[place] for place in sentiments], ["0", "1", "2"], ["0", "1"]
    ), seed=1)  # fmt: skip
    assert found.by_chance == pytest.approx(np.mean(shuffled), abs=0.02)
    assert found.share_by_chance == pytest.approx(1 / 1001)


def test_labels_without_meaning_are_reached_by_chance() -> None:
    rng = np.random.default_rng(3)
    shares = [
        associate(rng.multinomial(200, np.full(12, 1 / 12)).reshape(3, 4), seed=1).share_by_chance for _ in range(40)
    ]
    # A p-value is even between 0 and 1 where there is nothing to find.
    assert 0.35 < np.mean([share for share in shares if share is not None]) < 0.65
