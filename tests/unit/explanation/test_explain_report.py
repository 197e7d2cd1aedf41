"""Figures of hand-made explanations, worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.explanation.summary import MEANING, REPORTED, TARGETS, WEIGHTING, report_on
from tests.builders_explain import params


def explanation(image: float, speech: float, predicted: str = "sad", **changes: Any) -> dict[str, Any]:
    total = abs(image) + abs(speech)
    curves = [
        {
            "modality": modality, "kind": kind, "order": order, "shares": np.array([0.0, 0.5, 1.0]),
            "values": np.array([1.0, 1.0 + sign * first, 1.0 + sign]),
        }
        for modality in ("image", "speech")
        for kind, sign in (("deletion", -1), ("insertion", 1))
        for order, first in (("map", 0.9), ("random", 0.5), ("control", 0.1))
    ]  # fmt: skip
    return {
        "id": "1-1", "method": "level", "image_baseline": "zero", "speech_baseline": "silence", "label": "sad",
        "predicted": predicted, "explained": predicted, "residual": 1e-6, "max_difference": 2e-6, "image_value": image,
        "speech_value": speech, "segments_silenced": 2, "share_silenced": 0.25,
        "image_share": abs(image) / total if total else None, "speech_share": abs(speech) / total if total else None,
        "synergy": 0.5, "image_values": [image], "speech_values": [speech], "interactions": None, "curves": curves,
        **changes,
    }  # fmt: skip


def report(rows: list[dict[str, Any]], tmp_path: Path, **changes: Any) -> tuple[dict[str, Any], list[str]]:
    one = {"image_baselines": ["zero"], "speech_baselines": ["silence"], **changes}
    frame = pd.DataFrame(rows, columns=[*REPORTED, *WEIGHTING])
    frame["weight"], frame["group_id"] = frame["weight"].fillna(1.0), frame["group_id"].fillna(frame.index.to_series())
    notes = report_on(frame, params(**one), {"model": "parallelnet"}, tmp_path)
    found: dict[str, Any] = json.loads((tmp_path / "explain.json").read_text())
    return found, notes


def test_shares_are_means_over_rows_by_predicted_label(tmp_path: Path) -> None:
    rows = [explanation(3, -1), explanation(1, 1), explanation(-1, 3, predicted="happy"), explanation(0, 0)]
    shares = report(rows, tmp_path)[0]["baselines"]["zero + silence"]["modality_share"]
    assert shares["all"]["image"]["mean"] == pytest.approx(0.5)
    assert shares["all"]["image"]["rows"] == 3  # where nothing moves the answer there is nothing to share
    assert shares["sad"]["image"]["mean"] == pytest.approx(0.625)
    assert shares["sad"]["image"]["standard_deviation"] == pytest.approx(0.125 * np.sqrt(2), abs=1e-6)
    assert shares["sad"]["image"]["quartiles"] == pytest.approx([0.5625, 0.625, 0.6875])
    assert shares["happy"]["speech"] == {
        "rows": 1, "groups": 1, "mean": 0.75, "low": None, "high": None, "standard_deviation": None,
        "quartiles": [0.75] * 3,
    }  # fmt: skip


def test_a_row_counts_as_often_as_the_test_split_has_its_kind(tmp_path: Path) -> None:
    rows = [explanation(3, -1, weight=30.0), explanation(1, 1, weight=10.0)]
    found, _ = report(rows, tmp_path)
    share = found["baselines"]["zero + silence"]["modality_share"]["all"]["image"]
    assert share["mean"] == pytest.approx((30 * 0.75 + 10 * 0.5) / 40)
    line = (tmp_path / "plots/deletion_image.csv").read_text().splitlines()[2]
    assert line.endswith(",2")


def test_rows_of_a_group_are_one_observation(tmp_path: Path) -> None:
    rows = [explanation(3, 1, group_id="a"), explanation(1, 1, group_id="b")]
    apart = report(rows, tmp_path)[0]["baselines"]["zero + silence"]["modality_share"]["all"]["image"]
    twice = report(rows * 2, tmp_path)[0]["baselines"]["zero + silence"]["modality_share"]["all"]["image"]
    assert (apart["rows"], twice["rows"], twice["groups"]) == (2, 4, 2)
    assert (twice["low"], twice["high"]) == pytest.approx((apart["low"], apart["high"]))


def test_synergy_is_set_against_what_the_modalities_are_worth(tmp_path: Path) -> None:
    rows = [explanation(3, -1, synergy=-2.0), explanation(1, 1, synergy=1.0), explanation(0, 0, synergy=0.0)]
    rows.append(explanation(3, 1, method="exact", interactions=np.array([0.5, -1.5]), curves=[]))
    found = report(rows, tmp_path)[0]["baselines"]["zero + silence"]
    assert found["synergy"]["mean"] == pytest.approx(-1 / 3, abs=1e-6)
    assert (found["synergy_ratio"]["rows"], found["synergy_ratio"]["mean"]) == (2, 0.5)
    assert (found["interaction_strength"]["rows"], found["interaction_strength"]["mean"]) == (1, 2.0)


def test_areas_and_what_maps_have_over_controls(tmp_path: Path) -> None:
    found, notes = report([explanation(1, 1), explanation(2, 1)], tmp_path)
    image = found["baselines"]["zero + silence"]["faithfulness"]["image"]
    # Half of the way at once, in two steps: (0 + 2 * first + 1) / 4.
    for order, first in (("map", 0.9), ("random", 0.5), ("control", 0.1)):
        assert image["deletion"][order]["mean"] == pytest.approx(-(2 * first + 1) / 4)
        assert image["insertion"][order]["mean"] == pytest.approx((2 * first + 1) / 4)
    assert image["deletion"]["map_minus_random"]["high"] == pytest.approx(-0.2)
    assert image["insertion"]["map_minus_control"]["low"] == pytest.approx(0.4)
    assert sum("better than both controls" in note for note in notes) == 2
    assert all("not better" not in note for note in notes)


def test_maps_that_are_no_better_are_called_so(tmp_path: Path) -> None:
    rows = [explanation(1, 1), explanation(1, 1)]
    for row in rows:
        for curve in row["curves"]:
            curve["values"] = np.array([1.0, 0.5, 0.0])
    _, notes = report(rows, tmp_path)
    assert sum("not better than both controls" in note for note in notes) == 2


def test_plots_have_a_line_per_order_and_a_bar_per_label(tmp_path: Path) -> None:
    report([explanation(3, 1), explanation(1, 1, predicted="happy")], tmp_path, deletion_steps=4)
    lines = (tmp_path / "plots/deletion_image.csv").read_text().splitlines()
    assert lines[0] == "series,share,change,rows"
    assert lines[1:6] == [
        '"map, zero + silence",0.0,0.0,2',
        '"map, zero + silence",0.25,-0.45,2',
        '"map, zero + silence",0.5,-0.9,2',
        '"map, zero + silence",0.75,-0.95,2',
        '"map, zero + silence",1.0,-1.0,2',
    ]
    assert len(lines) == 1 + 3 * 5
    bars = (tmp_path / "plots/modality_share.csv").read_text().splitlines()
    assert bars[0] == "series,explained,image_share,low,high,rows"
    assert [bar.split(",")[1] for bar in bars[1:]] == ["all", "happy", "sad"]
    assert bars[3].startswith("zero + silence,sad,0.75,")


def test_what_is_silenced_is_counted_over_rows_that_are_heard(tmp_path: Path) -> None:
    rows = [
        explanation(1, 1, weight=3.0), explanation(1, 1, segments_silenced=0, share_silenced=0.0),
        explanation(1, 0, segments_silenced=0, share_silenced=None),
    ]  # fmt: skip
    found = report(rows, tmp_path, percentile=20.0)[0]["baselines"]["zero + silence"]["silenced"]
    assert (found["percentile"], found["rows_by_segments"]) == (20.0, {"0": 1, "2": 1})
    assert (found["share"]["rows"], found["share"]["mean"]) == (2, pytest.approx(0.75 * 0.25))
    assert "silenced" not in report(rows[2:], tmp_path)[0]["baselines"]["zero + silence"]


def test_sentences_name_what_is_explained(tmp_path: Path) -> None:
    rows = [explanation(3, 1, predicted="happy", explained="sad")]
    found, notes = report(rows, tmp_path, target="labelled")
    assert set(found["baselines"]["zero + silence"]["modality_share"]) == {"all", "sad"}
    assert found["explained"] == TARGETS["labelled"]
    said = "against zero + silence: 75.0% of the output for the row's label rests on the picture, the rest on speech"
    assert notes[0] == said
    assert "of the answer rests on" in report(rows, tmp_path)[1][0]


def test_each_figure_is_explained_in_a_sentence(tmp_path: Path) -> None:
    found, _ = report([explanation(1, 1), explanation(1, 2)], tmp_path)
    assert found["meaning"] == MEANING
    assert found["largest_residual"] == 1e-6
    assert {"modality_share", "silenced", "synergy", "synergy_ratio"} <= set(
        found["baselines"]["zero + silence"]
    ) & set(MEANING) | {"faithfulness"}
