"""Charts: what they tell, and what they may not crowd."""

from __future__ import annotations

import json

import pytest

from pipeline.reporting.charts import Axis, Measured, Style, chart, interval_chart

SHARE, ROWS = Axis("share", percent=True), Axis("rows")


def test_a_chart_tells_its_numbers_and_says_what_its_colours_mean() -> None:
    lines = {"a": [(0.0, 1.0), (0.5, 2.0)], "b & <c>": [(0.5, 1234.0)]}
    found = chart("A title", lines, SHARE, ROWS, Style(marked=(0.5, "chosen")))
    assert found.columns == ("share", "a", "b & <c>")
    assert found.rows == [("0.0%", "1", "–"), ("50.0%", "2", "1,234")]
    assert [(key.name, key.series) for key in found.legend] == [("a", True), ("b & <c>", True), ("chosen", False)]
    assert found.svg.startswith('<svg aria-hidden="true"')
    assert "var(--series-1)" in found.svg
    assert ">share</text>" in found.svg
    assert found == chart("A title", lines, SHARE, ROWS, Style(marked=(0.5, "chosen")))


def test_a_name_of_a_series_stays_text() -> None:
    found = chart("Panels", {f"<b>{name}": [(0.0, 1.0)] for name in "abcd"}, SHARE, ROWS)
    assert "<b>a" not in found.svg
    assert "&lt;b&gt;a" in found.svg


def test_more_than_three_lines_become_panels_that_name_them() -> None:
    lines = {name: [(0.0, 1.0), (1.0, 2.0)] for name in ("w", "x", "y", "z")}
    found = chart("Many", lines, SHARE, ROWS)
    assert found.legend == []
    assert found.columns == ("share", "w", "x", "y", "z")
    assert all(f">{name}</text>" in found.svg for name in lines)
    assert len(chart("Three", dict(list(lines.items())[:3]), SHARE, ROWS).legend) == 3
    with pytest.raises(ValueError, match="panel p: 4 lines; at most 3"):
        chart("Crowded", {"p": lines, "q": {}}, SHARE, ROWS)


def test_panels_share_a_legend_and_a_pointer_finds_every_point() -> None:
    panels = {name: {"map": [(0.0, 0.0), (1.0, -1.0)], "random": [(0.0, 0.0)]} for name in ("zero", "blur")}
    found = chart("Deletion", panels, SHARE, ROWS, Style(marks=False))
    assert [key.name for key in found.legend] == ["map", "random"]
    assert found.columns == ("share", "zero: map", "zero: random", "blur: map", "blur: random")
    targets = [mark for mark in json.dumps(found.spec).split('"name": ') if "targets" in mark]
    assert targets
    assert '"tooltip"' in json.dumps(found.spec)


def test_a_bin_of_a_histogram_is_pointed_at_in_its_middle() -> None:
    found = chart("Bins", {"a": [(0.0, 3.0), (0.5, 4.0)]}, SHARE, ROWS, Style(steps=True))
    assert [row["middle"] for row in found.spec["data"][0]["values"]] == [0.25, 0.75]


def test_intervals_stand_with_their_runs_and_what_they_are_read_against() -> None:
    measured = [Measured("net", 0.5, 0.25, 0.75, (0.4, 0.6), "57 rows"), Measured("other", 0.25)]
    found = interval_chart("Accuracy", measured, SHARE, (0.3, "commonest: 30%"))
    assert found.rows == [("net", "50.0%", "25.0% to 75.0%", "40.0%, 60.0%", "57 rows"), ("other", "25.0%", *"–––")]
    assert [key.name for key in found.legend] == ["single runs", "commonest: 30%"]
    assert [key.name for key in interval_chart("A", measured[1:], SHARE, (0.0, "none")).legend] == ["none"]
