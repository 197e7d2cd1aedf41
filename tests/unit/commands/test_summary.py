from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands import summary
from pipeline.commands.command import run_command
from pipeline.errors import UserError

METRICS: dict[str, Any] = {
    "clean": {"rows_in": 300, "rejected": {"image_truncated": 12, "text_empty": 8}},
    "synthesize": {"rejected": {"speech_too_long": 2}},
    "train_teacher_speech": {"held_out": {"accuracy": 0.8, "protocol": "leave one session out"}},
    "train_teacher_image": {"held_out": {"accuracy": 0.8375, "protocol": "80/5/15 stratified"}},
    "label": {
        "rows_in": 200,
        "kept": 150,
        "share_decided_by_speech": 0.4,
        "validity": {
            "note": "measured",
            "all": {"rows": 150, "cramers_v": 0.314, "low": 0.25, "high": 0.4, "by_chance": 0.1},
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
        "rows in      300",
        "  rejected       12  image_truncated (clean)",
        "  rejected        8  text_empty (clean)",
        "  rejected        2  speech_too_long (synthesize)",
        "  dropped        50  by the label rule, 25% of 200 scored",
        "kept         150",
        "  anger          30  train 21, test 9",
        "  happy          60  train 42, test 18",
        "  hate           20  train 14, test 6",
        "  sad            40  train 28, test 12",
        "decided by   speech 60 (40%), image 90 (60%)",
        "teacher      speech: accuracy 80.0% (leave one session out)",
        "teacher      image: accuracy 83.8% (80/5/15 stratified)",
        "validity     Cramer's V 0.31 (0.25 to 0.40; by chance 0.10) with the texts' sentiment,",
        "             measured",
        "networks     accuracy on test rows, 95 % interval",
        "  parallelnet              60.0%  50.0% to 70.0%, 45 rows of sier",
        "  sentiment               100.0%  90.0% to 100.0%, 9 rows of clean",
        "  largest class of clean   35.0%",
        "  largest class of sier    40.0%",
        "explained    parallelnet, 20 rows: of what moves an answer, pictures make up",
        "             70.0% (60.0% to 80.0%), speech the rest; for what is absent: zero + silence",
        "dataset      data/sier",
        "tables       reports/table_2.md, reports/table_3.md",
        "figures      data/explanations/figures",
        "page         reports/index.html",
    ]


@pytest.mark.parametrize(
    ("share", "first"),
    [
        (0.95, "WARNING      one modality decides: speech, 95% of the kept rows"),
        (0.05, "WARNING      one modality decides: image, 95% of the kept rows"),
        (0.9, "rows in      300"),
        (0.1, "rows in      300"),
    ],
)
def test_a_modality_that_decides_more_than_nine_tenths_is_the_first_line(
    tmp_path: Path, share: float, first: str
) -> None:
    label = {"share_decided_by_speech": share}
    assert summary.summarise(written(tmp_path, label=label))[0] == first


def test_validity_that_is_not_defined_is_left_out(tmp_path: Path) -> None:
    validity = {"note": "measured", "all": {"rows": 1, "cramers_v": None, "low": None, "high": None}}
    found = summary.summarise(written(tmp_path, label={"validity": validity}))
    assert not [line for line in found if "validity" in line or "measured" in line]


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
