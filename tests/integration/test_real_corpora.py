"""The whole graph on small real corpora in the published formats: acted speech, photographs, tweets.

They are in no repository. `SIER_REAL_CORPORA` names the folder that holds `b_t4sa`, `iemocap` and `fi`.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from datasets import Audio, load_dataset

from tests.project import Project

CORPORA = ("b_t4sa", "iemocap", "fi")

pytestmark = pytest.mark.skipif(
    "SIER_REAL_CORPORA" not in os.environ, reason=f"set SIER_REAL_CORPORA to a folder with {', '.join(CORPORA)}"
)


@pytest.fixture(scope="module")
def built(real_build: Project) -> Project:
    return real_build


def report(project: Project, name: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((project.root / "reports" / f"{name}.json").read_bytes())
    return values


@pytest.mark.parametrize("corpus", CORPORA)
def test_nothing_is_copied_and_nothing_changed(built: Project, real_corpora: Path, corpus: str) -> None:
    folder = built.root / "data" / "corpora" / corpus
    assert (folder / "files").is_symlink()
    assert (folder / "files").resolve() == (real_corpora / corpus).resolve()
    assert {path.name for path in folder.iterdir()} - {"tar_index.parquet"} == {"files", "manifest.json"}
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest["origin"] == "local copy"
    assert manifest["files"]
    for file in manifest["files"]:
        assert hashlib.sha256((real_corpora / corpus / file["name"]).read_bytes()).hexdigest() == file["sha256"]


def test_most_tweets_are_kept(built: Project) -> None:
    metrics = report(built, "clean")
    assert metrics["rows_in"] == 64
    assert metrics["rows_out"] >= 61  # the share is that of 100 of 105
    assert report(built, "synthesize")["rows_out"] >= 0.98 * metrics["rows_out"]


def test_the_speech_teacher_knows_unseen_speakers(built: Project) -> None:
    held_out = report(built, "train_teacher_speech")["held_out"]
    assert held_out["protocol"] == "leave one session out"
    assert held_out["rows"] == 200
    assert held_out["accuracy"] >= 0.75


def test_the_image_teacher_knows_unseen_pictures(built: Project) -> None:
    cross_validation = report(built, "train_teacher_image")["cross_validation"]
    assert cross_validation["folds"] == 5
    assert cross_validation["accuracy"] >= 0.75


def test_all_labels_come_out_and_the_dataset_loads(built: Project, tmp_path: Path) -> None:
    metrics = report(built, "assemble")
    assert min(metrics["labels"].values()) > 0
    assert set(metrics["labels"]) == {"anger", "happy", "hate", "sad"}
    validity = report(built, "label")["validity"]
    assert validity["note"].startswith("B-T4SA's sentiment was itself made by a model of the text")
    dataset = load_dataset(str(built.root / "data" / "sier"), cache_dir=str(tmp_path))
    assert {name: split.num_rows for name, split in dataset.items()} == {
        name: metrics["splits"][name]["rows"] for name in ("train", "test")
    }
    first = dataset["train"].cast_column("audio", Audio(decode=False))[0]
    assert first["image"].mode == "RGB"
    assert first["audio"]["bytes"].startswith(b"fLaC")


def test_both_networks_are_measured_on_rows_they_have_not_seen(built: Project) -> None:
    found = report(built, "evaluate")
    assert found["origin"] == "local copy"
    assert {name: network["rows"] for name, network in found["models"].items()} == {
        "parallelnet": "sier", "parallelnet_sentiment": "clean",
    }  # fmt: skip
    assert found["models"]["parallelnet"]["test"]["rows"] == report(built, "assemble")["splits"]["test"]["rows"]
    for network in found["models"].values():
        low, high = network["test"]["intervals"]["accuracy"]
        assert 0 <= low <= network["test"]["accuracy"] <= high <= 1
        assert low < high
    assert "a local copy of B-T4SA" in (built.root / "reports" / "table_2.md").read_text(encoding="utf-8")
