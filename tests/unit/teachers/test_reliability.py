"""Reliability in numbers, with intervals by groups and beside what chance gives."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.teachers.reliability import measure

CLASSES = ("a", "b")


def said(rows: int, sure: float, share_right: float) -> tuple[np.ndarray, list[str]]:
    truth = np.where(np.arange(rows) % 100 < 100 * share_right, "a", "b")
    return np.full((rows, 2), [sure, 1 - sure], dtype=np.float32), truth.tolist()


def test_one_confidence_for_all_is_worked_by_hand() -> None:
    probabilities, truth = said(1_000, 0.9, 0.6)
    found = measure(probabilities, truth, CLASSES, np.arange(1_000), seed=1)
    assert found is not None and (found["rows"], found["groups"]) == (1_000, 1_000)
    for name in ("ece", "adaptive_ece"):
        assert found[name]["value"] == pytest.approx(0.3, abs=1e-6)
        # The share of right answers has a standard error of .0155: 1.96 of them to each side.
        assert found[name]["low"] == pytest.approx(0.27, abs=0.005)
        assert found[name]["high"] == pytest.approx(0.33, abs=0.005)
        # By chance .9 are right; the mean distance is sqrt(2 / pi) of the standard error .0095.
        assert found[name]["by_chance"] == pytest.approx(0.0076, abs=0.002)
    assert found["brier"]["value"] == pytest.approx(2 * (0.6 * 0.01 + 0.4 * 0.81), abs=1e-6)
    words = found["words"]
    assert words.startswith("expected calibration error 30.0% (") and words.endswith("; 1,000 rows")


def test_rows_of_a_speaker_vary_together() -> None:
    probabilities, truth = said(1_000, 0.9, 0.6)
    speakers = np.repeat(np.arange(20), 50)  # of each 50 rows all are right, or 20 %
    by_speaker, by_row = (measure(probabilities, truth, CLASSES, groups, 1) for groups in (speakers, np.arange(1_000)))
    assert by_speaker is not None and by_row is not None
    widths = [one["ece"]["high"] - one["ece"]["low"] for one in (by_speaker, by_row)]
    assert widths[0] > 3 * widths[1]
    assert by_speaker == measure(probabilities, truth, CLASSES, speakers, 1)


def test_of_few_rows_the_interval_holds_the_error_and_ends_at_zero() -> None:
    # Right as often as it says: all of the error is chance, and resampling adds as much again.
    rng = np.random.default_rng(3)
    sure = rng.uniform(0.5, 1.0, 60).astype(np.float32)
    truth = np.where(rng.random(60) < sure, "a", "b").tolist()
    found = measure(np.stack([sure, 1 - sure], axis=1), truth, CLASSES, np.arange(60), 1)
    assert found is not None
    for name in ("ece", "adaptive_ece"):
        assert 0 <= found[name]["low"] < found[name]["value"] < found[name]["high"]
        assert found[name]["low"] < found[name]["by_chance"] < found[name]["high"]


def test_of_few_groups_there_is_no_interval_and_of_no_rows_nothing() -> None:
    found = measure(*said(8, 0.9, 1.0), CLASSES, np.arange(8), 1)
    assert found is not None and found["brier"]["low"] is None
    assert "(by chance" in found["words"]
    assert measure(np.empty((0, 2), np.float32), (), CLASSES, (), 1) is None
