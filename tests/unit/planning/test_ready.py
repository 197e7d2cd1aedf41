"""What `sier check` finds before the first stage that a late one would have failed on."""

import shutil
from collections import namedtuple
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from models.teachers.encoders import create_encoder
from pipeline.corpora import b_t4sa
from pipeline.downloads.sources import DEFAULT
from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import UserError
from pipeline.frame.params import PARAMS_FILE, read_params
from pipeline.planning import ready
from pipeline.speech import loading
from pipeline.voices import load_voice
from tests import builders_layouts

Change = Callable[[dict[str, Any]], None]
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def sections() -> dict[str, Any]:
    """Those of params.yaml."""
    return read_params(PROJECT / PARAMS_FILE)


# As they are, but loaded once for all tests.
VOICE, ENCODER = cache(load_voice), cache(create_encoder)


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load_voice", VOICE)
    monkeypatch.setattr(ready, "create_encoder", ENCODER)
    for name in ("SIER_DEVICE", "SIER_DOWNLOADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def backbone(name: str, *, pretrained: bool = False, weights: str | None = None) -> Change:
    def change(sections: dict[str, Any]) -> None:
        sections["models"]["parallelnet"]["image_backbone"] = {
            "name": name, "pretrained": pretrained, "weights": weights,
        }  # fmt: skip

    return change


def put(value: Any, *keys: str) -> Change:
    def change(sections: dict[str, Any]) -> None:
        for key in keys[:-1]:
            sections = sections[key]
        sections[keys[-1]] = value

    return change


def test_the_sample_s_params_are_ready(sections: dict[str, Any], tmp_path: Path) -> None:
    ready.expect_ready(sections, tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (backbone("vgg_19"), ("models.parallelnet", "'vgg_19' is not a timm model", "did you mean vgg19")),
        (backbone("crossvit_tiny_240"), ("models.parallelnet", "no feature maps", "but 2 sets of features")),
        (backbone("swin_tiny_patch4_window7_224"), ("models.parallelnet", "cannot take 128 x 128")),
        (backbone("resnet18", pretrained=True), ("models.parallelnet", "no packaged weights")),
        (backbone("resnet18", pretrained=True, weights="none.pth"), ("none.pth: no such file",)),
        (backbone("googlenet_3a", pretrained=True, weights="hub"), ("no weights for it on the Hub",)),
        (backbone("resnet18", pretrained=True, weights="hub"), ("not in the Hub's cache", "HF_HUB_OFFLINE")),
        (put("vgg19", "train_teacher", "image", "encoder"), ("train_teacher.image.encoder", "no packaged weights")),
        (put("sentences", "train_teacher", "speech", "words", "encoder"), ("train_teacher.speech.words.encoder",)),
        (put("none.onnx", "synthesize", "voice", "model"), ("synthesize.voice.model = none.onnx",)),
        (put("none", "synthesize", "recognition", "model"), ("synthesize.recognition.model = none",)),
        (put("none", "acquire", "fi", "path"), ("acquire.fi.path = none: no such folder or file",)),
    ],
)
def test_what_cannot_be_loaded_is_named(
    sections: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, says: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    change(sections)
    with pytest.raises(UserError) as error:
        ready.expect_ready(sections, tmp_path)
    for part in says:
        assert part in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("modality", "encoder", "weights", "says"),
    [
        ("image", "nobody/nothing", "hub", "nobody/nothing: no folder here, and cannot be had"),
        ("image", "googlenet_3a", "hub", "no weights for it on the Hub"),
        ("speech", "microsoft/wavlm-base", "nowhere", "weights nowhere: no such folder"),
        ("speech", "tf_efficientnet_lite0", "packaged", "no packaged weights (only whisper-tiny.en)"),
    ],
)
def test_an_encoder_that_is_not_to_be_had_is_named(
    sections: dict[str, Any], tmp_path: Path, modality: str, encoder: str, weights: str, says: str
) -> None:
    sections["train_teacher"][modality] |= {"encoder": encoder, "weights": weights, "features": "acoustic"}
    with pytest.raises(UserError) as error:
        ready.expect_ready(sections, tmp_path)
    assert str(error.value).startswith(f"params.yaml: train_teacher.{modality}.encoder: ")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_checkpoint_that_is_not_to_be_had_or_has_no_classes(sections: dict[str, Any], tmp_path: Path) -> None:
    sections["train_teacher"]["image"] = {
        "kind": "checkpoint", "checkpoint": "nobody/nothing", "label_classes": {"a": "anger", "b": "joy"},
        "outside_classes": "renormalise", "classes": {}, "normalise": "none", "batch_size": 1, "calibrate": "none",
    }  # fmt: skip
    with pytest.raises(
        UserError,
        match=r"train_teacher\.image\.checkpoint: nobody/nothing: no folder here, and cannot be had from the Hub",
    ):
        ready.expect_ready(sections, tmp_path)
    (tmp_path / "dimensions").mkdir()
    builders_layouts.audeering(tmp_path / "dimensions")
    sections["train_teacher"]["speech"] = {
        **sections["train_teacher"]["image"], "checkpoint": str(tmp_path / "dimensions"),
    }  # fmt: skip
    with pytest.raises(UserError, match=r"train_teacher\.speech\.checkpoint: its head is a regression of arousal"):
        ready.expect_ready(sections, tmp_path)


def test_a_gpu_that_is_not_there(sections: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIER_DEVICE", "cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="SIER_DEVICE = cuda: torch sees no GPU"):
        ready.expect_ready(sections, tmp_path)


def test_a_disk_without_room_for_the_downloads(
    sections: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100e9, 50e9, 50e9))
    ready.expect_ready(sections, tmp_path)
    sections["acquire"]["b_t4sa"]["url"] = "https://host/corpus"
    with pytest.raises(UserError, match=r"65\.0 GB are needed, 50\.0 GB are free"):
        ready.expect_ready(sections, tmp_path)
    part = tmp_path / DEFAULT / "b_t4sa" / "host" / f"{b_t4sa.TAR}.part"
    part.parent.mkdir(parents=True)
    with part.open("wb") as file:
        file.truncate(20 * 10**9)  # sparse
    ready.expect_ready(sections, tmp_path)  # what is there need not be downloaded
