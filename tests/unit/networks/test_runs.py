"""Several folds and seeds, what they leave, which epoch is the best, and recordings that are cut."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from pipeline import train
from pipeline.engine.local import LocalEngine
from pipeline.errors import UserError
from pipeline.frame.params import section
from pipeline.frame.stage import BaseParams, Context, Paths, Report
from pipeline.networks import trained
from pipeline.networks.params import TrainParams
from pipeline.networks.trainers import best_epoch
from tests.builders_planted import LABELS, TINY_MODEL, TINY_TRAIN, write_planted

SEVERAL = {"seeds": [0, 3], "folds": [0, 1], "epochs": 1}


def run(root: Path, changes: Mapping[str, Any], **model: Any) -> Report:
    sections = {
        "base": {"seed": 7, "labels": list(LABELS)}, "train": {**TINY_TRAIN, **changes},
        "models": {"net": {**TINY_MODEL, **model}, "other": TINY_MODEL},
    }  # fmt: skip
    base = section(sections, "base", BaseParams)
    context = Context(base, Paths(root), LocalEngine(workers=1), "net", sections)
    return train.run(section(sections, "train", TrainParams), context)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    write_planted(root)
    return root


@pytest.fixture(scope="module")
def several(planted: Path) -> Path:
    run(planted, SEVERAL)
    return planted


def weights(folder: Path) -> np.ndarray:
    found = load_file(folder / "model.safetensors")
    return np.concatenate([found[name].ravel() for name in sorted(found) if "norm" not in name])


def test_every_run_leaves_its_network_its_rows_and_its_curve(several: Path) -> None:
    folder = several / "data/checkpoints/net"
    told = json.loads((folder / "training.json").read_bytes())
    assert [(one["seed"], one["fold"]) for one in told["runs"]] == [(0, 0), (0, 1), (3, 0), (3, 1)]
    further = [f"seed-{seed}-fold-{fold}" for seed, fold in ((0, 1), (3, 0), (3, 1))]
    assert sorted(path.name for path in (folder / "runs").iterdir()) == further
    curves = several / "reports/curves/net"
    assert sorted(path.name for path in curves.iterdir()) == ["seed-0-fold-0", *further]
    networks = [weights(folder), *(weights(folder / "runs" / name) for name in further)]
    for place, network in enumerate(networks):
        assert not any(np.array_equal(network, other) for other in networks[:place])
    left = trained.read(several / "data/checkpoints", "net", "sier", LABELS)
    assert [one.seed for one in left.held_out] == [0, 3]
    assert left.held_out[0].ids == left.held_out[1].ids
    assert not np.array_equal(left.held_out[0].probabilities, left.held_out[1].probabilities)
    assert [one.folder for one in left.runs] == [folder, *(folder / "runs" / name for name in further)]


def test_a_network_of_a_further_run_that_has_changed_is_refused(several: Path) -> None:
    path = several / "data/checkpoints/net/runs/seed-3-fold-1/model.safetensors"
    kept = path.read_bytes()
    path.unlink()  # it is linked to the one in .work
    path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    try:
        with pytest.raises(UserError, match=r"runs/seed-3-fold-1/model\.safetensors: .*expected the sha256"):
            trained.read(several / "data/checkpoints", "net", "sier", LABELS)
    finally:
        path.write_bytes(kept)


def test_a_further_seed_trains_what_is_missing_and_nothing_else(several: Path) -> None:
    results = {path: path.stat().st_mtime_ns for path in several.glob(".work/train.net/*/seed-*/run.json")}
    assert len(results) == 4
    report = run(several, {**SEVERAL, "further_seeds": {"net": [5], "other": [9]}})
    assert {path: path.stat().st_mtime_ns for path in results} == results
    seeds = [one["seed"] for one in json.loads((several / "data/checkpoints/net/training.json").read_bytes())["runs"]]
    assert seeds == [0, 0, 3, 3, 5, 5]
    assert sum(note.startswith("seed ") for note in report.notes) == 6


def test_only_the_first_network_is_kept_where_that_is_asked_for(planted: Path) -> None:
    run(planted, {**SEVERAL, "keep_networks": "first", "epochs": 2})
    folder = planted / "data/checkpoints/net"
    assert not (folder / "runs").exists()
    assert pq.read_table(folder / "out_of_fold.parquet")["seed"].unique().to_pylist() == [0, 3]
    assert [one.folder for one in trained.read(folder.parent, "net", "sier", LABELS).runs] == [folder, None, None, None]


@pytest.mark.parametrize("best_by", ["loss", "accuracy", "macro_f1"])
def test_the_epoch_that_is_kept_is_the_best_by_what_params_name(planted: Path, best_by: str) -> None:
    """Its network is the one that gave the answers of the rows held out."""
    run(planted, {"best_by": best_by, "epochs": 4, "learning_rate": 0.01})
    told = json.loads((planted / "data/checkpoints/net/training.json").read_bytes())
    (one,) = told["runs"]
    figures = [epoch[f"validation_{best_by}"] for epoch in one["history"]]
    best = min(figures) if best_by == "loss" else max(figures)
    assert one["best_epoch"] == 1 + figures.index(best)
    (found,) = trained.read(planted / "data/checkpoints", "net", "sier", LABELS).held_out
    accuracy = float((found.predicted == found.truth).mean())
    assert accuracy == pytest.approx(one["history"][one["best_epoch"] - 1]["validation_accuracy"])
    assert told["best_by"] == best_by


def test_the_best_of_equal_epochs_is_the_first() -> None:
    epochs = [
        {"epoch": 1, "validation_loss": 3.0, "validation_accuracy": 0.25},
        {"epoch": 2, "validation_loss": 2.0, "validation_accuracy": 0.5},
        {"epoch": 3, "validation_loss": 2.5, "validation_accuracy": 0.75},
        {"epoch": 4, "validation_loss": 2.0, "validation_accuracy": 0.75},
    ]
    assert best_epoch(epochs)["epoch"] == 2
    assert best_epoch(epochs, "accuracy")["epoch"] == 3


def test_recordings_that_are_cut_are_counted_and_too_many_are_refused(tmp_path: Path) -> None:
    write_planted(tmp_path)  # recordings of half a second
    short = {**TINY_TRAIN["inputs"], "duration_seconds": 0.25}
    with pytest.raises(UserError) as refused:
        run(tmp_path, {"inputs": short, "max_cut_share": 0.05})
    assert str(refused.value) == (
        "params.yaml: train.inputs.duration_seconds = 0.25: 100% of 40 recordings are longer and would be cut, "
        "expected at most 5% (train.max_cut_share); set it to 0.5"
    )
    report = run(tmp_path, {"inputs": short, "max_cut_share": 1.0, "epochs": 1})
    assert "40 of 40 recordings are longer than what the network hears, and are cut" in report.notes
    run(tmp_path, {"epochs": 1, "max_cut_share": 0.0})  # not longer, just as long


def test_soft_targets_are_learnt_and_the_same_rule_gives_the_same_network(tmp_path: Path) -> None:
    write_planted(tmp_path)  # .6 of the label and .2 of each other class
    run(tmp_path, {"epochs": 12, "learning_rate": 0.01, "best_by": "loss"}, targets="soft")
    (found,) = trained.read(tmp_path / "data/checkpoints", "net", "sier", LABELS).held_out
    assert (found.predicted == found.truth).mean() > 0.6
    history = json.loads((tmp_path / "data/checkpoints/net/training.json").read_bytes())["runs"][0]["history"]
    # No answer is better than the target itself, whose divergence is 0 and whose focal loss is
    # -.6 ln .6 * .4^2 - 2 * .2 ln .2 * .8^2 = .461, half of which counts; .2 more is a network that is sure.
    assert min(epoch["validation_loss"] for epoch in history) > 0.14
    rule = tmp_path / "data/labels/rule.json"
    before = len(list((tmp_path / ".work/train.net").iterdir()))
    rule.write_text(rule.read_text().replace("0.5", "0.55"))
    run(tmp_path, {"epochs": 1}, targets="soft")
    assert before == len(list((tmp_path / ".work/train.net").iterdir())) == 1  # of the other rule nothing is left
    rule.unlink()
    with pytest.raises(UserError, match=r"rule\.json: missing or damaged; run: dvc repro label"):
        run(tmp_path, {"epochs": 1}, targets="soft")


def test_a_first_best_epoch_and_a_class_that_is_never_named_are_told(tmp_path: Path) -> None:
    write_planted(tmp_path)
    notes = run(tmp_path, {"epochs": 1, "learning_rate": 1e-7}).notes
    assert "best epoch 1 of 1: the first, so that this network has learnt little;" in notes[0]
    assert notes[1].startswith("of the rows held out it calls none ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": []}, r"train\.seeds"),
        ({"seeds": [1, 1]}, "different seeds"),
        ({"seeds": [-1]}, r"train\.seeds"),
        ({"further_seeds": {"net": [0]}}, r"further_seeds\.net: different seeds, none of them of train\.seeds"),
        ({"further_seeds": {"nets": [4]}}, r"train\.further_seeds\.nets: expected a key of models"),
        ({"best_by": "f1"}, r"train\.best_by"),
        ({"keep_networks": "none"}, r"train\.keep_networks"),
        ({"max_cut_share": 1.5}, r"train\.max_cut_share"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(planted: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(planted, changes)
