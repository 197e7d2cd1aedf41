"""Test rows whose group was learnt from: counted and left out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation import crossing, metrics

ROWS = pd.DataFrame({
    "id": list("abcdefgh"), "split": ["train", "train", "val", "test", "test", "test", "test", "test"],
})  # fmt: skip
GROUPS = pd.Series({"a": "p", "b": "q", "c": "r", "d": "p", "e": "s", "f": "r", "g": "s", "h": "t", "z": "u"})


def test_rows_cross_whose_group_is_in_train_or_in_val() -> None:
    assert crossing.crossing_rows(ROWS, GROUPS)[3:].tolist() == [True, False, True, False, False]


def test_groups_of_rows_that_no_network_saw_do_not_count() -> None:
    unspoken = ROWS[ROWS["id"] != "a"]
    assert crossing.crossing_rows(unspoken, GROUPS)[2:].tolist() == [False, False, True, False, False]


def test_accuracy_is_given_of_the_other_rows() -> None:
    mask = np.array([True, False, True, False, False])
    correct = np.array([True, True, True, False, False])
    groups = np.array(["p", "s", "r", "s", "t"], dtype=object)
    found = crossing.without_crossing_groups(correct, groups, mask)
    assert found == {
        **metrics.share(np.array([True, False, False]), ["s", "s", "t"]), "crossing_rows": 2,
    }  # fmt: skip
    assert (found["rows"], found["groups"], found["crossing_rows"]) == (3, 2, 2)
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert 0 <= found["low"] < 1 / 3 < found["high"] <= 1


def test_where_all_rows_cross_no_accuracy_is_given() -> None:
    everything = crossing.without_crossing_groups(np.array([True]), np.array(["p"]), np.array([True]))
    assert everything == {
        "rows": 0, "groups": 0, "accuracy": None, "low": None, "high": None, "crossing_rows": 1,
    }  # fmt: skip
    assert "Test accuracy on" not in crossing.notes(findings(everything, rows=1))[0]


def findings(found: dict[str, Any], rows: int) -> dict[str, Any]:
    test = {"rows": rows, crossing.KEY: found}
    return {
        "models": {"parallelnet": {"rows": "sier", "test": {}}, "sentiment": {"rows": "clean", "test": test}},
        "without_training": {"clean": {"majority_class": test}},
    }


def test_the_note_counts_them_and_gives_accuracy_without_them() -> None:
    some = {"rows": 28, "groups": 20, "accuracy": 0.5, "low": 0.25, "high": 0.75, "crossing_rows": 4}
    (told,) = crossing.notes(findings(some, rows=32))
    assert told == (
        "4 of 32 test rows are of a group (one tweet, nearly the same words or picture) that also has rows in train or "
        "val: these splits were not made by group. Test accuracy on the other 28: sentiment 50.00 [25.00, 75.00] %; "
        "the majority class 50.00 [25.00, 75.00] %."
    )
    none = {**some, "rows": 32, "crossing_rows": 0}
    assert crossing.notes(findings(none, rows=32))[0].endswith("these splits were not made by group.")
    assert crossing.notes({"models": {}, "without_training": {}}) == []
