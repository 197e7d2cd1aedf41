"""`params.open.yaml`, as a user with a GPU would run it, on tiny corpora in the layouts that people download.

Only amounts (rows, epochs, folds) are smaller, and small networks of random weights stand in a cache of the Hub where
large ones would be downloaded to.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from pipeline.frame.params import section
from pipeline.teachers.params import SECTION, expect_consistent
from tests.builders_open import build_corpora, fill_cache
from tests.project import HERE, Project, new_project

OPEN, PAGE = "params.open.yaml", "docs/how-to/open-corpora.md"
BACKBONE = "test_convnext"
AMOUNTS: Mapping[str, Any] = {
    "clean.shard_rows": 7,
    "score.speech.batch_size": 4,
    "assemble.shard_rows": 5,
    "train_teacher.image.epochs": 3,
    "train_teacher.image.batch_size": 4,
    "train_teacher.image.learning_rate": 0.01,  # what is random has all to learn
    "train.folds": [0],
    "train.further_seeds": {},
    "train.epochs": 1,
    "train.batch_size": 4,
    "train.inputs.image_size_px": 64,
    "evaluate.bootstrap_samples": 100,
    "explain.figures": 1,
    "explain.figure_method": "level",
    "explain.corpus_rows": 2,
    "explain.times": 1,
    "explain.deletion_steps": 2,
}
TRAINED = ("parallelnet", "parallelnet_soft", "ser_sound_only")


def values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((HERE / OPEN).read_text(encoding="utf-8"))
    return found


def with_small_backbones(model: dict[str, Any]) -> dict[str, Any]:
    small: dict[str, Any] = {"n1_channels": [4], "code_size": 16, "head_size": 16}
    for side in ("image_backbone", "speech_backbone"):
        if model[side]["weights"] == "hub":
            small[side] = {**model[side], "name": BACKBONE}
    return {**model, **small}


@pytest.fixture(scope="module")
def open_build(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("open")
    fill_cache(root / "hub", values()["train_teacher"]["image"]["checkpoint"], BACKBONE)
    project = new_project(root / "project", {}, HF_HUB_CACHE=str(root / "hub"), HF_HUB_OFFLINE="1", SIER_WORKERS="1")
    shutil.copy(project.root / OPEN, project.root / "params.yaml")
    paths = {f"acquire.{corpus}.path": str(path) for corpus, path in build_corpora(root / "corpora").items()}
    models = {name: with_small_backbones(values()["models"][name]) for name in TRAINED}
    project.set_params({**AMOUNTS, **paths, "models": models})
    checked = project.run("python", "-m", "pipeline", "check")
    assert (checked.returncode, checked.stderr) == (0, "")
    outs = project.build()
    assert [out for out in outs if not (project.root / out).exists()] == []
    return project


def report(project: Project, name: str) -> Any:
    return json.loads((project.root / "reports" / f"{name}.json").read_bytes())


def test_every_stage_runs_on_what_anybody_can_get(open_build: Project) -> None:
    speech, image = report(open_build, "train_teacher_speech"), report(open_build, "train_teacher_image")
    assert (speech["kind"], speech["features"], speech["used"]) == ("probe", "linguistic", 16)
    assert set(speech["emotion_texts"]["held_out"]) == {"goemotions", "isear"}
    assert (image["kind"], image["used"], sorted(image["trainings"])) == ("finetune", 24, ["kept"])
    assert set(report(open_build, "evaluate")["models"]) == set(TRAINED)
    card = (open_build.root / "data" / "sier" / "README.md").read_text(encoding="utf-8")
    for name in ("RAVDESS and CREMA-D", "EmoSet-118K", "GoEmotions", "ISEAR", "google/siglip2-base-patch16-224"):
        assert name in card
    assert "IEMOCAP" not in card


def test_the_teachers_of_the_page_fit_the_corpora_of_the_file() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (HERE / PAGE).read_text(encoding="utf-8"), re.DOTALL)
    shown = [(modality, block) for block in map(yaml.safe_load, blocks) for modality in block["train_teacher"]]
    assert [modality for modality, _ in shown] == ["speech", "image", "speech"]
    for modality, block in shown:
        params = section(block, f"train_teacher.{modality}", SECTION)
        expect_consistent(modality, params, 1.0)
        assert params.classes == values()["train_teacher"][modality]["classes"]


def test_it_has_the_sections_of_the_sample() -> None:
    sample = yaml.safe_load((HERE / "params.yaml").read_text(encoding="utf-8"))
    assert list(values()) == list(sample)
    for name in ("train", "label", "clean", "synthesize", "explain"):
        assert list(values()[name]) == list(sample[name])
