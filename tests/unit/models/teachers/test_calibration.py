"""Calibration: temperatures that are known beforehand, and a reliability table worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.teachers.calibration import fit_temperature, reliability_bins
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
