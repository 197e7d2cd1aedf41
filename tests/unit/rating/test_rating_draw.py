"""Which rows are judged, and by whom in which order."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.rating import draw, turns
from pipeline.rating.conditions import BY_NAME, CONDITIONS, OVERALL, Condition
from pipeline.rating.turns import Task
from tests.builders_sier import LABELS, write_sier

IDS = ("a", "b", "c")


def rows(counts: list[int]) -> pd.DataFrame:
    return pd.DataFrame(
        [(f"{label}-{number}", label) for label, count in enumerate(counts) for number in range(count)],
        columns=["id", "label"],
    )


@given(st.lists(st.integers(0, 12), min_size=4, max_size=4), st.integers(1, 8), st.integers(0, 99))
def test_each_label_gets_as_many_rows_or_all_that_it_has(counts: list[int], per_class: int, seed: int) -> None:
    found = draw.balanced(rows(counts), LABELS, per_class, seed)
    assert len(set(found)) == len(found)
    assert Counter(int(key[0]) for key in found) == {
        label: min(count, per_class) for label, count in enumerate(counts) if count
    }


def test_the_draw_follows_from_the_seed_and_not_from_the_order_of_rows() -> None:
    frame = rows([30, 30, 30, 30])
    found = draw.balanced(frame, LABELS, 5, 1)
    assert draw.balanced(frame.sample(frac=1, random_state=3), LABELS, 5, 1) == found
    assert draw.balanced(frame, LABELS, 5, 2) != found
    # A larger draw holds the smaller one.
    assert set(found) < set(draw.balanced(frame, LABELS, 9, 1))


def test_items_are_the_rows_of_the_dataset(tmp_path: Path) -> None:
    written = {row["id"]: row for row in write_sier(tmp_path)}
    items = draw.draw(tmp_path / "data" / "sier", LABELS, 2, 0)
    assert Counter(item.label for item in items) == dict.fromkeys(LABELS, 2)
    for item in items:
        row = written[item.id]
        assert (item.label, item.text) == (LABELS[row["label"]], row["text"])
        assert (item.image, item.speech) == (row["image"]["bytes"], row["audio"]["bytes"])
    assert draw.load(tmp_path / "data" / "sier", LABELS, [items[3].id, "gone", items[0].id]) == [items[3], items[0]]


def test_a_digest_tells_every_part_of_an_item() -> None:
    item = draw.Item("1-0", "sad", "a text", b"picture", b"speech")
    others = [
        draw.Item("2-0", "sad", "a text", b"picture", b"speech"),
        draw.Item("1-0", "hate", "a text", b"picture", b"speech"),
        draw.Item("1-0", "sad", "a text.", b"picture", b"speech"),
        draw.Item("1-0", "sad", "a text", b"pictures", b"peech"),
    ]
    assert len({one.digest for one in [item, *others]}) == 5


def test_a_dataset_that_is_missing_or_has_more_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dvc repro assemble"):
        draw.draw(tmp_path / "data" / "sier", LABELS, 2, 0)
    write_sier(tmp_path)
    with pytest.raises(UserError, match=r"beyond the 2 of base\.labels"):
        draw.draw(tmp_path / "data" / "sier", LABELS[:2], 2, 0)


def asked(rater: str, readings: dict[str, list[tuple[int, str]]]) -> list[Task]:
    """All that a rater is asked, one after the other."""
    rated: set[tuple[str, str]] = set()
    found: list[Task] = []
    while True:
        task, progress = turns.next_task(IDS, rater, 0, rated, readings)
        assert progress.done == len(rated)
        assert (task is None) == (progress.ready == 0)
        if task is None:
            return found
        found.append(task)
        rated.add((task.id, task.condition))


def test_without_readings_nobody_hears_a_person_and_the_page_says_what_waits() -> None:
    found = asked("ada", {})
    assert len(found) == len(set(found)) == 3 * 3
    assert all(BY_NAME[task.condition].speech != "human" for task in found)
    assert turns.next_task(IDS, "ada", 0, (), {})[1] == turns.Progress(0, 9, 6)


def test_what_is_seen_or_heard_alone_comes_before_what_is_both() -> None:
    readings = {key: [(number, "eve")] for number, key in enumerate(IDS)}
    found = asked("ada", readings)
    assert set(found) == {
        Task(key, condition.name, IDS.index(key) if condition.speech == "human" else None)
        for key in IDS for condition in CONDITIONS
    }  # fmt: skip
    assert [BY_NAME[task.condition].both for task in found] == [False] * 9 + [True] * 6


def test_nobody_judges_a_row_that_he_has_read() -> None:
    readings = {"a": [(1, "ada")], "b": [(2, "ada"), (3, "eve")], "c": [(4, "eve"), (5, "kim")]}
    found = asked("ada", readings)
    assert {task.id for task in found} == {"c"}
    assert {task.reading for task in found} == {None, 4}


def test_raters_meet_the_rows_in_different_orders_each_always_in_the_same() -> None:
    orders = {name: asked(name, {}) for name in ("ada", "eve", "kim")}
    assert orders["ada"] == asked("ada", {})
    assert orders["ada"] != orders["eve"] != orders["kim"]


def test_a_text_is_read_once_and_first_by_whom_it_costs_least() -> None:
    rated = {("b", "image"), ("b", "synthetic_speech"), ("c", "image"), ("z", "image")}
    assert turns.next_text(IDS, "ada", 0, rated, {}) == "b"
    assert turns.next_text(IDS, "ada", 0, rated, {"b": [(1, "eve")]}) == "c"
    assert turns.next_text(IDS, "ada", 0, rated, {}, passed={"b", "c"}) == "a"
    assert turns.next_text(IDS, "ada", 0, rated, {key: [(1, "eve")] for key in IDS}) is None


def test_the_papers_overall_figures_are_the_means_of_its_classes_but_for_one() -> None:
    def mean(condition: Condition) -> float:
        return sum(condition.paper[label] for label in ("happy", "sad", "hate", "anger")) / 4

    differing = [one.symbol for one in CONDITIONS if mean(one) != pytest.approx(one.paper[OVERALL], abs=1e-4)]
    assert differing == ["A_hs-i"]
    assert mean(BY_NAME["human_speech_image"]) == pytest.approx(0.8116, abs=1e-4)
