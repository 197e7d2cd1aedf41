from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from pipeline.evaluation import metrics

CLASSES = 3
ids = st.integers(1, 40).flatmap(lambda rows: arrays.arrays(np.int64, (2, rows), elements=st.integers(0, CLASSES - 1)))


def counts_of(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(confusion_matrix(truth, predicted, labels=range(CLASSES)), dtype=np.int64)


def test_figures_of_a_case_worked_by_hand() -> None:
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    predicted = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 0])
    found = metrics.overall_metrics(truth, predicted, CLASSES)
    assert found["accuracy"] == pytest.approx(7 / 10)
    # F1: class 0 has 3 hits of 4 true and 4 predicted; class 1 has 2 of 3 and 3; class 2 has 2 of 3 and 3.
    assert found["macro_f1"] == pytest.approx((6 / 8 + 4 / 6 + 4 / 6) / 3)
    # Agreement by chance: (4 * 4 + 3 * 3 + 3 * 3) / 100.
    assert found["cohen_kappa"] == pytest.approx((0.7 - 0.34) / (1 - 0.34))


def test_a_class_without_any_row_is_left_out_of_macro_f1_but_one_that_is_never_predicted_counts_as_zero() -> None:
    never_predicted = metrics.overall_metrics(np.array([0, 1, 1]), np.array([0, 0, 0]), CLASSES)
    assert never_predicted["macro_f1"] == pytest.approx((0.5 + 0) / 2)
    assert never_predicted["cohen_kappa"] == pytest.approx(0)


def test_kappa_is_not_defined_where_all_is_one_class() -> None:
    assert metrics.overall_metrics(np.array([1, 1]), np.array([1, 1]), CLASSES) == {
        "accuracy": 1.0, "macro_f1": 1.0, "cohen_kappa": None,
    }  # fmt: skip


def test_no_rows_are_a_defect_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no rows"):
        metrics.overall_metrics(np.array([], dtype=np.int64), np.array([], dtype=np.int64), CLASSES)


@given(ids)
def test_figures_of_many_matrices_are_those_of_scikit_learn(rows: NDArray[np.int64]) -> None:
    truth, predicted = rows
    expected = metrics.overall_metrics(truth, predicted, CLASSES)
    other = counts_of(predicted, predicted)
    found = metrics.metrics_of_matrices(np.stack([other, counts_of(truth, predicted)]))
    assert found.shape == (2, 3)
    for value, name in zip(found[1], metrics.METRICS, strict=True):
        wanted = expected[name]
        assert math.isnan(value) if wanted is None else value == pytest.approx(wanted, abs=1e-12)
    assert found[0, 0] == found[0, 1] == 1


def single(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of a confusion matrix, each a group of its own."""
    true, predicted = (axis.ravel() for axis in np.indices(counts.shape))
    truth, answers = np.repeat(true, counts.ravel()), np.repeat(predicted, counts.ravel())
    return metrics.matrices_of_groups(truth, answers, np.arange(len(truth)), len(counts))


COUNTS = np.array([[30, 5, 5], [4, 20, 6], [8, 2, 20]])


def test_intervals_of_all_figures_hold_the_estimate_and_shrink_with_the_root_of_the_rows() -> None:
    widths = []
    for times in (1, 16):
        found = metrics.bootstrap(single(COUNTS * times), samples=2000, seed=3)
        values = metrics.metrics_of_matrices(COUNTS[np.newaxis] * times)[0]
        intervals = [found[name] for name in metrics.METRICS]
        for value, interval in zip(values, intervals, strict=True):
            assert interval is not None
            assert interval[0] < value < interval[1]
        widths.append([high - low for low, high in filter(None, intervals)])
    for few, many in zip(*widths, strict=True):
        assert few / many == pytest.approx(4, rel=0.15)


def test_an_interval_of_single_rows_is_that_of_the_binomial_distribution() -> None:
    found = metrics.bootstrap(single(np.array([[70, 30], [0, 0]])), samples=20_000, seed=1)["accuracy"]
    assert found is not None
    spread = 1.96 * math.sqrt(0.7 * 0.3 / 100)
    assert found == pytest.approx((0.7 - spread, 0.7 + spread), abs=0.012)


def test_rows_that_are_repeated_in_their_group_tell_no_more() -> None:
    truth, predicted = np.array([0, 1, 0, 1] * 10), np.array([0, 1, 1, 0] * 10)
    groups = np.arange(40)
    once = metrics.measure(truth, predicted, ["a", "b"], groups, samples=300, seed=1)
    truth, predicted = np.repeat(truth, 4), np.repeat(predicted, 4)
    four = metrics.measure(truth, predicted, ["a", "b"], np.repeat(groups, 4), samples=300, seed=1)
    assert (once["rows"], four["rows"], once["groups"], four["groups"]) == (40, 160, 40, 40)
    assert once["intervals"] == {name: pytest.approx(ends) for name, ends in four["intervals"].items()}


def test_another_seed_draws_other_groups_and_the_same_one_the_same() -> None:
    drawn = [metrics.bootstrap(single(COUNTS), samples=200, seed=seed)["macro_f1"] for seed in (1, 2, 1)]
    assert drawn[0] == drawn[2] != drawn[1]


def test_a_figure_that_no_draw_defines_and_one_of_few_groups_has_no_interval() -> None:
    found = metrics.bootstrap(single(np.array([[0, 0], [0, 15]])), samples=100, seed=1)
    assert found == {"accuracy": (1.0, 1.0), "macro_f1": (1.0, 1.0), "cohen_kappa": None}
    few = metrics.bootstrap(single(np.array([[3, 2], [2, 2]])), samples=100, seed=1)
    assert set(few.values()) == {None}


def test_measured_per_class_with_none_for_what_is_not_defined() -> None:
    truth, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 0])
    found = metrics.measure(truth, predicted, ["anger", "hate", "sad"], np.arange(4), samples=100, seed=1)
    assert found["rows"] == 4
    assert found["accuracy"] == 0.5
    assert found["confusion_matrix"] == [[2, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert found["per_class"]["anger"] == {
        "recall": pytest.approx(2 / 3), "precision": pytest.approx(2 / 3), "f1": pytest.approx(2 / 3), "support": 3,
    }  # fmt: skip
    assert found["per_class"]["hate"] == {"recall": 0, "precision": 0, "f1": 0, "support": 1}
    assert found["per_class"]["sad"] == {"recall": None, "precision": None, "f1": None, "support": 0}
    low, high = found["intervals"].pop("accuracy")  # of few rows too
    assert 0 < low < 0.5 < high < 1
    assert found["intervals"] == {"macro_f1": None, "cohen_kappa": None}


def fold(accuracy: float, kappa: float | None = 0.5) -> dict[str, float | None]:
    return {"accuracy": accuracy, "macro_f1": 0.25, "cohen_kappa": kappa}


def test_over_runs_the_deviation_is_the_samples() -> None:
    found = metrics.over_runs([fold(0.5), fold(0.7), fold(0.9)])
    assert found["accuracy"] == {"mean": pytest.approx(0.7), "standard_deviation": pytest.approx(0.2)}
    assert found["macro_f1"] == {"mean": 0.25, "standard_deviation": 0}


def test_one_fold_has_no_deviation_and_a_figure_that_a_fold_lacks_has_no_mean() -> None:
    assert metrics.over_runs([fold(0.5)])["accuracy"] == {"mean": 0.5, "standard_deviation": None}
    nothing = {"mean": None, "standard_deviation": None}
    assert metrics.over_runs([fold(0.5), fold(0.7, None)])["cohen_kappa"] == nothing
    assert metrics.over_runs([])["accuracy"] == nothing


def test_a_share_has_wilsons_interval() -> None:
    found = metrics.share(np.array([True, True, True]), np.arange(3))
    z = 1.959963984540054
    assert found == {"rows": 3, "groups": 3, "accuracy": 1.0, "low": pytest.approx(3 / (3 + z**2)), "high": 1.0}
    half = metrics.share(np.array([True, False] * 20), np.arange(40))
    assert half["low"] == pytest.approx(1 - half["high"])
    assert 0.3 < half["low"] < 0.4


def test_a_share_of_nothing_is_not_defined() -> None:
    nothing = metrics.share(np.array([], dtype=bool), np.arange(0))
    assert nothing == {"rows": 0, "groups": 0, "accuracy": None, "low": None, "high": None}


def test_bins_hold_their_lower_edge_and_the_last_one_also_one() -> None:
    values = np.array([0.5, 0.69, 0.7, 0.99, 1.0], dtype=np.float32)
    correct = np.array([True, False, True, True, False])
    found = metrics.by_bin(values, correct, np.arange(5), [0.5, 0.7])
    assert [(entry["lower"], entry["upper"], entry["rows"]) for entry in found] == [
        (0.0, 0.5, 0), (0.5, 0.7, 2), (0.7, 1.0, 3),
    ]  # fmt: skip
    assert [entry["accuracy"] for entry in found] == [None, 0.5, pytest.approx(2 / 3)]
    assert [entry["mean"] for entry in found] == [None, pytest.approx(0.595), pytest.approx(2.69 / 3)]


@given(
    arrays.arrays(np.float32, st.integers(0, 30), elements=st.floats(0, 1, width=32)),
    st.sets(st.sampled_from([0.0, 0.3, 0.5, 0.7, 0.9, 1.0])),
)
def test_every_row_is_in_one_bin(values: NDArray[np.float32], edges: set[float]) -> None:
    found = metrics.by_bin(values, np.ones(len(values), dtype=bool), np.arange(len(values)), sorted(edges))
    assert sum(entry["rows"] for entry in found) == len(values)
    assert all(entry["lower"] - 1e-6 <= entry["mean"] <= entry["upper"] + 1e-6 for entry in found if entry["rows"])
    assert [entry["lower"] for entry in found[1:]] == [entry["upper"] for entry in found[:-1]]
