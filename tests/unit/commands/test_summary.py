from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands import summary
from pipeline.commands.command import run_command
from pipeline.errors import UserError

ASSOCIATION = ("cramers_v", "by_chance", "p_value")
METRICS: dict[str, Any] = {
    "clean": {
        "rows_in": 300,
        "rejected": {"image_truncated": 12, "text_empty": 8},
        "text_rules": {"links": 0.61, "emoji": 0.08, "money": 0.004, "cut": 0.002},
    },
    "synthesize": {"rejected": {"speech_too_long": 2}},
    "train_teacher_speech": {
        "shown": {
            "accuracy": 0.8,
            "protocol": "leave one session out",
            "rows": 1200,
            "low": 0.74,
            "high": 0.85,
            "commonest_class": 0.25,
        }
    },
    "train_teacher_image": {
        "shown": {
            "accuracy": 0.8375,
            "protocol": "5 folds",
            "rows": 96,
            "low": 0.75,
            "high": 0.9,
            "commonest_class": 0.3,
        }
    },
    "label": {
        "rows_in": 200,
        "kept": 150,
        "share_decided_by_speech": 0.4,
        "decided_alone": ["hate: decided by pictures alone, all 20 rows"],
        "verdict": {"holds": True, "words": "labels go with something"},
        "agreement": {"all_rows": {"share": 0.37, "by_chance": 0.356, "cohen_kappa": 0.009}},
        "validity": {
            "note": "Measured",
            "table": [
                {
                    "of": "labels",
                    "over": "kept rows",
                    "rows": 150,
                    "cramers_v": 0.314,
                    "by_chance": 0.1,
                    "p_value": 0.001,
                },
                {"of": "speech teacher", "over": "all rows", "rows": 200, **dict.fromkeys(ASSOCIATION)},
                {"of": "speech teacher", "over": "as many of the surest rows", "rows": 9, **dict.fromkeys(ASSOCIATION)},
            ],
        },
    },
    "assemble": {
        "rows": 150,
        "labels": {"anger": 30, "happy": 60, "hate": 20, "sad": 40},
        "splits": {
            "train": {"anger": 21, "happy": 42, "hate": 14, "sad": 28},
            "test": {"anger": 9, "happy": 18, "hate": 6, "sad": 12},
        },
        "decided_by": {"speech": 60, "image": 90},
    },
    "explain": {
        "model": "parallelnet",
        "target": "predicted",
        "rows": 20,
        "baselines": {
            "zero + silence": {"modality_share": {"all": {"image": {"mean": 0.7, "low": 0.6, "high": 0.8}}}},
            "blur + mean": {},
        },
    },
    "evaluate": {
        "models": {
            "parallelnet": {
                "rows": "sier",
                "test": {"rows": 45, "accuracy": 0.6, "intervals": {"accuracy": [0.5, 0.7]}},
            },
            "sentiment": {"rows": "clean", "test": {"rows": 9, "accuracy": 1.0, "intervals": {"accuracy": [0.9, 1.0]}}},
        },
        "without_training": {
            "clean": {"majority_class": {"accuracy": 0.35}},
            "sier": {"majority_class": {"accuracy": 0.4}},
        },
    },
}


def written(folder: Path, **changes: dict[str, Any]) -> Path:
    for name, metrics in METRICS.items():
        (folder / f"{name}.json").write_text(json.dumps({**deepcopy(metrics), **changes.get(name, {})}))
    return folder


def test_the_summary_goes_from_rows_in_to_kept_rows(tmp_path: Path) -> None:
    assert summary.summarise(written(tmp_path)) == [
        "labels go with something",
        "Measured",
        "rows in      300",
        "  rejected       12  image_truncated (clean)",
        "  rejected        8  text_empty (clean)",
        "  rejected        2  speech_too_long (synthesize)",
        "  dropped        50  by the label rule, 25% of 200 scored",
        "texts        changed for the voice by links 61%, emoji 8%; by 2 other rules in less than 1% each",
        "kept         150",
        "  anger          30  train 21, test 9",
        "  happy          60  train 42, test 18",
        "  hate           20  train 14, test 6",
        "  sad            40  train 28, test 12",
        "decided by   speech 60 (40%), image 90 (60%)",
        "             hate: decided by pictures alone, all 20 rows",
        "teacher      speech: accuracy 80.0% (74% to 85%, 1,200 rows; commonest class 25%; leave one session out)",
        "teacher      image: accuracy 83.8% (75% to 90%, 96 rows; commonest class 30%; 5 folds)",
        "agreement    37%, by chance 36%, Cohen's kappa 0.01 of all scored rows",
        "validity     with the texts' sentiment",
        "  labels                        V 0.31, by chance 0.10, p 0.001, 150 rows: kept rows",
        "  speech teacher                not measured (one class or one group only), 200 rows: all rows",
        "networks     accuracy on test rows, against pseudo-labels or sentiment, with 95 % intervals",
        "  parallelnet              60.0%  (50.0% to 70.0%, 45 rows of sier; commonest class 40.0%)",
        "  sentiment               100.0%  (90.0% to 100.0%, 9 rows of clean; commonest class 35.0%)",
        "explained    parallelnet, 20 rows: 70.0% (60.0% to 80.0%) of its answer rests on the picture,",
        "             the rest on speech, by Shapley values against zero + silence",
        "dataset      data/sier",
        "tables       reports/table_2.md, reports/table_3.md",
        "figures      data/explanations/figures",
        "page         reports/index.html",
    ]


def test_what_other_settings_change_is_shown_while_the_labels_are_the_same(tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "manifest.jsonl").write_text("{}")
    changed = {"rows": 3, "share": 0.02, "low": 0.01, "high": 0.05}
    after = {"cramers_v": 0.3, "by_chance": 0.1, "p_value": 0.001}
    record = {
        "name": "a",
        "changed": changed,
        "kept": {"both": 150},
        "dropped": 4,
        "gained": 5,
        "validity": {"after": after},
    }
    report = {"labels_sha256": hashlib.sha256(b"{}").hexdigest(), "variants": [record]}
    (written(tmp_path) / "stability.json").write_text(json.dumps(report))
    lines = summary.summarise(tmp_path, labels)
    start = lines.index("stability    of rows that both keep, labels that other settings change")
    assert lines[start + 1] == (
        "  a                         2.0% (1.0% to 5.0%) of 150 labels differ, 4 dropped, 5 gained; "
        "V 0.30, by chance 0.10, p 0.001"
    )
    (labels / "manifest.jsonl").write_text("{} ")
    stale = "stability    stability.json tells of other labels than data/labels; run: sier stability"
    assert stale in summary.summarise(tmp_path, labels)


def test_figures_of_another_run_are_named_and_left_out(tmp_path: Path) -> None:
    (written(tmp_path) / "evaluate.json").unlink()
    moved = dict.fromkeys(("evaluate", "train@a", "train@b", "train@c", "explain"), "data/sier has been made anew")
    lines = summary.summarise(tmp_path, stale={"label": "params.yaml: label has changed", **moved})
    assert lines[:2] == ["rows in      300", "  rejected       12  image_truncated (clean)"]
    assert not any(line.startswith(("networks", "explained", "agreement", "validity", "  dropped")) for line in lines)
    assert lines[-5:] == [
        "dataset      data/sier",
        "page         reports/index.html",
        "left out     as it is not of this run; run: dvc repro",
        "  label: params.yaml: label has changed",
        "  evaluate, explain, train of 3 networks: data/sier has been made anew",
    ]


def test_labels_that_go_with_nothing_and_a_modality_that_decides_most_are_the_first_lines(tmp_path: Path) -> None:
    label = {"share_decided_by_speech": 0.29, "verdict": {"holds": False, "words": "labels go with nothing"}}
    assert summary.summarise(written(tmp_path, label={**METRICS["label"], **label}))[:3] == [
        "WARNING: labels go with nothing", "WARNING: one modality decides: image, 71% of the kept rows", "Measured",
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(METRICS))
@pytest.mark.parametrize("text", [None, "{", ""])
def test_metrics_that_are_missing_or_damaged_are_named(tmp_path: Path, name: str, text: str | None) -> None:
    path = written(tmp_path) / f"{name}.json"
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as caught:
        summary.summarise(tmp_path)
    assert str(caught.value) == f"{path}: missing or damaged; run: dvc repro"


def test_the_command_prints_the_lines_or_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command("summary", []) == 1
    assert capsys.readouterr() == ("", "summary: error: reports/clean.json: missing or damaged; run: dvc repro\n")
    Path("reports").mkdir()
    written(Path("reports"))
    assert run_command("summary", []) == 0
    found = capsys.readouterr()
    assert found.out.splitlines() == summary.summarise(Path("reports"))
    assert found.err == ""
