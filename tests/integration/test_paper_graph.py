"""`params.paper.yaml`, as a user with a GPU would run it, on the sample's corpora.

Only amounts (rows, epochs, folds) are smaller, and small networks of random weights stand in a cache of the Hub where
large ones would be downloaded to: no line of that path runs for the first time on a user's machine.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml
from safetensors.torch import save_file

from models.parallelnet.backbone_architectures import bare_backbone
from models.weights.backbones import GOOGLENET_URL
from tests import hub_cache
from tests.builders_nets import with_small_backbones
from tests.project import HERE, Project, new_project

PAPER = "params.paper.yaml"
BACKBONE = "test_efficientnet"
AMOUNTS: Mapping[str, Any] = {
    "clean.shard_rows": 7,
    "synthesize.recognition.share": 0.3,
    "score.speech.batch_size": 4,
    "assemble.shard_rows": 5,
    "train.folds": [0, 1],
    "train.further_seeds": {"parallelnet": [1]},
    "train.epochs": 1,
    "train.batch_size": 4,
    "evaluate.bootstrap_samples": 100,
    "explain.figures": 1,
    "explain.figure_method": "level",  # exact values cost 512 passes through the network
    "explain.corpus_rows": 2,
    "explain.times": 1,
}
# One network of each kind of stage and source of weights; all others are made and run by the tests of networks.
TRAINED = ("parallelnet", "ser_only", "inception_3a", "parallelnet_sentiment")


def paper() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((HERE / PAPER).read_text(encoding="utf-8"))
    return values


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the Hub, and, in the same folder, of torch."""
    folder = tmp_path_factory.mktemp("hub")
    googlenet = folder / "hub" / "checkpoints" / GOOGLENET_URL.rpartition("/")[2]
    googlenet.parent.mkdir(parents=True)
    torch.save(bare_backbone("googlenet_3a").state_dict(), googlenet)
    name = timm.get_pretrained_cfg(BACKBONE).hf_hub_id
    state = timm.create_model(BACKBONE).state_dict()
    hub_cache.put(folder, name, lambda place: save_file(state, place / "model.safetensors"))
    return folder


@pytest.fixture(scope="module")
def paper_build(tiny_build: Project, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("paper") / "project"
    project = new_project(
        root, {}, HF_HUB_CACHE=str(cache), HF_HUB_OFFLINE="1", TORCH_HOME=str(cache), SIER_WORKERS="1"
    )
    shutil.copy(root / PAPER, root / "params.yaml")
    corpora = {
        f"acquire.{corpus}.path": str(tiny_build.root / "data" / "corpora" / corpus / "files")
        for corpus in ("b_t4sa", "iemocap", "fi")
    }
    models = {name: with_small_backbones(paper()["models"][name], BACKBONE) for name in TRAINED}
    project.set_params({**AMOUNTS, **corpora, "models": models})
    outs = project.build()
    assert {f"data/checkpoints/{name}" for name in TRAINED} | {"reports/index.html"} <= set(outs)
    assert [out for out in outs if not (project.root / out).exists()] == []
    return project


def test_every_stage_of_the_paper_runs(paper_build: Project) -> None:
    found = json.loads((paper_build.root / "reports" / "evaluate.json").read_bytes())
    assert set(found["models"]) == set(TRAINED)
    assert found["origin"] == "local copy"
    training = json.loads((paper_build.root / "data" / "checkpoints" / "parallelnet" / "training.json").read_bytes())
    assert [(run["seed"], run["fold"]) for run in training["runs"]] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_it_has_the_sections_of_the_sample_and_only_other_values() -> None:
    with (HERE / "params.yaml").open(encoding="utf-8") as file:
        sample = yaml.safe_load(file)
    assert list(paper()) == list(sample)
    assert set(sample["models"]) - {"parallelnet_words"} <= set(paper()["models"])  # which goes beyond the paper


def test_it_has_every_choice_of_section_4_3_2() -> None:
    """As the section lists them, by what their parameters say and not by their names."""
    fixed = {"rows": "sier", "modalities": "both", "fusion_op": "multiply", "freeze_backbone": False}
    found = {
        (model["fusion"], model["image_backbone"]["name"], model["speech_backbone"]["name"])
        for model in paper()["models"].values()
        if fixed.items() <= model.items()
    }
    same = (
        "vgg16", "vgg19", "resnet34", "resnet50", "resnet101", "googlenet_3a", "googlenet_4a", "mobilenetv1_100",
        "densenet121",
    )  # fmt: skip
    efficientnet = {(fusion, "efficientnet_b0", "efficientnet_b0") for fusion in (1, 2, 3)}
    assert found == {(3, "vgg19", "vgg16"), *((3, name, name) for name in same), *efficientnet}
    (added,) = (model for model in paper()["models"].values() if model["fusion_op"] == "weighted_add")
    assert {**added, "fusion_op": "multiply"} == paper()["models"]["parallelnet"]
