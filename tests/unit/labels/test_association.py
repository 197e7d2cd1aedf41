"""Cramer's V by groups: cases worked by hand, chance that keeps its level, intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats.contingency import association

from pipeline.labels import association as module
from pipeline.labels.association import Association, associate, corrected_v, cramers_v, in_groups, phi_squared

SHARES = np.array([[0.4, 0.1, 0.2, 0.3], [0.25, 0.25, 0.25, 0.25], [0.1, 0.6, 0.1, 0.2]])  # labels by sentiment
SAME_LABEL = 0.8  # how often a row of a group takes the label of its first

Numbers = NDArray[np.int64]
Rows = tuple[Numbers, Numbers, Numbers]  # group, class that is dealt, class that is kept


def table(*rows: list[int]) -> Numbers:
    return np.array(rows, dtype=np.int64)


def single_rows(cells: Numbers) -> Rows:
    """The rows of a table, each a group of its own."""
    dealt, kept = np.unravel_index(np.repeat(np.arange(cells.size), cells.ravel()), cells.shape)
    return np.arange(len(dealt)), dealt, kept


def v(cells: Numbers) -> float:
    return float(cramers_v(cells[np.newaxis])[0])


def table_of(rows: Rows) -> Numbers:
    return np.asarray(in_groups(*rows).counts.sum(axis=0))


def test_counts_are_of_groups_and_of_classes_that_occur() -> None:
    found = in_groups(["a", "b", "a", "a"], ["neg", "pos", "neg", "neg"], ["sad", "happy", "sad", "happy"])
    assert found.counts.tolist() == [[[2, 1], [0, 0]], [[0, 0], [0, 1]]]
    assert found.sizes.tolist() == [3, 1]
    assert associate([], [], [], seed=1) == Association(0, 0)


def test_rows_where_a_class_is_missing_do_not_count() -> None:
    kept = np.array(["sad", "sad", None, "happy"], dtype=object)
    found = in_groups(["a", "b", "c", "d"], [1.0, np.nan, 2.0, 1.0], kept)
    assert found.counts.tolist() == [[[1, 0]], [[0, 1]]]
    none = np.full(4, np.nan)
    assert associate(range(4), none, [0, 1, 0, 1], seed=1) == Association(0, 0)


def test_of_very_many_groups_some_at_even_distances_are_measured_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_GROUPS", 3)
    groups = np.repeat(np.arange(7), 2)
    found = in_groups(groups, groups % 2, np.arange(14))  # groups 0, 3 and 6 of 7
    assert found.sizes.tolist() == [2, 2, 2]
    assert found.counts[:, :, [0, 1]].sum() == 2  # rows 0 and 1
    assert found.dealt.tolist() == [0, 0, 1, 1, 0, 0]
    assert found.shape == (2, 6)


def test_cases_worked_by_hand() -> None:
    # Expected counts are all 25, each cell is 15 off: chi2 = 4 * 15 ** 2 / 25 = 36; V = sqrt(36 / 100) = 0.6.
    assert v(table([40, 10], [10, 40])) == pytest.approx(0.6)
    # Rows 30 and 60, columns 45 and 45: expected 15, 15, 30, 30; chi2 = 2 * 25 / 15 + 2 * 25 / 30 = 5.
    assert v(table([20, 10], [25, 35])) == pytest.approx((5 / 90) ** 0.5)
    # Three columns, all rows and columns even: expected 10 each; chi2 = 4 * 25 / 10 = 10; V = sqrt(10 / 60 / 1).
    assert v(table([15, 10, 5], [5, 10, 15])) == pytest.approx((10 / 60) ** 0.5)
    # Classes that do not occur do not count.
    assert v(table([40, 0, 10, 0], [0, 0, 0, 0], [10, 0, 40, 0])) == pytest.approx(0.6)


def test_bergsmas_correction_worked_by_hand() -> None:
    # 2 x 2, 100 rows, phi2 = .36: .36 - 1/99 = .349899; both sides 2 - 1/99 = 1.989899; V = sqrt(.349899 / .989899).
    found = corrected_v(0.36, 1 / 99, (2, 2))
    assert found == pytest.approx((0.349899 / 0.989899) ** 0.5, abs=1e-6)
    # 3 x 4, 120 rows, expected 10 each; four cells are 5 off: phi2 = 4 * 25 / 10 / 120 = .0833333; chance gives
    # 2 * 3 / 119 = .0504202 of it. Sides: 3 - 4/119 = 2.9663866, 4 - 9/119 = 3.924370; V = sqrt(.0329131 / 1.9663866).
    cells = table([15, 5, 10, 10], [5, 15, 10, 10], [10, 10, 10, 10])
    assert phi_squared(cells[np.newaxis])[0] == pytest.approx(0.0833333)
    assert corrected_v(1 / 12, 6 / 119, (3, 4)) == pytest.approx((0.0329131 / 1.9663866) ** 0.5, abs=1e-6)
    # Less than chance gives is nothing.
    assert corrected_v(0.05, 6 / 119, (3, 4)) == 0
    # Nearly as many classes as rows: nothing is left to tell.
    assert corrected_v(1.0, 1.0, (2, 2)) == 0


def test_of_single_rows_the_correction_is_bergsmas() -> None:
    cells = table([15, 5, 10, 10], [5, 15, 10, 10], [10, 10, 10, 10])
    found = associate(*single_rows(cells), seed=1)
    assert found.corrected_v == pytest.approx((0.0329131 / 1.9663866) ** 0.5, abs=0.01)
    assert (found.rows, found.groups) == (120, 120)


CELLS = st.lists(st.lists(st.integers(0, 12), min_size=4, max_size=4), min_size=3, max_size=3)


@given(CELLS)
@settings(deadline=None, max_examples=50)
def test_cramers_v_is_that_of_scipy_and_does_not_depend_on_order(cells: list[list[int]]) -> None:
    counts = table(*cells)
    filled = counts[counts.any(axis=1)][:, counts.any(axis=0)]
    assert v(counts.T[::-1]) == pytest.approx(v(counts))
    if min(filled.shape) >= 2:
        assert v(counts) == pytest.approx(association(filled, method="cramer"), abs=1e-7)


@pytest.mark.parametrize("cells", [table([5], [7]), table([5, 7])])
def test_one_class_only_has_no_association(cells: Numbers) -> None:
    rows = int(cells.sum())
    assert associate(*single_rows(cells), seed=1) == Association(rows, rows)


def test_one_group_only_has_no_association() -> None:
    assert associate(np.zeros(14), *single_rows(table([5, 1], [1, 7]))[1:], seed=1) == Association(14, 1)


@pytest.mark.parametrize("cells", [table([30, 0], [0, 40]), table([0, 15, 0], [17, 0, 0], [0, 0, 19])])
def test_a_label_that_tells_the_sentiment_is_one(cells: Numbers) -> None:
    found = associate(*single_rows(cells), seed=1)
    assert found.cramers_v == pytest.approx(1.0)
    assert found.p_value == 0.001
    assert found.corrected_v == pytest.approx(1.0, abs=0.01)


def test_figures_are_those_of_their_seed() -> None:
    rows = drawn(np.random.default_rng(1), 50, 1.0)
    assert associate(*rows, seed=1) == associate(*rows, seed=1)
    assert associate(*rows, seed=1) != associate(*rows, seed=2)


def test_chance_is_what_sentiments_dealt_to_groups_by_hand_give() -> None:
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(40), rng.integers(1, 5, 40))
    sentiments = rng.integers(0, 3, 40)  # of each group
    labels = np.where(rng.random(len(groups)) < SAME_LABEL, rng.integers(0, 4, 40)[groups], 0)
    found = associate(groups, sentiments[groups], labels, seed=1)
    dealt = [v(table_of((groups, rng.permutation(sentiments)[groups], labels))) for _ in range(2000)]
    assert found.by_chance == pytest.approx(np.mean(dealt), abs=0.01)
    assert found.p_value == pytest.approx(np.mean(np.array(dealt) >= (found.cramers_v or 0)), abs=0.05)


def drawn(rng: np.random.Generator, groups: int, strength: float, most: int = 4, least: int = 1) -> Rows:
    """Groups of `least` to `most` rows with one sentiment and labels that are like each other."""
    shares = strength * SHARES + (1 - strength) * SHARES.mean(axis=0)
    sentiments = rng.integers(0, 3, groups)
    where = np.repeat(np.arange(groups), rng.integers(least, most + 1, groups))
    first = np.array([rng.choice(4, p=shares[sentiment]) for sentiment in sentiments])
    own = np.array([rng.choice(4, p=shares[sentiments[group]]) for group in where])
    return where, sentiments[where], np.where(rng.random(len(where)) < SAME_LABEL, first[where], own)


@pytest.fixture
def fewer_deals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEALS", 199)


@pytest.mark.usefixtures("fewer_deals")
def test_labels_without_meaning_are_called_so_by_groups_and_would_not_be_by_rows() -> None:
    rng = np.random.default_rng(3)
    found = [drawn(rng, 80, 0.0, 3, 3) for _ in range(200)]
    by_groups = np.array([associate(*rows, seed=1).p_value for rows in found])
    by_rows = np.array([associate(np.arange(240), *rows[1:], seed=1).p_value for rows in found])
    # One in twenty is to be expected; 200 of them stray by .015.
    assert 0.02 <= np.mean(by_groups <= 0.05) <= 0.09
    assert np.quantile(by_groups, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.1)
    assert np.mean(by_rows <= 0.05) > 0.15


@pytest.mark.usefixtures("fewer_deals")
def test_where_both_classes_vary_within_groups_chance_keeps_its_level() -> None:
    rng = np.random.default_rng(6)
    found = []
    for _ in range(200):
        groups = np.repeat(np.arange(60), rng.integers(1, 6, 60))
        dealt, kept = rng.integers(0, 3, len(groups)), rng.integers(0, 4, len(groups))
        found.append(associate(groups, dealt, kept, seed=1).p_value)
    assert 0.02 <= np.mean(np.array(found) <= 0.05) <= 0.09


@pytest.mark.usefixtures("fewer_deals")
@pytest.mark.parametrize("strength", [0.0, 0.6, 1.0])
def test_the_interval_covers_the_association_of_what_was_drawn_from(strength: float) -> None:
    rng = np.random.default_rng(4)
    source = (strength * SHARES + (1 - strength) * SHARES.mean(axis=0)) / 3
    known = float(cramers_v(source[np.newaxis])[0])
    found = [associate(*drawn(rng, 150, strength), seed=1) for _ in range(80)]
    covered = np.mean([(one.low or 0) - 1e-9 <= known <= (one.high or 0) for one in found])
    assert covered >= 0.9
    corrected, plain = (np.mean([getattr(one, name) for one in found]) for name in ("corrected_v", "cramers_v"))
    assert abs(corrected - known) < abs(plain - known)  # groups inflate V, and the correction knows
    if strength == 0:
        assert np.mean([one.low == 0 for one in found]) >= 0.95
