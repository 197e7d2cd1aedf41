"""One temperature per teacher, at which its mean confidence is the threshold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from pipeline.errors import UserError
from pipeline.labels.matching import at_temperature, matching_temperature, scores_at


def test_two_classes_by_hand() -> None:
    # Odds of 16 to 1 at temperature 2 are 4 to 1; at 1/2 they are 256 to 1.
    given_ = np.array([[16 / 17, 1 / 17]], dtype=np.float32)
    assert at_temperature(given_, 2.0)[0].tolist() == pytest.approx([0.8, 0.2], abs=1e-6)
    assert at_temperature(given_, 0.5)[0].tolist() == pytest.approx([256 / 257, 1 / 257], abs=1e-6)
    assert at_temperature(given_, 1.0) is given_
    assert matching_temperature(given_, 0.8, "speech") == pytest.approx(2.0, abs=1e-5)


def test_what_is_outside_the_classes_stays_outside() -> None:
    # .64 and .16 with .2 outside: at temperature 2 the roots .8, .4 and .447 over their sum.
    total = 0.8 + 0.4 + 0.2**0.5
    found = at_temperature(np.array([[0.64, 0.16]], dtype=np.float32), 2.0)[0]
    assert found.tolist() == pytest.approx([0.8 / total, 0.4 / total], abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(0.3, 0.95), st.floats(0.2, 8.0))
def test_the_mean_confidence_becomes_the_threshold_and_no_class_changes(
    seed: int, threshold: float, spread: float
) -> None:
    logits = np.random.default_rng(seed).normal(scale=spread, size=(50, 4))
    probabilities = softmax(logits, axis=1).astype(np.float32)
    temperature = matching_temperature(probabilities, threshold, "image")
    matched = at_temperature(probabilities, temperature)
    assert matched.max(axis=1).mean() == pytest.approx(threshold, abs=1e-4)
    assert matched.argmax(axis=1).tolist() == probabilities.argmax(axis=1).tolist()
    assert matched.sum(axis=1) == pytest.approx(np.ones(50), abs=1e-5)


def test_a_class_without_probability_gets_none() -> None:
    assert at_temperature(np.array([[0.9, 0.1, 0.0]], dtype=np.float32), 5.0)[0, 2] == 0


@pytest.mark.parametrize("threshold", [0.2, 0.25, 1.0])
def test_a_threshold_that_four_classes_cannot_have(threshold: float) -> None:
    probabilities = np.array([[0.4, 0.3, 0.2, 0.1]], dtype=np.float32)
    with pytest.raises(UserError, match=r"label.calibrate = match: no temperature makes the image teacher's mean conf"):
        matching_temperature(probabilities, threshold, "image")


def test_a_table_keeps_its_other_columns() -> None:
    table = pd.DataFrame({"id": ["a"], "p_x": [16 / 17], "p_y": [1 / 17], "teacher_digest": "t"})
    changed = scores_at(table, 2.0)
    assert changed["p_x"].tolist() == pytest.approx([0.8], abs=1e-6)
    assert changed[["id", "teacher_digest"]].equals(table[["id", "teacher_digest"]])
    assert changed["p_y"].dtype == np.float32
