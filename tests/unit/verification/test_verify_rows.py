"""What rows of real tables do is no fault; what contradicts them is, and only where enough is known."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.tweets.text import TextOptions, comparison_text, spoken_text
from pipeline.verification.rows import Source, check_clean, check_join, check_scores, check_splits

HERE = Path("data/clean")
OPTIONS = TextOptions(emoji="words", max_characters=280)


def clean(texts: list[str], groups: list[str]) -> pd.DataFrame:
    """Rows of one picture each, of different tweets."""
    count = len(texts)
    return pd.DataFrame(
        {
            "id": [f"{number}-1" for number in range(count)],
            "tweet_id": [str(number) for number in range(count)],
            "image_index": 1,
            "text": texts,
            "spoken_text": [spoken_text(text, OPTIONS) for text in texts],
            "sentiment": "neutral",
            "image_sha256": [f"{number:064x}" for number in range(count)],
            "group_id": groups,
        }
    )


def test_tweets_of_equal_emoji_may_be_in_different_groups() -> None:
    rows = clean(["\N{RED APPLE}", "\N{RED APPLE}"], ["0-1", "1-1"])
    assert rows["spoken_text"][0] == rows["spoken_text"][1]
    assert comparison_text(rows["text"][0]) == ""
    assert list(check_clean(HERE, rows)) == []


def test_what_is_spoken_alike_but_written_in_other_words_may_be_in_different_groups() -> None:
    rows = clean(["one \N{RED APPLE}", "one, red apple"], ["0-1", "1-1"])
    assert rows["spoken_text"][0] == rows["spoken_text"][1]
    assert list(check_clean(HERE, rows)) == []


def test_tweets_of_equal_words_must_not_be_in_different_groups() -> None:
    rows = clean(["One apple", "Two apples", "One apple https://t.co/x"], ["0-1", "1-1", "2-1"])
    (fault,) = check_clean(HERE, rows)
    assert fault.what == "row 0-1: another row of its text is in another group, and 1 more rows"
    assert list(check_clean(HERE, rows.assign(group_id=["0-1", "1-1", "0-1"]))) == []


@pytest.mark.parametrize(
    ("whole", "source_whole", "said"),
    [
        (
            True,
            True,
            ["1 rows of clean are neither here nor rejected, first a-1", "1 rows are not in clean, first d-1"],
        ),
        (False, True, ["1 rows are not in clean, first d-1"]),
        (True, False, ["1 rows of clean are neither here nor rejected, first a-1"]),
        (False, False, []),
    ],
)
def test_joins_say_nothing_of_rows_that_a_damaged_shard_may_hold(
    whole: bool, source_whole: bool, said: list[str]
) -> None:
    source = Source("clean", pd.Series(["a-1", "b-1", "c-1"]), whole=source_whole)
    found = check_join(HERE, pd.Series(["b-1", "d-1"]), ["c-1"], source, whole=whole)
    assert [fault.what for fault in found] == said


def test_a_row_that_is_also_a_reject_is_a_fault() -> None:
    (fault,) = check_join(HERE, pd.Series(["a-1"]), ["a-1"], Source("clean", pd.Series(["a-1"])))
    assert fault.what == "1 rows are both here and rejected, first a-1"


def test_a_group_that_is_torn_between_folds_is_a_fault() -> None:
    rows = pd.DataFrame({"id": ["a-1", "b-1"], "split": "train", "fold": [0, 1], "group_id": "a-1"})
    (fault,) = check_splits(HERE, rows)
    assert fault.what == "row a-1: its group is torn between several folds, and 1 more rows"
    assert list(check_splits(HERE, rows.assign(group_id=["a-1", "b-1"]))) == []


def test_only_a_teacher_that_keeps_what_is_outside_may_leave_probability_out(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"id": ["1-0", "2-0", "3-0"], "p_a": [0.5, 0.2, 0.7], "p_b": [0.5, 0.2, 0.7], "teacher_digest": "d"}
    )
    for card, wrong in (
        ({"digest": "d"}, "2-0: its probabilities do not sum to 1, and 1 more"),
        ({"digest": "d", "outside_classes": "renormalise"}, "2-0: its probabilities do not sum to 1, and 1 more"),
        ({"digest": "d", "outside_classes": "keep"}, "3-0: its probabilities do not sum to 1"),
    ):
        (tmp_path / "teacher.json").write_text(json.dumps(card))
        (fault,) = check_scores(Path("scores"), rows, tmp_path)
        assert wrong in fault.what
        assert ("more" in fault.what) == ("more" in wrong)
