"""Training on planted data: the protocol, what is kept, and what a kill costs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback

from models.parallelnet.losses import CombinedLoss
from models.parallelnet.parallelnet import ParallelNet
from pipeline import train
from pipeline.engine import sealed
from pipeline.engine.environment import tracker_from_environment
from pipeline.engine.fingerprint import PROJECT
from pipeline.engine.local import LocalEngine
from pipeline.errors import UserError
from pipeline.frame.params import section
from pipeline.frame.stage import BaseParams, Context, Paths
from pipeline.networks import launch, trained
from pipeline.networks.build import build
from pipeline.networks.fold import fold_masks, make_trainer, plateau, train_fold
from pipeline.networks.inputs import Inputs, collate, open_inputs
from pipeline.networks.job import Job
from pipeline.networks.loading import expect_checkpoint
from pipeline.networks.params import TrainParams, read_models
from pipeline.networks.trainers import BalancedSampler, class_weights, last_checkpoint
from tests.builders_planted import LABELS, TINY_MODEL, TINY_TRAIN, write_planted
from tests.damage import Damage, empty, flip_bit
from tests.patience import HANG_SECONDS


def sections(train_changes: Mapping[str, Any] | None = None, **models: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "base": {"seed": 7, "labels": list(LABELS)},
        "train": {**TINY_TRAIN, **(train_changes or {})},
        "models": {name: {**TINY_MODEL, **changes} for name, changes in (models or {"net": {}}).items()},
    }


def context(root: Path, found: dict[str, Any], item: str = "net") -> Context:
    return Context(section(found, "base", BaseParams), Paths(root), LocalEngine(workers=1), item, found)


def job(found: dict[str, Any], folder: Path, fold: int = 0, repetition: int = 0) -> Job:
    base, protocol = section(found, "base", BaseParams), section(found, "train", TrainParams)
    return Job("net", read_models(found)["net"], protocol, base, repetition, fold, "cpu", folder)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("planted")
    write_planted(root)
    return root


@pytest.fixture(scope="module")
def inputs(planted: Path) -> Inputs:
    found = sections()
    return open_inputs("sier_train", section(found, "train", TrainParams).inputs, context(planted, found))


@pytest.fixture(scope="module")
def five_folds(planted: Path) -> Path:
    """The stage's outputs for forty rows and all five folds."""
    found = sections({"folds": [0, 1, 2, 3, 4], "epochs": 4})
    train.run(section(found, "train", TrainParams), context(planted, found))
    return planted


def test_every_row_is_held_out_once_and_by_the_network_that_did_not_see_it(five_folds: Path, inputs: Inputs) -> None:
    table = pq.read_table(five_folds / "data/checkpoints/net/out_of_fold.parquet").to_pandas()
    assert sorted(table["id"]) == sorted(inputs.rows["id"])
    folds = inputs.rows.set_index("id")["fold"]
    assert (folds[table["id"]].to_numpy() == table["fold"].to_numpy()).all()
    assert np.allclose(table[[f"p_{name}" for name in LABELS]].sum(axis=1), 1, atol=1e-6)
    training = json.loads((five_folds / "data/checkpoints/net/training.json").read_text())
    assert [(fold["fold"], fold["train_rows"], fold["validation_rows"]) for fold in training["runs"]] == [
        (fold, 32, 8) for fold in range(5)
    ]
    assert training["labels"] == list(LABELS)


def test_planted_labels_are_learnt(five_folds: Path) -> None:
    table = pq.read_table(five_folds / "data/checkpoints/net/out_of_fold.parquet").to_pandas()
    found = table[[f"p_{name}" for name in LABELS]].to_numpy().argmax(axis=1)
    assert (np.array(LABELS)[found] == table["label"]).mean() > 0.8


def test_the_network_that_is_kept_is_that_of_fold_0_in_its_best_epoch(five_folds: Path, inputs: Inputs) -> None:
    folder = five_folds / "data/checkpoints/net"
    net = ParallelNet.from_pretrained(folder).eval()
    rows = inputs.select(fold_masks(inputs.rows, 0)[1])
    batch = collate([rows[place] for place in range(len(rows))])
    with torch.no_grad():
        found = net(pixel_values=batch["pixel_values"], spectrogram=batch["spectrogram"]).logits.softmax(dim=1)
    table = pq.read_table(folder / "out_of_fold.parquet").to_pandas()
    kept = table.loc[table["fold"] == 0, [f"p_{name}" for name in LABELS]].to_numpy()
    assert np.allclose(found.numpy(), kept, atol=1e-5)
    first = json.loads((folder / "training.json").read_text())["runs"][0]
    losses = [epoch["validation_loss"] for epoch in first["history"]]
    assert first["best_epoch"] == 1 + int(np.argmin(losses))


def test_dvclive_has_a_step_for_each_epoch(five_folds: Path) -> None:
    first = json.loads((five_folds / "data/checkpoints/net/training.json").read_text())["runs"][0]
    curve = five_folds / "reports/curves/net/seed-0-fold-0/plots/metrics/validation_loss.tsv"
    rows = [line.split("\t") for line in curve.read_text().splitlines()]
    assert rows[0] == ["step", "validation_loss"]
    assert [int(step) for step, _ in rows[1:]] == [1, 2, 3, 4]
    assert [float(value) for _, value in rows[1:]] == pytest.approx(
        [epoch["validation_loss"] for epoch in first["history"]], abs=1e-5
    )


def test_a_further_fold_keeps_the_finished_ones(planted: Path, five_folds: Path) -> None:
    found = sections({"folds": [0, 1, 2, 3, 4], "epochs": 4})
    params = section(found, "train", TrainParams)
    results = list((planted / ".work" / "train.net").glob("*/seed-0-fold-*/run.json"))
    before = {path: path.stat().st_mtime_ns for path in results}
    assert len(before) == 5
    train.run(params, context(planted, found))
    assert {path: path.stat().st_mtime_ns for path in results} == before


def outputs(root: Path) -> dict[str, bytes]:
    folders = (root / "data/checkpoints/net", root / "reports/curves/net")
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("damage", "name"),
    [(empty, "net/model.safetensors"), (flip_bit, "net/model.safetensors"), (flip_bit, "out_of_fold.parquet"),
     (flip_bit, "run.json")],
)  # fmt: skip
def test_a_damaged_fold_is_trained_again_to_the_same_bytes(trained_once: Path, damage: Damage, name: str) -> None:
    before = outputs(trained_once)
    (damaged,) = (trained_once / ".work" / "train.net").glob(f"*/seed-0-fold-0/{name}")
    damage(damaged)
    found = sections({"epochs": 1})
    train.run(section(found, "train", TrainParams), context(trained_once, found))
    assert outputs(trained_once) == before


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("once")
    write_planted(root)
    found = sections({"epochs": 1})
    train.run(section(found, "train", TrainParams), context(root, found))
    return root


@pytest.mark.parametrize("name", ["model.safetensors", "out_of_fold.parquet", "config.json"])
def test_what_training_left_is_refused_if_it_has_changed(trained_once: Path, tmp_path: Path, name: str) -> None:
    checkpoints = shutil.copytree(trained_once / "data" / "checkpoints", tmp_path / "checkpoints")
    assert trained.read(checkpoints, "net", "sier", LABELS).first.ids
    flip_bit(checkpoints / "net" / name)
    with pytest.raises(UserError, match=rf"{name}: .*, expected the sha256 .*; run: dvc repro --single-item --force"):
        trained.read(checkpoints, "net", "sier", LABELS)
    with pytest.raises(UserError, match="expected"):
        expect_checkpoint(checkpoints / "net")


def checkpoint(folder: Path, step: int, best: int) -> Path:
    written = folder / f"checkpoint-{step}"
    written.mkdir(parents=True)
    state = {"best_model_checkpoint": str(folder / f"checkpoint-{best}")}
    (written / "trainer_state.json").write_text(json.dumps(state))
    (written / "optimizer.pt").write_bytes(bytes(100))
    sealed.seal(written)
    return written


@pytest.mark.parametrize(("damaged", "left"), [(None, 12), (8, 12), (12, 4), (4, None)])
def test_training_goes_on_from_a_checkpoint_that_is_whole_and_has_its_best_epoch(
    damaged: int | None, left: int | None, tmp_path: Path
) -> None:
    for step in (4, 8, 12):
        checkpoint(tmp_path, step, best=4)
    (tmp_path / "checkpoint-16").mkdir()  # torn
    if damaged:
        flip_bit(tmp_path / f"checkpoint-{damaged}" / "optimizer.pt")
    if damaged == 12:
        empty(tmp_path / "checkpoint-8" / "optimizer.pt")
    assert last_checkpoint(tmp_path) == (None if left is None else str(tmp_path / f"checkpoint-{left}"))
    assert not (tmp_path / "checkpoint-16").exists()


def test_a_net_reads_each_of_its_modalities(five_folds: Path, inputs: Inputs) -> None:
    """Shuffling either input lowers the accuracy of a network trained on labels that lie in both."""
    net = ParallelNet.from_pretrained(five_folds / "data/checkpoints/net").eval()
    rows = inputs.select(np.arange(len(inputs.rows)))
    batch = collate([rows[place] for place in range(len(rows))])

    def accuracy(**changed: torch.Tensor) -> float:
        given = {name: batch[name] for name in ("pixel_values", "spectrogram")} | changed
        with torch.no_grad():
            return float((net(**given).logits.argmax(dim=1) == batch["labels"]).float().mean())

    whole = accuracy()
    order = torch.roll(torch.arange(len(rows)), 1)  # labels go round, so every row gets another label's input
    assert whole > 0.9
    assert accuracy(pixel_values=batch["pixel_values"][order]) < whole - 0.05
    assert accuracy(spectrogram=batch["spectrogram"][order]) < whole - 0.05


@pytest.mark.parametrize(
    ("losses", "rates"),
    [
        # By hand after Keras' ReduceLROnPlateau with patience 2, min_delta 0.0001, cooldown 0: after the second epoch
        # that is no better by that the rate falls, and the waiting begins anew.
        ([1.0, 1.1, 1.2, 1.3, 1.4], [1, 1, 0.1, 0.1, 0.01]),
        ([1.0, 1.1, 0.9, 1.0, 0.95, 0.8], [1, 1, 1, 1, 0.1, 0.1]),
        ([1.0, 0.99995, 0.99992, 0.5], [1, 1, 0.1, 0.1]),
        ([1000.0, 999.99, 999.98, 999.97], [1, 1, 1, 1]),  # lower by more than that, though relatively by less
    ],
)
def test_the_learning_rate_falls_when_keras_lets_it_fall(losses: list[float], rates: list[float]) -> None:
    found = sections({"plateau_patience": 2, "plateau_factor": 0.1, "inputs": TINY_TRAIN["inputs"]})
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = ReduceLROnPlateau(optimizer, **plateau(section(found, "train", TrainParams)))
    seen = []
    for loss in losses:
        scheduler.step(loss)
        seen.append(optimizer.param_groups[0]["lr"])
    assert seen == pytest.approx(rates)


def test_the_papers_protocol_is_what_the_trainer_runs(inputs: Inputs, tmp_path: Path) -> None:
    paper = yaml.safe_load((PROJECT / "params.paper.yaml").read_text(encoding="utf-8"))
    found = sections({**paper["train"], "inputs": TINY_TRAIN["inputs"]})
    work = job(found, tmp_path)
    trainer = make_trainer(work, build(work.model, work.train, LABELS), inputs)
    trainer.create_optimizer_and_scheduler(num_training_steps=10)
    assert type(trainer.optimizer) is torch.optim.Adam
    assert {(group["lr"], group["weight_decay"]) for group in trainer.optimizer.param_groups} == {(8e-6, 0.0)}
    assert isinstance(trainer.lr_scheduler, ReduceLROnPlateau)
    assert trainer.lr_scheduler.factor == 0.1
    assert {(group["eps"], group["fused"]) for group in trainer.optimizer.param_groups} == {(1e-7, True)}
    assert trainer.args.bf16
    norms = [trainer.model.n1_image.norm, trainer.model.n2_image.norm, trainer.model.n2_speech.norm]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.01, 0.001)}
    (stopping,) = [
        callback for callback in trainer.callback_handler.callbacks if isinstance(callback, EarlyStoppingCallback)
    ]
    assert stopping.early_stopping_patience == 5
    assert (trainer.args.num_train_epochs, trainer.args.per_device_train_batch_size) == (30, 64)
    assert trainer.args.max_grad_norm == 0
    assert trainer.args.metric_for_best_model == "loss"
    assert trainer.loss == CombinedLoss(focal_weight=0.5, gamma=2.0, class_weights=None, alpha=0.25)
    assert paper["train"]["folds"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("changes", [{"mixed_precision": "bf16"}, {"balance": "class_weights"}, {"balance": "sampler"}])
def test_options_of_the_protocol_train(changes: dict[str, Any], inputs: Inputs, tmp_path: Path) -> None:
    found = sections({**changes, "epochs": 1})
    train_fold(job(found, tmp_path), inputs)
    plain = json.loads((tmp_path / "run.json").read_text())
    assert plain["epochs"] == 1
    assert plain["history"][0]["train_loss"] > 0


def test_a_tracker_gets_the_curves_of_each_training_and_changes_nothing(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, tracker in (("plain", "none"), ("first", "tensorboard"), ("second", "tensorboard")):
        monkeypatch.setenv("SIER_REPORT_TO", tracker)
        train_fold(job(sections({"epochs": 2}), tmp_path / name, fold=int(name == "second")), inputs)
    for path in ("run.json", "out_of_fold.parquet", "net/model.safetensors"):
        assert (tmp_path / "plain" / path).read_bytes() == (tmp_path / "first" / path).read_bytes()
    assert sorted(folder.name for folder in (tmp_path / "runs").iterdir()) == [
        "net-fold-0-seed-0", "net-fold-1-seed-0",
    ]  # fmt: skip
    board = EventAccumulator(str(tmp_path / "runs/net-fold-0-seed-0")).Reload()
    history = json.loads((tmp_path / "first/run.json").read_text())["history"]
    logged = [event.value for event in board.Scalars("eval/loss")]
    assert logged == pytest.approx([epoch["validation_loss"] for epoch in history])


@pytest.mark.parametrize(
    ("tracker", "line"),
    [
        ("wandbb", "SIER_REPORT_TO = wandbb: expected none or wandb or mlflow or tensorboard"),
        ("wandb", "SIER_REPORT_TO = wandb: the package is not installed; pip install wandb, or unset it"),
    ],
)
def test_a_tracker_that_is_not_there_is_one_line(
    tracker: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb").mkdir()  # as wandb itself leaves behind, and no package
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SIER_REPORT_TO", tracker)
    with pytest.raises(UserError, match=f"^{re.escape(line)}$"):
        tracker_from_environment()


def test_a_loss_that_is_no_number_is_one_line(inputs: Inputs, tmp_path: Path) -> None:
    found = sections({"learning_rate": 0.99, "epochs": 3})
    work = job(found, tmp_path)
    broken = inputs.folder / "spectrograms.npy"
    kept = broken.read_bytes()
    try:
        values = np.load(broken)
        values[:] = np.nan
        np.save(broken, values)
        fresh = Inputs(inputs.folder, inputs.rows, inputs.labels)
        with pytest.raises(
            UserError, match=r"^net, fold 0, seed 0: the loss is no number; lower train\.learning_rate$"
        ):
            train_fold(work, fresh)
    finally:
        broken.write_bytes(kept)
    assert not (tmp_path / "run.json").exists()


def test_what_cannot_be_trained_is_refused(inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^net, fold 5, seed 0: 40 rows to train on, 0 held out$"):
        train_fold(job(sections(), tmp_path, fold=5), inputs)
    with pytest.raises(UserError, match="fp16 needs SIER_DEVICE=cuda"):
        train_fold(job(sections({"mixed_precision": "fp16"}), tmp_path), inputs)
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(UserError, match="batch_size = 8: expected a multiple of the 3 processes"):
        train_fold(job(sections(), tmp_path), inputs)


def test_balanced_rows_are_even_and_the_same_in_the_same_epoch() -> None:
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    sampler = BalancedSampler(labels, seed=1)
    drawn = np.array(list(sampler))
    assert len(drawn) == len(sampler) == 1000
    counts = np.bincount(labels[drawn])
    assert (abs(counts - 1000 / 3) < 80).all()
    assert list(sampler) == drawn.tolist()
    sampler.set_epoch(1)
    assert list(sampler) != drawn.tolist()


def test_class_weights_are_inverse_to_frequency() -> None:
    assert class_weights(np.array([0, 0, 0, 1]), 3) == pytest.approx([4 / 6, 2.0, 1.0])
    assert class_weights(np.array([0, 1, 0, 1])) == pytest.approx([1.0, 1.0])


def test_rows_without_folds_follow_their_own_split(inputs: Inputs) -> None:
    rows = inputs.rows.assign(fold=-1, split=["train", "val", "test", "train"] * 10)
    train_rows, held_out = fold_masks(rows, 0)
    assert (train_rows.sum(), held_out.sum(), (train_rows & held_out).sum()) == (20, 10, 0)
    assert set(rows["split"][train_rows]) == {"train"}
    assert set(rows["split"][held_out]) == {"val"}


def test_a_batch_holds_what_the_rows_hold(inputs: Inputs) -> None:
    batch = next(iter(DataLoader(inputs.select(np.arange(40)), batch_size=40, collate_fn=collate)))
    assert batch["labels"].tolist() == inputs.rows["label"].tolist()


def stage(root: Path, **more: str) -> subprocess.Popen[bytes]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SIER_", "DVC_"))}
    environment |= {"PYTHONPATH": str(PROJECT), "SIER_WORKERS": "1", "SIER_THREADS": "1", **more}
    return subprocess.Popen([sys.executable, "-m", "pipeline.train", "net"], cwd=root, env=environment)


def test_a_killed_training_goes_on_to_the_same_weights_and_the_same_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fold 0 is labelled wrongly, so the best epoch comes early and the counter of early stopping runs on the way."""
    found = sections({"epochs": 40, "early_stopping_patience": 12, "learning_rate": 0.001, "plateau_patience": 3})
    for name in ("calm", "killed"):
        (tmp_path / name).mkdir()
        write_planted(tmp_path / name, wrong_in_fold_0=True)
        (tmp_path / name / "params.yaml").write_text(yaml.safe_dump(found))
    monkeypatch.chdir(tmp_path / "calm")
    train.run(section(found, "train", TrainParams), context(Path(), found))
    calm = json.loads(Path("data/checkpoints/net/training.json").read_text())["runs"][0]
    assert calm["stopped_early"]
    assert calm["epochs"] == calm["best_epoch"] + 12

    killed = tmp_path / "killed"
    process = stage(killed)
    middle = calm["best_epoch"] + 3
    deadline = time.monotonic() + HANG_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        states = killed.glob(".work/train.net/*/seed-0-fold-0/checkpoints/checkpoint-*/trainer_state.json")
        if any(int(path.parent.name.removeprefix("checkpoint-")) >= middle * 4 for path in states):
            process.send_signal(signal.SIGKILL)
        time.sleep(0.001)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "data/checkpoints").exists()
    assert stage(killed).wait() == 0

    assert outputs(killed) == outputs(tmp_path / "calm")
    assert len(outputs(killed)) > 8


def test_the_launchers_processes_share_a_fold(tmp_path: Path) -> None:
    write_planted(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(sections({"epochs": 3})))
    assert stage(tmp_path, SIER_ACCELERATE="--num_processes 2 --cpu").wait() == 0
    table = pq.read_table(tmp_path / "data/checkpoints/net/out_of_fold.parquet").to_pandas()
    found = np.array(LABELS)[table[[f"p_{name}" for name in LABELS]].to_numpy().argmax(axis=1)]
    assert len(table) == 8  # each row once, though two processes predicted them
    assert (found == table["label"]).mean() > 0.8


def test_a_launcher_that_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIER_ACCELERATE", "--no_such_option")
    with pytest.raises(UserError, match=r"^SIER_ACCELERATE = --no_such_option: accelerate launch ended with"):
        launch.launch(job(sections(), tmp_path))
    assert "no_such_option" in capfd.readouterr().err
