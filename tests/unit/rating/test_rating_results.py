"""Table 1 from ratings: hand-worked, against scipy and against a published example."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pipeline.rating import results
from pipeline.rating.conditions import CONDITIONS, OVERALL

LABELS = ("anger", "happy", "hate", "sad")


def frame(*rows: tuple[str, str, str, str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["rater", "id", "condition", "label", "answer"], dtype=object)


def column(ratings: pd.DataFrame, name: str = "image") -> results.Column:
    return next(found for found in results.table(ratings, LABELS) if found.condition.name == name)


# Anger: ada names 1 of 2, eve 1 of 1: (1/2 + 1) / 2 = 3/4. Happy: 1 of 1 by ada: 1. Hate: 0 of 1 and 1 of 1: 1/2.
# Sad: eve names 0 of 2 and skips one: 0. Overall (3/4 + 1 + 1/2 + 0) / 4 = 9/16.
HAND_WORKED = frame(
    ("ada", "1", "image", "anger", "anger"), ("ada", "2", "image", "anger", "hate"),
    ("eve", "1", "image", "anger", "anger"), ("ada", "3", "image", "happy", "happy"),
    ("ada", "4", "image", "hate", "sad"), ("eve", "4", "image", "hate", "hate"),
    ("eve", "5", "image", "sad", "anger"), ("eve", "6", "image", "sad", "happy"), ("eve", "7", "image", "sad", None),
    ("ada", "1", "human_speech", "anger", "anger"),
)  # fmt: skip


def test_the_table_is_as_worked_by_hand() -> None:
    found = column(HAND_WORKED)
    accuracies = {name: cell.accuracy for name, cell in found.cells.items() if cell}
    assert accuracies == pytest.approx({"anger": 0.75, "happy": 1.0, "hate": 0.5, "sad": 0.0, OVERALL: 9 / 16})
    assert (found.ratings, found.rows, found.raters, found.skipped) == (8, 6, 2, 1)
    # Anger: row 1 weighs 1/4 + 1/2, row 2 weighs 1/4: 1 / (9/16 + 1/16) = 1.6 rows.
    anger = found.cells["anger"]
    assert anger is not None
    assert (anger.low, anger.high) == results.interval(0.75, 1.6)
    assert anger.ratings == 3
    # Overall: weights 3/16, 1/16 | 1/4 | 1/4 | 1/8, 1/8.
    overall = found.cells[OVERALL]
    assert overall is not None
    weights = np.array([3 / 16, 1 / 16, 1 / 4, 1 / 4, 1 / 8, 1 / 8])
    assert (overall.low, overall.high) == pytest.approx(results.interval(9 / 16, 1 / np.square(weights).sum()))
    assert overall.ratings == 8


def test_a_condition_without_answers_has_none_and_overall_waits_for_every_class() -> None:
    heard = column(HAND_WORKED, "human_speech")
    assert heard.cells["anger"] is not None
    assert heard.cells["sad"] is None
    assert heard.cells[OVERALL] is None
    empty = column(HAND_WORKED, "synthetic_speech")
    assert set(empty.cells.values()) == {None}
    assert (empty.ratings, empty.alpha) == (0, None)
    assert all(set(one.cells.values()) == {None} for one in results.table(frame(), LABELS))


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_whole_rows_is_clopper_and_pearsons(counts: tuple[int, int]) -> None:
    right, rows = counts
    exact = binomtest(right, rows).proportion_ci(0.95, method="exact")
    assert results.interval(right / rows, rows) == pytest.approx((exact.low, exact.high), abs=1e-9)


@given(st.floats(0, 1), st.floats(1, 500))
def test_the_interval_holds_the_accuracy_and_narrows_with_more_rows(accuracy: float, rows: float) -> None:
    low, high = results.interval(accuracy, rows)
    assert 0 <= low <= accuracy + 1e-9
    assert accuracy - 1e-9 <= high <= 1
    more_low, more_high = results.interval(accuracy, 4 * rows)
    assert more_high - more_low <= high - low + 1e-9


def test_many_raters_of_one_row_count_as_one_row() -> None:
    crowd = frame(*((f"r{number}", "1", "image", "sad", "sad") for number in range(40)))
    found = column(crowd).cells["sad"]
    assert found is not None
    assert (found.low, found.high) == pytest.approx(results.interval(1.0, 1.0))


# Units x coders of Krippendorff's "Computing Krippendorff's Alpha-Reliability" (2011), example C; nominal alpha 0.743.
KRIPPENDORFF = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def test_alpha_is_that_of_krippendorffs_example() -> None:
    ratings = frame(
        *(
            (f"coder {coder}", f"unit {unit}", "image", "1", answer)
            for coder, line in enumerate(KRIPPENDORFF.strip().splitlines())
            for unit, answer in enumerate(line.split())
            if answer != "."
        )
    )
    assert results.alpha(ratings, ("1", "2", "3", "4", "5")) == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        # Two rows, agreed on: observed disagreement 0.
        ([("1", "sad"), ("1", "sad"), ("2", "hate"), ("2", "hate")], 1.0),
        # Two rows, never agreed: observed 1; of the pairs of 4 values 2 sad + 2 hate 8 in 12 differ: 1 - 1 / (8/12).
        ([("1", "sad"), ("1", "hate"), ("2", "sad"), ("2", "hate")], -0.5),
        ([("1", "sad"), ("2", "hate")], None),  # nobody judged the same row
        ([("1", "sad"), ("1", "sad")], None),  # one answer only: agreement by chance is certain
        # The row with a single answer says nothing about agreement.
        ([("1", "sad"), ("1", "sad"), ("2", "hate"), ("2", "hate"), ("3", "anger")], 1.0),
    ],
)
def test_alpha_is_as_worked_by_hand(answers: list[tuple[str, str]], expected: float | None) -> None:
    ratings = frame(*((f"r{place}", key, "image", "sad", answer) for place, (key, answer) in enumerate(answers)))
    found = results.alpha(ratings, LABELS)
    assert found is None if expected is None else found == pytest.approx(expected)


def test_the_text_has_a_line_for_each_label_with_the_papers_figures_below() -> None:
    lines = results.render(results.table(HAND_WORKED, LABELS), LABELS).splitlines()
    assert lines[0].split() == [condition.symbol for condition in CONDITIONS]
    anger = next(place for place, line in enumerate(lines) if line.startswith("anger"))
    low, high = results.interval(0.75, 1.6)
    assert f"75.0 [{100 * low:.1f}, {100 * high:.1f}]" in lines[anger]
    assert lines[anger + 1].split() == ["paper", "70.3", "82.8", "85.9", "82.2", "84.2"]
    assert next(line for line in lines if line.startswith("ratings")).split() == ["ratings", "8", "0", "1", "0", "0"]
    foreign = ["joy", "fear"]
    lines = results.render(results.table(frame(("ada", "1", "image", "joy", "joy")), foreign), foreign).splitlines()
    assert lines[2].split() == ["paper", "-", "-", "-", "-", "-"]
