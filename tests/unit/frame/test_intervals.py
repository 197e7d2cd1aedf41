"""Intervals by group: cases worked by hand, and how often they hold the truth where it is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import binomtest, ttest_1samp

from pipeline.evaluation import metrics
from pipeline.frame import intervals

TRIES = 600


@settings(deadline=None, max_examples=30)
@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_a_share_of_single_rows_has_wilsons_interval(flags: list[bool]) -> None:
    expected = binomtest(sum(flags), len(flags)).proportion_ci(intervals.LEVEL, method="wilson")
    found = intervals.of_share(np.array(flags), np.arange(len(flags)))
    assert found == pytest.approx((expected.low, expected.high), abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20, unique=True))
def test_a_mean_of_single_rows_has_students_interval(values: list[float]) -> None:
    expected = ttest_1samp(values, 0).confidence_interval(intervals.LEVEL)
    found = intervals.of_mean(values, np.ones(len(values)), np.arange(len(values)))
    assert found == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_mean_of_one_group_has_none() -> None:
    assert intervals.of_mean([1.0, 2.0], [1.0, 1.0], ["a", "a"]) is None
    assert intervals.of_mean([2.0, 2.0], [1.0, 3.0], ["a", "b"]) == (2.0, 2.0)


def test_weights_and_groups_by_hand() -> None:
    # Groups' weighted distances from the mean 2: a 2 * (1 - 2) = -2, b 1 * (4 - 2) = 2. So sqrt(2 * 8) / 3 = 4 / 3.
    low, high = intervals.of_mean([1.0, 1.0, 4.0], [1.0, 1.0, 1.0], ["a", "a", "b"]) or (0, 0)
    assert (low, high) == pytest.approx((2 - 12.706 * 4 / 3, 2 + 12.706 * 4 / 3), rel=1e-4)


def test_few_groups_are_not_resampled() -> None:
    with pytest.raises(ValueError, match="expected 10 groups or more to resample, found 9"):
        intervals.of_sums(np.ones((9, 2)), lambda totals: totals, samples=10, seed=1)


def tweets(rng: Generator, groups: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The group of each row, one to four in each, and a value that rows of a group share for the larger part."""
    of_row = np.repeat(np.arange(groups), rng.integers(1, 5, groups))
    shared, own = rng.normal(size=groups), rng.normal(size=len(of_row))
    return of_row, 0.8 * shared[of_row] + 0.6 * own


def coverage(holds: list[bool]) -> float:
    return sum(holds) / len(holds)


@pytest.mark.parametrize("groups", [25, 150])
def test_shares_hold_the_truth_in_95_of_100_cases(groups: int) -> None:
    by_group: list[bool] = []
    by_row: list[bool] = []
    for seed in range(TRIES):
        of_row, values = tweets(np.random.default_rng([seed, groups]), groups)
        flags = values > -0.5  # 69.1 %
        truth = 0.5 * math.erfc(-0.5 / math.sqrt(2))
        for holds, of in ((by_group, of_row), (by_row, np.arange(len(flags)))):
            low, high = intervals.of_share(flags, of)
            holds.append(low <= truth <= high)
    assert 0.92 <= coverage(by_group) <= 0.975
    assert coverage(by_row) < 0.92


@pytest.mark.parametrize("groups", [3, 5, 9, 40])
def test_weighted_means_hold_the_truth_in_95_of_100_cases(groups: int) -> None:
    holds = []
    for seed in range(TRIES):
        rng = np.random.default_rng([seed, groups])
        of_row, values = tweets(rng, groups)
        low, high = intervals.of_mean(values, rng.choice([1.0, 2.0], len(values)), of_row) or (0, 0)
        holds.append(low <= 0 <= high)
    assert 0.92 <= coverage(holds) <= 0.98


def test_metrics_of_networks_hold_the_truth_in_95_of_100_cases() -> None:
    """Two even classes, and 69.1 % of answers right, more or less so by group: kappa is .383, macro F1 .691."""
    accuracy = 0.5 * math.erfc(-0.5 / math.sqrt(2))
    truths = {"accuracy": accuracy, "macro_f1": accuracy, "cohen_kappa": 2 * accuracy - 1}
    holds: dict[str, list[bool]] = {name: [] for name in truths}
    for seed in range(TRIES // 2):
        rng = np.random.default_rng([seed, 7])
        of_row, values = tweets(rng, 120)
        truth = rng.integers(0, 2, 120)[of_row]
        predicted = np.where(values > -0.5, truth, 1 - truth)
        counts = metrics.matrices_of_groups(truth, predicted, of_row, 2)
        for name, ends in metrics.bootstrap(counts, samples=400, seed=seed).items():
            assert ends is not None
            holds[name].append(ends[0] <= truths[name] <= ends[1])
    assert all(0.91 <= coverage(found) <= 0.98 for found in holds.values()), {k: coverage(v) for k, v in holds.items()}


def test_a_share_has_its_interval_within_what_shares_can_be() -> None:
    assert intervals.mean_in_words({"mean": 0.714, "low": -0.48, "high": 1.91}) == ("71.4%", "0.0% to 100.0%")
    assert intervals.mean_in_words({"mean": 0.5, "low": 0.36, "high": 0.63}) == ("50.0%", "36.0% to 63.0%")
    assert intervals.mean_in_words({"mean": 0.5, "low": None, "high": None}) == (
        "50.0%", "too few groups for an interval",
    )  # fmt: skip
