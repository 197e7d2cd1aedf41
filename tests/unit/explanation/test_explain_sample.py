from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.explanation.selection import choose, read_predictions, tasks
from tests.builders_explain import write_project
from tests.builders_sier import LABELS

PREDICTIONS = st.lists(st.tuples(st.sampled_from(LABELS), st.booleans()), min_size=1, max_size=40).map(
    lambda rows: pd.DataFrame(
        {
            "id": [f"{number}-1" for number in range(len(rows))],
            "label": [label for label, _ in rows],
            "correct": [right for _, right in rows],
        }
    )
)


@given(PREDICTIONS, st.integers(1, 45))
def test_a_sample_holds_smaller_ones_and_does_not_depend_on_the_order_of_rows(
    predictions: pd.DataFrame, count: int
) -> None:
    chosen = choose(predictions, LABELS, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(predictions))
    everything = choose(predictions, LABELS, None)
    assert everything[: len(chosen)] == chosen
    assert set(everything) == set(predictions["id"])
    assert choose(predictions.iloc[::-1], LABELS, count) == chosen


@given(PREDICTIONS, st.integers(1, 20))
def test_labels_take_turns_as_long_as_they_have_rows(predictions: pd.DataFrame, count: int) -> None:
    by_id = predictions.set_index("id")["label"]
    drawn = Counter(by_id[identity] for identity in choose(predictions, LABELS, count))
    there = Counter(predictions["label"])
    most = max(drawn.values())
    for label in LABELS:
        assert drawn[label] >= min(there[label], most - 1)


def test_right_and_wrong_rows_take_turns_within_a_label() -> None:
    rows = [(label, right, number) for label in LABELS for right in (True, False) for number in range(3)]
    predictions = pd.DataFrame(
        {
            "id": [f"{label}-{right}-{number}" for label, right, number in rows],
            "label": [label for label, _, _ in rows],
            "correct": [right for _, right, _ in rows],
        }
    )
    chosen = choose(predictions, LABELS, 8)
    assert [identity.rsplit("-", 1)[0] for identity in chosen] == [
        "anger-True", "happy-False", "hate-True", "sad-False", "anger-False", "happy-True", "hate-False", "sad-True",
    ]  # fmt: skip


def test_rows_come_by_the_digest_of_their_id() -> None:
    # By sha256sum they begin with 5951, 73e2 and 4caa.
    predictions = pd.DataFrame({"id": ["1-1", "3-1", "4-1"], "label": ["sad"] * 3, "correct": [True] * 3})
    assert choose(predictions, LABELS, None) == ["4-1", "1-1", "3-1"]


def test_tasks_are_in_the_order_of_the_dataset_and_the_first_chosen_get_figures(tmp_path: Path) -> None:
    rows = write_project(tmp_path)
    predictions = read_predictions(tmp_path / "data/predictions", "parallelnet", LABELS)
    assert predictions["id"].tolist() == [row["id"] for row in rows]
    ids = [rows[place]["id"] for place in (5, 0, 3)]
    found = tasks(tmp_path / "data/sier", predictions, ids, figures=2)
    assert [(task.index, task.rows, task.payload.id) for task in found] == [
        (0, 1, rows[0]["id"]), (1, 1, rows[3]["id"]), (2, 1, rows[5]["id"]),
    ]  # fmt: skip
    assert [task.payload.figure for task in found] == [True, False, True]
    assert [task.payload.label for task in found] == [LABELS[rows[place]["label"]] for place in (0, 3, 5)]
    assert all(0.25 <= task.payload.score <= 1 for task in found)


def test_predictions_of_other_labels_are_refused(tmp_path: Path) -> None:
    write_project(tmp_path)
    with pytest.raises(UserError, match="without the columns id, label, p_anger, p_joy; run: dvc repro evaluate"):
        read_predictions(tmp_path / "data/predictions", "parallelnet", ("anger", "joy"))
