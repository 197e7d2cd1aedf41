"""Features of frozen backbones in training: made once, shared, believed by their hash, and without another result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from models.errors import ModelError
from models.parallelnet.networks import N2
from models.parallelnet.parallelnet import ParallelNet
from pipeline import train
from pipeline.engine import shards
from pipeline.engine.fingerprint import PROJECT
from pipeline.engine.local import LocalEngine
from pipeline.frame.params import section
from pipeline.frame.stage import BaseParams, Context, Paths
from pipeline.networks import features
from pipeline.networks.build import build
from pipeline.networks.features import open_with_features
from pipeline.networks.inputs import Inputs, collate
from pipeline.networks.job import Job
from pipeline.networks.params import TrainParams, read_models
from tests.builders_planted import LABELS, TINY_MODEL, TINY_TRAIN, write_planted
from tests.damage import flip_bit
from tests.patience import finish

ROWS = 40
BACKBONE = "test_efficientnet"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two files of a backbone's weights."""
    folder = tmp_path_factory.mktemp("weights")
    paths = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        paths.append(folder / f"{seed}.safetensors")
        save_file(timm.create_model(BACKBONE, pretrained=False).state_dict(), paths[-1])
    return paths


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    write_planted(tmp_path, ROWS)
    return tmp_path


def model(weights: Path, **changes: Any) -> dict[str, Any]:
    backbone = {"name": BACKBONE, "pretrained": True, "weights": str(weights)}
    frozen = {"image_backbone": backbone, "speech_backbone": backbone, "freeze_backbone": True, "learn_colours": False}
    return {**TINY_MODEL, **frozen, **changes}


def sections(models: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "base": {"seed": 7, "labels": list(LABELS)},
        "train": {**TINY_TRAIN, "cache_features": True, **changes},
        "models": dict(models),
    }


def context(root: Path, found: dict[str, Any], item: str = "net") -> Context:
    return Context(section(found, "base", BaseParams), Paths(root), LocalEngine(workers=1), item, found)


def opened(root: Path, net: dict[str, Any], **changes: Any) -> Inputs:
    found = sections({"net": net}, **changes)
    base, protocol = section(found, "base", BaseParams), section(found, "train", TrainParams)
    job = Job("net", read_models(found)["net"], protocol, base, 0, 0, "cpu", root / "job")
    return open_with_features(job, context(root, found))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of each batch that goes through any backbone in this process."""
    calls: list[int] = []
    work = N2.features

    def counting(self: N2, pictures: torch.Tensor) -> torch.Tensor:
        calls.append(len(pictures))
        return work(self, pictures)

    monkeypatch.setattr(N2, "features", counting)
    return calls


def trained(root: Path, name: str) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    """Weights of fold 0, and the curve of every fold."""
    folder = root / "data" / "checkpoints" / name
    folds = json.loads((folder / "training.json").read_text())["runs"]
    return load_file(folder / "model.safetensors"), [epoch for fold in folds for epoch in fold["history"]]


def test_training_on_kept_features_gives_the_same_network_and_runs_the_backbones_once(
    planted: Path, weights: list[Path], runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # All batches are of one size, of which the last bits of a feature depend; Adam makes them larger in every step.
    monkeypatch.setattr(features, "BATCH_ROWS", TINY_TRAIN["batch_size"])
    networks = {"net": model(weights[0]), "other": model(weights[0], head_size=20, modalities="image")}
    results = {}
    for kept in (False, True):
        found = sections(networks, cache_features=kept, folds=[0, 1])
        runs.clear()
        report = train.run(section(found, "train", TrainParams), context(planted, found))
        results[kept] = trained(planted, "net")
        if kept:
            assert sum(runs) == 2 * ROWS  # pictures and speech, in both folds and all epochs
            assert report.notes[-1].endswith("run once, not in every epoch: image and speech")
            train.run(section(found, "train", TrainParams), context(planted, found, "other"))
            assert sum(runs) == 2 * ROWS  # pictures are those of the first network
        else:
            assert sum(runs) >= 2 * 2 * 3 * ROWS
            assert not list(planted.glob(".work/features*"))
    (plain, curves), (spared, spared_curves) = results[False], results[True]
    assert plain.keys() == spared.keys()
    for name, tensor in plain.items():
        torch.testing.assert_close(spared[name], tensor, atol=1e-6, rtol=1e-5, msg=name)
    assert len(curves) == len(spared_curves) == 2 * 3
    for one, other in zip(curves, spared_curves, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_features_of_a_row_are_those_of_the_network_and_come_with_its_row(planted: Path, weights: list[Path]) -> None:
    net_params = model(weights[0])
    inputs = opened(planted, net_params)
    found = sections({"net": net_params})
    net = build(read_models(found)["net"], section(found, "train", TrainParams), LABELS).eval()
    for place in (0, 17, ROWS - 1):
        item = inputs.select([place])[0]
        batch = collate([item])
        for modality, pictures in (
            ("image", batch["pixel_values"]),
            ("speech", net.grey_to_colour(batch["spectrogram"])),
        ):
            n2 = getattr(net, f"n2_{modality}")
            kept = item[f"{modality}_features"]
            assert (kept.dtype, kept.shape) == (np.float32, n2.feature_shape)
            with torch.no_grad():
                np.testing.assert_allclose(kept, n2.features(pictures)[0].numpy(), atol=1e-4, rtol=1e-4)


def test_a_tower_of_pictures_is_kept_too_and_its_network_learns_and_loads(
    planted: Path, weights: list[Path], runs: list[int], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "tower.safetensors")
    tower = {"name": "test_vit", "pretrained": True, "weights": str(tmp_path / "tower.safetensors")}
    found = sections({"net": model(weights[0], image_backbone=tower)}, epochs=2)
    train.run(section(found, "train", TrainParams), context(planted, found))
    assert sum(runs) == 2 * ROWS
    state = load_file(tmp_path / "tower.safetensors")
    net = ParallelNet.from_pretrained(planted / "data" / "checkpoints" / "net")
    own = net.n2_image.backbone.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in own.items())


@pytest.mark.parametrize(
    "changes",
    [{"freeze_backbone": False}, {"fusion": 1}, {"fusion": 2}, {"modalities": "speech", "learn_colours": True}],
)
def test_nothing_is_kept_where_something_learns_before_the_features(
    changes: dict[str, Any], planted: Path, weights: list[Path]
) -> None:
    assert not opened(planted, model(weights[0], **changes)).features
    assert not list(planted.glob(".work/features*"))


def test_random_weights_and_a_learnt_convolution_leave_their_modality_out(planted: Path, weights: list[Path]) -> None:
    random = {"name": BACKBONE, "pretrained": False, "weights": None}
    assert list(opened(planted, model(weights[0], learn_colours=True)).features) == ["image_features"]
    assert list(opened(planted, model(weights[0], image_backbone=random)).features) == ["speech_features"]


def test_a_damaged_file_is_made_again_to_the_same_bytes(planted: Path, weights: list[Path], runs: list[int]) -> None:
    path = opened(planted, model(weights[0])).features["image_features"]
    whole = path.read_bytes()
    assert sorted(other.name for other in path.parent.iterdir()) == ["features.npy", "seal.json"]
    opened(planted, model(weights[0]))
    assert sum(runs) == 2 * ROWS
    flip_bit(path)
    assert opened(planted, model(weights[0])).features["image_features"] == path
    assert path.read_bytes() == whole
    assert sum(runs) == 3 * ROWS


def test_other_weights_and_other_inputs_have_other_features(planted: Path, weights: list[Path]) -> None:
    first, second = (opened(planted, model(path)).features["image_features"] for path in weights)
    assert first.is_file()  # a network that has it may be training
    assert not np.array_equal(np.load(first), np.load(second))
    smaller = opened(planted, model(weights[1]), inputs={**TINY_TRAIN["inputs"], "image_size_px": 64})
    assert np.load(smaller.features["image_features"]).shape != np.load(first).shape
    assert not second.exists()  # of inputs that are no more


def test_after_a_kill_only_the_missing_parts_are_made(
    planted: Path, weights: list[Path], runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "PART_ROWS", 16)
    image = model(weights[0], modalities="image")
    script = f"""
import os, signal
from pathlib import Path
from pipeline.networks import features
from tests.unit.networks import test_features as t
features.PART_ROWS = 16
work = features.Extractor.__call__
def noting(self, task):
    if task.index == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    print("part", task.index, flush=True)
    return work(self, task)
features.Extractor.__call__ = noting
t.opened(Path({str(planted)!r}), {image!r})
"""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        output, _ = finish(process)
    assert (process.returncode, output.split("\n")) == (-signal.SIGKILL, ["part 0", "part 1", ""])
    resumed = np.load(opened(planted, image).features["image_features"])
    assert sum(runs) == ROWS - 2 * 16
    undisturbed = planted / "undisturbed"
    write_planted(undisturbed, ROWS)
    assert np.array_equal(resumed, np.load(opened(undisturbed, image).features["image_features"]))


def test_a_worker_makes_a_part_by_itself(planted: Path, weights: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "PART_ROWS", 16)
    inputs = opened(planted, model(weights[0], modalities="image"))
    whole = np.load(inputs.features["image_features"])
    backbone = read_models(sections({"net": model(weights[0])}))["net"].image_backbone
    worker = features.Extractor(inputs.folder, "image", backbone, (32, 32), "cpu")
    part = worker(shards.Task(2, 8, range(32, 40))).rows["features"].to_pylist()
    assert b"".join(part) == whole[32:].tobytes()


def test_missing_weights_are_one_line(planted: Path, weights: list[Path]) -> None:
    packaged = {"name": "test_resnet", "pretrained": True, "weights": None}
    with pytest.raises(ModelError, match="test_resnet: no packaged weights") as caught:
        opened(planted, model(weights[0], image_backbone=packaged))
    assert "\n" not in str(caught.value)
