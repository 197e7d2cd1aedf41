"""What makes a step of training faster: the Trainer does it, no result changes by it, and what cannot be is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from models.parallelnet.parallelnet import ParallelNet
from pipeline.engine.fingerprint import PROJECT
from pipeline.engine.local import LocalEngine
from pipeline.errors import UserError
from pipeline.frame.params import section
from pipeline.frame.stage import BaseParams, Context, Paths
from pipeline.networks import performance
from pipeline.networks.build import build
from pipeline.networks.fold import arguments, make_trainer, train_fold
from pipeline.networks.inputs import Inputs, open_inputs
from pipeline.networks.job import RESULT_FILE, Job
from pipeline.networks.params import PerformanceParams, TrainParams, read_models
from pipeline.networks.trainers import MOST_LOADERS, loaders
from tests.builders_planted import LABELS, TINY_MODEL, TINY_TRAIN, write_planted

ALL: dict[str, Any] = {"tf32": True, "channels_last": True, "fused_adam": True}


def job(folder: Path, **changes: Any) -> Job:
    found: dict[str, Any] = {
        "base": {"seed": 7, "labels": list(LABELS)}, "models": {"net": TINY_MODEL},
        "train": {**TINY_TRAIN, "epochs": 1, **changes},
    }  # fmt: skip
    base, protocol = section(found, "base", BaseParams), section(found, "train", TrainParams)
    return Job("net", read_models(found)["net"], protocol, base, 0, 0, "cpu", folder)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    root = tmp_path_factory.mktemp("planted")
    write_planted(root)
    planned = job(root)
    return open_inputs("sier_train", planned.train.inputs, Context(planned.base, Paths(root), LocalEngine(workers=1)))


def test_the_sample_keeps_what_torch_does_by_itself_and_the_papers_file_does_not() -> None:
    sample, paper = (
        yaml.safe_load((PROJECT / name).read_text(encoding="utf-8"))["train"]
        for name in ("params.yaml", "params.paper.yaml")
    )
    assert section({"train": sample}, "train", TrainParams).performance == PerformanceParams()
    assert sample["mixed_precision"] is None
    assert (paper["mixed_precision"], paper["performance"]) == ("bf16", {**ALL, "compile": False})


def test_it_is_what_the_trainer_is_given(inputs: Inputs, tmp_path: Path) -> None:
    for changes, layout in (({}, torch.contiguous_format), ({"performance": ALL}, torch.channels_last)):
        planned = job(tmp_path, **changes)
        trainer = make_trainer(planned, build(planned.model, planned.train, LABELS), inputs)
        trainer.create_optimizer_and_scheduler(num_training_steps=1)
        assert {group.get("fused") for group in trainer.optimizer.param_groups} == {True if changes else None}
        weights = [weight for weight in trainer.model.parameters() if weight.ndim == 4 and min(weight.shape) > 1]
        assert weights
        assert all(weight.is_contiguous(memory_format=layout) for weight in weights)
        assert trainer.args.tf32 is None  # of a cpu
        assert not trainer.args.torch_compile
    assert arguments(job(tmp_path, performance={"compile": True})).torch_compile


def test_layout_and_optimiser_change_the_last_bits_only(inputs: Inputs, tmp_path: Path) -> None:
    losses, weights = [], []
    for name, changes in (("plain", {}), ("fast", {"performance": ALL})):
        (tmp_path / name).mkdir()
        train_fold(job(tmp_path / name, **changes), inputs)
        (epoch,) = json.loads((tmp_path / name / RESULT_FILE).read_text())["history"]
        losses.append((epoch["train_loss"], epoch["validation_loss"]))
        net = ParallelNet.from_pretrained(tmp_path / name / "net")
        weights.append(net.head_mul[0].weight)
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    torch.testing.assert_close(weights[1], weights[0], atol=1e-3, rtol=0.05)


def test_what_cannot_be_computed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match=r"^train\.performance\.compile = true needs .* no-such-compiler was not found"):
        arguments(job(tmp_path, performance={"compile": True}))
    with pytest.raises(UserError, match="torch finds no such device"):
        performance.expect_device("cuda", None, "train")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Quadro P5000")
    monkeypatch.setattr(performance, "is_torch_bf16_gpu_available", lambda: False)
    with pytest.raises(UserError, match=r"^train\.mixed_precision = bf16: Quadro P5000 has no bfloat16; expected fp16"):
        performance.expect_device("cuda", "bf16", "train")
    performance.expect_device("cuda", "fp16", "train")


def test_an_unknown_switch_is_refused() -> None:
    with pytest.raises(UserError, match=r"train\.performance\.fused"):
        section({"train": {**TINY_TRAIN, "performance": {"fused": True}}}, "train", TrainParams)


@pytest.mark.parametrize(
    ("workers", "processes", "expected"), [("3", "1", 3), ("32", "1", MOST_LOADERS), ("32", "4", 2), ("2", "4", 1)]
)
def test_processes_that_read_rows_are_shared_among_those_that_train(
    workers: str, processes: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIER_WORKERS", workers)
    monkeypatch.setenv("WORLD_SIZE", processes)
    assert loaders() == expected
