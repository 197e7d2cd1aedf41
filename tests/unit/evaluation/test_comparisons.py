"""Comparisons of networks on the same rows: hand-worked p-values, their correction, and what groups do to them."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation import comparisons


def test_holm_by_hand() -> None:
    # In order .01, .02, .03, .5, times 4, 3, 2, 1; none may be below the one before.
    assert comparisons.holm([0.5, 0.01, 0.03, 0.02]) == pytest.approx([0.5, 0.04, 0.06, 0.06])
    assert comparisons.holm([0.6, 0.7]) == [1.0, 1.0]
    assert comparisons.holm([]) == []


def test_signs_are_dealt_to_groups_by_hand() -> None:
    # Sums by group are 2, 1, 1: of eight ways to deal signs, only all + and all - reach 4.
    right = np.array([True, True, True, True, False])
    other = np.array([False, False, False, False, False])
    assert comparisons.by_groups(right, other, ["a", "a", "b", "c", "d"], samples=100, seed=0) == pytest.approx(2 / 8)


def test_one_group_says_nothing_though_its_rows_are_many() -> None:
    right, other = np.ones(50, dtype=bool), np.zeros(50, dtype=bool)
    assert comparisons.by_groups(right, other, ["a"] * 50, samples=100, seed=0) == 1.0
    (row,) = comparisons.compare(
        {"a": right, "b": other}, "b", ["a"] * 50, rows_of="sier", samples=100, seed=0
    )  # fmt: skip
    assert row["p_mcnemar"] < 1e-10  # which takes the rows for independent
    assert row["p_groups"] == row["p_groups_holm"] == 1.0


def test_equal_networks_differ_in_nothing() -> None:
    right = np.arange(40) % 3 == 0
    (row,) = comparisons.compare({"a": right, "b": right}, "a", np.arange(40), rows_of="sier", samples=100, seed=0)
    assert (row["difference"], row["low"], row["high"]) == (0.0, 0.0, 0.0)
    assert row["p_mcnemar"] == row["p_groups"] == 1.0


def test_under_the_null_hypothesis_groups_keep_the_level_and_rows_do_not() -> None:
    """200 pairs of equally good networks on 30 groups of four rows that are always right or wrong together."""
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(30), 4)
    below = {"p_groups": 0, "p_mcnemar": 0}
    for _ in range(200):
        right = {name: np.repeat(rng.random(30) < 0.6, 4) for name in ("a", "b")}
        (row,) = comparisons.compare(right, "a", groups, rows_of="sier", samples=200, seed=0)
        for name in below:
            below[name] += row[name] <= 0.05
    assert below["p_groups"] <= 18  # of 200 draws of 5 %, more happen once in a hundred times
    assert below["p_mcnemar"] > 30


def test_parallelnet_is_what_others_are_compared_with_or_the_first() -> None:
    assert comparisons.reference(["ser_only", "parallelnet"]) == "parallelnet"
    assert comparisons.reference(["a", "b"]) == "a"
