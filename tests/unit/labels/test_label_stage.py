"""Stage `label` on small tables: what it says first, what it cannot measure, that `verify` finds the same labels."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import label
from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.labels import association, confounds
from pipeline.labels.association import Association
from pipeline.labels.rules import AppliedRule, LabelParams, Temperatures
from pipeline.labels.validity import Measure
from pipeline.verification.rows import check_labels
from tests import builders_labels as builder
from tests.builders_labels import CLASSES, REMAP, Scene, say, scene, write

PARAMS = LabelParams("max_probability", 0.5, REMAP)


@pytest.fixture(autouse=True)
def fewer_deals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(association, "DEALS", 199)


def labelled(root: Path, made: Scene, params: LabelParams = PARAMS) -> tuple[list[str], dict[str, Any]]:
    """The notes of the stage, and reports/label.json."""
    report = label.run(params, write(root, made))
    return list(report.notes), json.loads((root / "reports" / "label.json").read_text())


def who(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["of"], one["over"]) for one in metrics["validity"]["table"]]


def test_labels_that_go_with_the_sentiment_are_said_to_before_anything_else(tmp_path: Path) -> None:
    notes, metrics = labelled(tmp_path, scene())
    assert re.fullmatch(r"labels go with the texts' sentiment: V 0\.\d\d, by chance 0\.\d\d, p 0\.005", notes[0])
    assert notes[1].startswith("B-T4SA's sentiment was itself made by a model of the text")
    assert metrics["verdict"] == {"holds": True, "words": notes[0]}
    found = dict(zip(who(metrics), metrics["validity"]["table"], strict=True))
    assert found["speech teacher", "all rows"]["cramers_v"] == pytest.approx(1)
    assert found["VADER on the words as heard", "all rows"]["cramers_v"] == pytest.approx(1)
    assert found["picture teacher", "all rows"]["p_value"] > 0.01
    kept = found["labels", "kept rows"]
    assert kept["rows"] == metrics["kept"]
    assert kept["groups"] < kept["rows"]
    parts = [found[f"labels decided by {name}", "kept rows"]["rows"] for name in ("speech", "the picture")]
    assert sum(parts) == metrics["kept"]
    assert parts == [metrics["decided_by"]["speech"], metrics["decided_by"]["image"]]
    surest = found["speech teacher", "as many of the surest rows"]["rows"]
    assert surest == metrics["kept"] == found["rule log_pool", "as many of the surest rows"]["rows"]
    split = [found[f"rule {name}", "rows that it keeps"]["rows"] for name in ("agreement", "disagreement")]
    assert all(0 < rows < metrics["kept"] for rows in split)
    assert sum(split) == metrics["kept"]
    assert len(metrics["confounds"]) == 15


def test_a_label_that_the_speech_teacher_has_no_class_for_is_said_to_be_the_pictures(tmp_path: Path) -> None:
    three = [name for name in CLASSES if name != "disgust"]
    seen = [say("disgust", 0.9)] * 5 + [say("anger", 0.4)] * 7
    heard = [say(three[row % 3], 0.6, three) for row in range(12)]
    made = scene(12, speech=heard, speech_classes=three, image=seen)
    notes, metrics = labelled(tmp_path, made)
    assert metrics["decided_by_label"]["hate"] == {"speech": 0, "image": 5}
    said = "hate: decided by pictures alone, all 5 rows; the speech teacher names it in 0 of 12"
    assert said in metrics["decided_alone"] and said in notes
    for name, rows in metrics["decided_by_label"].items():
        assert sum(rows.values()) == metrics["labels"][name]
    assert all(line.startswith(("hate:", "anger:", "happy:", "sad:")) for line in metrics["decided_alone"])


def test_the_sample_says_that_its_validity_is_by_construction(tmp_path: Path) -> None:
    notes, _ = labelled(tmp_path, scene(origin="sample"))
    assert "(by construction)" in notes[0]
    assert notes[1].startswith("By construction: ")


def test_labels_that_follow_the_length_of_the_recordings_are_warned_of(tmp_path: Path) -> None:
    made = scene()
    longer = [CLASSES[int(place)] for place in pd.qcut(made.durations, 4, labels=False)]
    notes, metrics = labelled(tmp_path, replace(made, speech=[say(name, 0.9) for name in longer]))
    assert notes[0].startswith("WARNING: labels do not go with the texts' sentiment: V 0.")
    assert "; they go with the recording's duration: V 1.00, by chance 0." in notes[0]
    assert re.fullmatch(r"WARNING: one modality decides: speech, \d+% of the kept rows", notes[1])
    assert not metrics["verdict"]["holds"]


@pytest.mark.parametrize("sentiment", ["neutral", None])
def test_without_different_sentiments_validity_is_not_measured_and_all_else_is(
    tmp_path: Path, sentiment: str | None
) -> None:
    made = scene()
    notes, metrics = labelled(tmp_path, replace(made, sentiments=[sentiment] * len(made.sentiments)))
    assert notes[0].startswith("WARNING: labels and the texts' sentiment: not measured")
    assert {one["cramers_v"] for one in metrics["validity"]["table"]} == {None}
    assert metrics["kept"] > 60
    assert any(one["cramers_v"] is not None for one in metrics["confounds"])


def test_where_nobody_listened_nothing_is_said_of_words_as_heard(tmp_path: Path) -> None:
    _, metrics = labelled(tmp_path, scene(heard=False))
    assert "VADER on the text" in {of for of, _ in who(metrics)}
    assert "VADER on the words as heard" not in {of for of, _ in who(metrics)}


THREE = (*CLASSES, "neutral")


def neutral_scene(seed: int = 2) -> Scene:
    rng = np.random.default_rng(seed)
    speech = rng.dirichlet(np.full(5, 0.5), 60)
    speech[0] = say("neutral", 0.9, THREE)
    return scene(60, speech=speech.tolist(), speech_classes=THREE, image=rng.dirichlet(np.full(4, 0.5), 60).tolist())


def test_a_run_of_neutral_rows_only_is_refused_in_one_line(tmp_path: Path) -> None:
    made = scene(12, speech=[say("neutral", 0.99, THREE)] * 12, speech_classes=THREE, image=[say("anger", 0.5)] * 12)
    with pytest.raises(UserError) as caught:
        labelled(tmp_path, made, replace(PARAMS, neutral=("neutral",)))
    assert str(caught.value) == "label.threshold = 0.5: no row of 12 is kept; 12 are neutral: see label.neutral"


@pytest.mark.parametrize("rule", ["max_probability", "agreement", "disagreement", "log_pool"])
@pytest.mark.parametrize("weight", [0.3, 0.5, 1.0])
def test_verify_comes_to_the_same_labels_and_sees_where_one_is_another(
    tmp_path: Path, rule: str, weight: float
) -> None:
    params = LabelParams(rule, 0.4, REMAP, speech_weight=weight, neutral=("neutral",))  # type: ignore[arg-type]
    _, metrics = labelled(tmp_path, neutral_scene(), params)
    data = tmp_path / "data"
    said, speech, image = (
        shards.read_parts(data / name, shards.read_manifest(data / name, "label")).to_pandas()
        for name in ("labels", "scores/speech", "scores/image")
    )
    assert (said["reason"] == "neutral").any()
    assert 0 < metrics["kept"] < 60
    applied = AppliedRule(**asdict(params), temperatures=Temperatures())
    assert list(check_labels(data, said, speech, image, applied, whole=True)) == []
    place = int(np.flatnonzero(said["kept"])[0])
    for column, value in (
        ("label", "sad" if said["label"][place] != "sad" else "happy"), ("kept", False), ("confidence", 0.41),
        ("decided_by", "speech" if said["decided_by"][place] == "image" else "image"), ("reason", "neutral"),
    ):  # fmt: skip
        damaged = said.copy()
        damaged.loc[place, column] = value
        (fault,) = check_labels(data, damaged, speech, image, applied, whole=True)
        assert fault.what.startswith(f"row {said['id'][place]}: {column} is ")


def test_a_class_that_one_teacher_has_alone_is_no_label_of_a_pool(tmp_path: Path) -> None:
    known = tuple(name for name in CLASSES if name != "disgust")
    made = scene(60, speech=[say("anger", 0.6, known)] * 60, speech_classes=known, image=[say("disgust", 0.9)] * 60)
    notes, metrics = labelled(tmp_path, made, replace(PARAMS, rule="log_pool", threshold=0.0))
    assert metrics["labels"]["hate"] == 0
    assert "log_pool knows no disgust, which one teacher has alone" in notes


def eight() -> pd.DataFrame:
    """Each a tweet of its own."""
    return pd.DataFrame({
        "id": [f"{row}-0" for row in range(8)], "group_id": range(8), "duration_seconds": [4, 1, 3, 2, 8, 5, 7, 6],
        "spoken_text": ["a!" * (row + 1) for row in range(8)], "voice": ["x", "y"] * 4,
    })  # fmt: skip


def test_confounds_worked_by_hand(tmp_path: Path) -> None:
    rows, said = eight(), np.array(["a"] * 4 + ["b"] * 4)
    write(tmp_path, scene(8, per_tweet=1))  # amplitudes .5, .25, .125, .0625, and again
    everybody = {"labels": (said, np.ones(8, dtype=bool)), "some": (said, np.arange(8) % 4 < 2)}
    found = {
        (one["confound"], one["of"]): one
        for one in confounds.confound_table(rows, tmp_path / "data" / "speech", everybody, Measure(rows["group_id"], 1))
    }
    assert found["duration", "labels"]["cramers_v"] == pytest.approx(1)  # 1 to 4 seconds are a, 5 to 8 are b
    assert found["characters", "labels"]["cramers_v"] == pytest.approx(1)  # 2, 4, ..., 16
    assert found["punctuation", "labels"]["cramers_v"] == pytest.approx(1)
    assert found["voice", "labels"]["cramers_v"] == pytest.approx(0)  # two of each with a, two with b
    assert found["loudness", "labels"]["cramers_v"] == pytest.approx(0)  # each quarter once with a and once with b
    assert (found["voice", "some"]["rows"], found["voice", "some"]["groups"]) == (4, 4)


def test_a_number_that_is_the_same_everywhere_is_not_measured(tmp_path: Path) -> None:
    rows = eight().assign(duration_seconds=2.0, voice="x")
    write(tmp_path, scene(8, per_tweet=1))
    said = {"labels": (np.array(["a", "b"] * 4), np.ones(8, dtype=bool))}
    found = confounds.confound_table(rows, tmp_path / "data" / "speech", said, Measure(rows["group_id"], 1))
    assert [one["cramers_v"] is None for one in found] == [True, False, True, False, False]


def test_of_many_voices_the_rare_ones_are_one_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confounds, "VOICES", 1)
    rows = eight().assign(voice=["x", "x", "x", "x", "y", "z", "u", "v"])
    write(tmp_path, scene(8, per_tweet=1))
    seen: list[set[float]] = []

    class Seen(Measure):
        def __call__(self, dealt: Any, kept: Any, chosen: Any) -> Association:
            seen.append(set(dealt))
            return super().__call__(dealt, kept, chosen)

    said = {"labels": (rows["voice"], np.ones(8, dtype=bool))}
    confounds.confound_table(rows, tmp_path / "data" / "speech", said, Seen(rows["group_id"], 1))
    assert sorted(map(len, seen)) == [2, 4, 4, 4, 4]


def test_loudness_is_the_root_mean_square_of_recordings(tmp_path: Path) -> None:
    write(tmp_path, scene(8, per_tweet=1))
    found = confounds.loudness_db(tmp_path / "data" / "speech")
    assert [found[f"{row}-0"] for row in range(4)] == pytest.approx([-6.02, -12.04, -18.06, -24.08], abs=0.01)


def test_equal_tables_give_equal_reports(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert labelled(tmp_path / "a", scene()) == labelled(tmp_path / "b", scene())
    assert tuple(REMAP.values()) == builder.LABELS
