"""Calibration: temperatures that are known beforehand, and a reliability table worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from models.teachers.calibration import calibration_errors, error_sums, fit_temperature, reliability_bins
from models.teachers.probe import probabilities_of

CLASSES = ("anger", "excitement", "sadness")


def drawn_from(logits: NDArray[np.float64], seed: int) -> list[str]:
    """A label per row, drawn from the row's own softmax: logits of temperature 1 by construction."""
    generator = np.random.default_rng(seed)
    return [CLASSES[generator.choice(3, p=row / row.sum())] for row in probabilities_of(logits).astype(np.float64)]


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_temperature_undoes_a_known_scaling(factor: float) -> None:
    logits = np.random.default_rng(1).normal(scale=2, size=(6_000, 3))
    labels = drawn_from(logits, seed=2)
    assert fit_temperature(logits * factor, labels, CLASSES) == pytest.approx(factor, rel=0.06)


def test_two_rows_right_out_of_three_give_the_temperature_worked_by_hand() -> None:
    # Logits (2, 0): right twice, wrong once. The best probability is 2/3, so 2 / T = ln 2.
    logits = np.array([[2.0, 0.0]] * 3)
    assert fit_temperature(logits, ["a", "a", "b"], ["a", "b"]) == pytest.approx(2 / np.log(2), rel=1e-4)


def test_rows_of_a_class_the_model_could_not_know_do_not_count() -> None:
    logits = np.array([[2.0, 0.0, -np.inf]] * 4)
    with_unknown = fit_temperature(logits, ["anger", "anger", "excitement", "sadness"], CLASSES)
    assert with_unknown == pytest.approx(2 / np.log(2), rel=1e-4)
    assert fit_temperature(logits[:1], ["sadness"], CLASSES) == 1.0


def test_a_handful_of_rows_that_are_all_right_makes_no_probe_absolutely_sure() -> None:
    assert fit_temperature(np.array([[1.0, 0.0], [0.0, 3.0]]), ["a", "b"], ["a", "b"]) == 1.0


def test_reliability_table_worked_by_hand() -> None:
    probabilities = np.array([[0.5, 0.5, 0], [0.75, 0.25, 0], [0.0, 0.25, 0.75], [1, 0, 0]], dtype=np.float32)
    table = reliability_bins(probabilities, ["anger", "anger", "anger", "anger"], CLASSES, bins=2).to_pydict()
    assert table == {
        "lower": [0.0, 0.5],
        "upper": [0.5, 1.0],
        "rows": [1, 3],  # 0.5 lies in the lower bin
        "mean_confidence": [0.5, pytest.approx(2.5 / 3)],
        "accuracy": [1.0, pytest.approx(2 / 3)],
    }


def test_empty_bins_are_null_and_not_zero() -> None:
    table = reliability_bins(np.array([[0.9, 0.1]], dtype=np.float32), ["b"], ["a", "b"], bins=4).to_pydict()
    assert table["rows"] == [0, 0, 0, 1]
    assert table["accuracy"] == [None, None, None, 0.0]
    assert table["mean_confidence"][:3] == [None, None, None]


@given(st.integers(1, 60), st.integers(1, 15), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_every_row_is_in_one_bin_and_the_means_add_up(rows: int, bins: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = probabilities_of(generator.normal(scale=5, size=(rows, 3)))
    labels = generator.choice(CLASSES, rows).tolist()
    table = reliability_bins(probabilities, labels, CLASSES, bins).to_pandas()
    assert table["rows"].sum() == rows
    right = (np.asarray(CLASSES)[probabilities.argmax(1)] == np.asarray(labels)).mean()
    assert (table["rows"] * table["accuracy"]).sum() / rows == pytest.approx(right)
    filled = table[table["rows"] > 0]
    assert (filled["mean_confidence"] <= filled["upper"] + 1e-6).all()
    assert (filled["mean_confidence"] >= filled["lower"] - 1e-6).all()


def test_calibration_errors_worked_by_hand() -> None:
    # Confidences .5, .6, .7, 1.0; right, right, wrong, right.
    probabilities = np.array([[0.5, 0.5, 0], [0.6, 0.2, 0.2], [0.0, 0.3, 0.7], [1, 0, 0]], dtype=np.float32)
    sums = error_sums(probabilities, ["anger", "anger", "excitement", "anger"], CLASSES, bins=2)
    # Equal width: up to .5 one row, |.5 - 1| = .5; above three, |2.3 - 2| = .3. Together .8 of 4 rows.
    # Equal mass: up to the median .65 two rows, |1.1 - 2| = .9; above two, |1.7 - 1| = .7. Together 1.6 of 4 rows.
    # Brier: .5, .16 + .04 + .04, .49 + .49, 0.
    assert calibration_errors(sums.sum(axis=0)) == pytest.approx([0.8 / 4, 1.6 / 4, (0.5 + 0.24 + 0.98) / 4])
    # Of many totals at once, each by itself; those of the first two rows are |.5 - 1| + |.6 - 1| in both kinds of bins.
    both = calibration_errors(np.stack([sums.sum(axis=0), sums[:2].sum(axis=0)]))
    assert both.shape == (2, 3) and both[1] == pytest.approx([0.9 / 2, 0.9 / 2, 0.74 / 2])


def test_calibration_errors_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.ones(3), 400).astype(np.float32)
    labels = [CLASSES[place] for place in rng.integers(0, 3, 400)]
    ece, adaptive, brier = calibration_errors(error_sums(probabilities, labels, CLASSES, bins=8).sum(axis=0))
    confidence = probabilities.max(axis=1)
    right = np.array(CLASSES)[probabilities.argmax(axis=1)] == labels
    for strategy, found in (("uniform", ece), ("quantile", adaptive)):
        # It counts no rows of its bins, which are told apart here by their mean confidence.
        accuracy, mean = calibration_curve(right, confidence, n_bins=8, strategy=strategy)
        edges = np.linspace(0, 1, 9) if strategy == "uniform" else np.quantile(confidence, np.linspace(0, 1, 9))
        rows = np.histogram(confidence, edges)[0]
        assert found == pytest.approx(np.sum(rows[rows > 0] / 400 * np.abs(accuracy - mean)), abs=1e-6)
    assert brier == pytest.approx(brier_score_loss(labels, probabilities, labels=list(CLASSES), scale_by_half=False))
