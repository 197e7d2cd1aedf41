"""CLIP and SigLIP as teachers that are told their classes in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from models.errors import ModelError
from models.teachers.loading import load_teacher
from models.teachers.teacher import Teacher
from models.teachers.zero_shot.network import load
from models.teachers.zero_shot.teacher import SIGMOIDS, SOFTMAX, Wording, ZeroShotTeacher
from tests import hub_cache
from tests.builders_teachers import save_contrastive, save_vit

FAMILIES = ("clip", "siglip", "siglip2")
WORDING = Wording({"sadness": ("sadness",), "anger": ("anger", "rage")}, ("a photo that shows {}", "{}"))


def pictures(count: int = 5) -> list[Image.Image]:
    generator = np.random.default_rng(0)
    return [Image.fromarray(generator.integers(0, 256, (40, 30 + 4 * n, 3), dtype=np.uint8)) for n in range(count)]


def teacher_of(source: str, **changes: Any) -> ZeroShotTeacher:
    network = load(source, None, batch_size=2)
    directions = WORDING.directions(network)
    teacher = ZeroShotTeacher(network.pictures, WORDING, directions, network.scale, network.bias, network.origin)
    return replace(teacher, **changes)


@pytest.mark.parametrize("family", FAMILIES)
def test_probabilities_are_those_of_the_library_s_own_logits(tmp_path: Path, family: str) -> None:
    source = save_contrastive(tmp_path / "net", family)
    teacher: Teacher = teacher_of(source)
    assert teacher.classes == ("anger", "sadness")
    # One phrase a class, so that the whole network can be asked at once; its forward pass is the library's.
    wording = Wording({"sadness": ("sadness",), "anger": ("anger",)}, ("a photo that shows {}",))
    network = load(source, None)
    one = replace(teacher_of(source), wording=wording, directions=wording.directions(network))
    tokenizer = (AutoTokenizer if family != "siglip" else PreTrainedTokenizerFast).from_pretrained(source)
    texts = ["a photo that shows anger", "a photo that shows sadness"]
    padding: dict[str, Any] = {"padding": True} if family == "clip" else {"padding": "max_length", "max_length": 40}
    ids = tokenizer(texts, return_tensors="pt", **padding)
    names = ["input_ids", *(["attention_mask"] if family != "siglip" else [])]
    with torch.inference_mode():
        seen = AutoImageProcessor.from_pretrained(source)(pictures(), return_tensors="pt")
        said = AutoModel.from_pretrained(source)(**seen, **{name: ids[name] for name in names}).logits_per_image
    expected = said.softmax(-1) if family == "clip" else said.sigmoid() / said.sigmoid().sum(-1, keepdim=True)
    np.testing.assert_allclose(one.predict_proba(pictures()), expected.numpy(), atol=1e-5)
    assert np.abs(expected.numpy() - 0.5).min() > 1e-4
    assert one.probabilities_are == (SOFTMAX if family == "clip" else SIGMOIDS)


def test_the_sigmoids_of_siglip_are_no_softmax_of_its_logits(tmp_path: Path) -> None:
    """By hand: logits 2 and 0 are sigmoids .881 and .5, of whose sum they are .638 and .362; softmax has .881."""
    teacher = teacher_of(save_contrastive(tmp_path, "siglip"), scale=2.0, bias=0.0)
    towards_anger = teacher.directions[:1]
    other = towards_anger * 0 + np.eye(len(towards_anger[0]), dtype=np.float32)[:1]
    orthogonal = other - (other @ towards_anger.T) * towards_anger
    beside = replace(teacher, directions=np.concatenate([towards_anger, orthogonal / np.linalg.norm(orthogonal)]))
    found = beside.classify(beside.scores(towards_anger), None)
    assert found.tolist() == [[pytest.approx(0.638, abs=1e-3), pytest.approx(0.362, abs=1e-3)]]
    # A temperature takes sigmoids to its power: .881 ** .5 and .5 ** .5.
    warm = replace(beside, temperature=2.0)
    found = warm.classify(warm.scores(towards_anger), None)
    assert found.tolist() == [[pytest.approx(0.5703, abs=1e-3), pytest.approx(0.4297, abs=1e-3)]]


def test_phrases_and_templates_of_a_class_are_averaged(tmp_path: Path) -> None:
    network = load(save_contrastive(tmp_path, "clip"), None)
    texts = ["a photo that shows anger", "anger", "a photo that shows rage", "rage"]
    mean = network.directions(texts).mean(axis=0)
    np.testing.assert_allclose(WORDING.directions(network)[0], mean / np.linalg.norm(mean), atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_teacher_is_the_same_without_the_half_that_reads(tmp_path: Path, family: str) -> None:
    teacher = teacher_of(save_contrastive(tmp_path / "net", family), temperature=1.5)
    teacher.save(tmp_path / "saved")
    again = load_teacher(tmp_path / "saved", batch_size=5)
    assert again.digest == teacher.digest
    np.testing.assert_allclose(again.predict_proba(pictures()), teacher.predict_proba(pictures()), atol=1e-6)
    whole, half = (tmp_path / folder / "model.safetensors" for folder in ("net", "saved"))
    assert half.stat().st_size < whole.stat().st_size
    assert str(tmp_path) not in (tmp_path / "saved" / "teacher.json").read_text()
    teacher.pictures.network.load_state_dict({
        name: tensor + 1 for name, tensor in teacher.pictures.network.state_dict().items()
    })  # fmt: skip
    teacher.pictures.network.save_pretrained(tmp_path / "saved")
    with pytest.raises(ModelError, match="not those that were saved"):
        load_teacher(tmp_path / "saved")


def test_weights_of_an_older_kind_and_a_commit_of_the_hub_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe = load(save_contrastive(tmp_path / "net", "clip"), None)
    assert safe.origin.commit is None
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def put_clip(folder: Path) -> None:
        save_contrastive(folder, "clip", bin_only=True)

    hub_cache.put(tmp_path / "hub", "maker/net", put_clip)
    network = load("maker/net", hub_cache.COMMIT)
    assert (network.origin.checkpoint, network.origin.commit) == ("maker/net", hub_cache.COMMIT)
    assert network.pictures.digest == safe.pictures.digest
    with pytest.raises(ModelError, match="maker/other: no folder here, and cannot be had from the Hub"):
        load("maker/other", None)


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("ran",)


def test_what_is_no_such_network_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_vit(tmp_path / "vit")
    evil = Path(save_contrastive(tmp_path / "evil", "clip", bin_only=True))
    torch.save({"weight": Evil()}, evil / "pytorch_model.bin")
    torn = Path(save_contrastive(tmp_path / "torn", "siglip"))
    network = AutoModel.from_pretrained(torn)
    state = {name: tensor for name, tensor in network.state_dict().items() if name != "logit_bias"}
    network.save_pretrained(torn, state_dict=state)
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, message in (
        (tmp_path / "vit", "expected a CLIP or SigLIP network, found vit; try kind checkpoint"),
        (evil, r"evil: pytorch_model\.bin asks for .*print, expected a pickle of nothing but tensors"),
        (torn, "torn: expected a CLIP or SigLIP network, found no weights for logit_bias"),
        (empty, r"empty: expected config\.json of a network of transformers"),
    ):
        with pytest.raises(ModelError, match=message) as error:
            load(str(folder), None)
        assert "\n" not in str(error.value)
    assert "ran" not in capsys.readouterr().out
    with pytest.raises(ModelError, match="a folder has no revision main"):
        load(str(torn), "main")
