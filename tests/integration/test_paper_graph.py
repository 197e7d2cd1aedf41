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
import yaml
from safetensors.torch import save_file

from tests import hub_cache
from tests.project import HERE, Project, new_project

PAPER = "params.paper.yaml"
BACKBONE = "test_efficientnet"
AMOUNTS: Mapping[str, Any] = {
    "clean.shard_rows": 7,
    "synthesize.recognition.share": 0.3,
    "score.speech.batch_size": 4,
    "assemble.shard_rows": 5,
    "train.folds": [0, 1],
    "train.epochs": 1,
    "train.batch_size": 4,
    "evaluate.bootstrap_samples": 100,
    "explain.figures": 1,
    "explain.figure_method": "level",  # exact values cost 512 passes through the network
    "explain.corpus_rows": 2,
    "explain.times": 1,
}
# One network of each kind of stage; all others are made and run by the tests of networks.
TRAINED = ("parallelnet", "ser_only", "parallelnet_sentiment")


def paper() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((HERE / PAPER).read_text(encoding="utf-8"))
    return values


def with_small_backbones(model: dict[str, Any]) -> dict[str, Any]:
    small = {side: {**model[side], "name": BACKBONE} for side in ("image_backbone", "speech_backbone")}
    return {**model, **small, "n1_channels": [4], "code_size": 16, "head_size": 16}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    name = timm.get_pretrained_cfg(BACKBONE).hf_hub_id
    state = timm.create_model(BACKBONE).state_dict()
    hub_cache.put(folder, name, lambda place: save_file(state, place / "model.safetensors"))
    return folder


@pytest.fixture(scope="module")
def paper_build(tiny_build: Project, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("paper") / "project"
    project = new_project(root, {}, HF_HUB_CACHE=str(cache), HF_HUB_OFFLINE="1", SIER_WORKERS="1")
    shutil.copy(root / PAPER, root / "params.yaml")
    corpora = {
        f"acquire.{corpus}.path": str(tiny_build.root / "data" / "corpora" / corpus / "files")
        for corpus in ("b_t4sa", "iemocap", "fi")
    }
    models = {name: with_small_backbones(paper()["models"][name]) for name in TRAINED}
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
    assert [run["fold"] for run in training["runs"]] == AMOUNTS["train.folds"]


def test_it_has_the_sections_of_the_sample_and_only_other_values() -> None:
    with (HERE / "params.yaml").open(encoding="utf-8") as file:
        sample = yaml.safe_load(file)
    assert list(paper()) == list(sample)
    assert set(sample["models"]) - {"parallelnet_words"} <= set(paper()["models"])  # which goes beyond the paper
