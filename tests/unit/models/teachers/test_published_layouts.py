"""Checkpoints in the layouts of the repositories that people name first: each loads with its head, or is refused."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from scipy.special import expit, softmax

from models.errors import ModelError
from models.teachers.class_map import ClassMap, Prototypes, load_map
from models.teachers.network_teacher import CheckpointTeacher
from models.teachers.pretrained import Modality, Outputs, load_pretrained
from models.teachers.ready_network import ReadyNetwork
from models.teachers.repository import find
from tests import builders_layouts as layouts
from tests.hub_repositories import Repo
from tests.hub_server import serve

LOADED: list[tuple[Modality, str]] = [
    *(("speech", name) for name in layouts.SPEECH), *(("words", name) for name in layouts.WORDS),
    *(("image", name) for name in layouts.IMAGE),
]  # fmt: skip
POINTS = {
    "anger": {"arousal": 0.9, "valence": 0.1}, "excitement": {"arousal": 0.8, "valence": 0.9},
    "sadness": {"arousal": 0.2, "valence": 0.2},
}  # fmt: skip


def written(write: layouts.Write, folder: Path) -> str:
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    write(folder)
    return str(folder)


def items_of(modality: Modality) -> list[Any]:
    generator = np.random.default_rng(0)
    if modality == "speech":
        return [generator.normal(size=length).astype(np.float32) for length in (900, 400, 650)]
    if modality == "words":
        return ["i am so angry", "so angry", "i am"]
    return [Image.fromarray(generator.integers(0, 255, (40, 50, 3), dtype=np.uint8)) for _ in range(3)]


@pytest.mark.parametrize(("modality", "name"), LOADED)
def test_each_layout_loads_with_its_head_and_its_weights(tmp_path: Path, modality: Modality, name: str) -> None:
    write, head = {"speech": layouts.SPEECH, "words": layouts.WORDS, "image": layouts.IMAGE}[modality][name]
    network = ReadyNetwork.load(written(write, tmp_path / "published"), modality, batch_size=2)
    expected = {"regression": layouts.DIMENSIONS}.get(head, layouts.SUPERB if modality == "speech" else layouts.FACES)
    assert (network.head, network.labels, network.commit) == (head, expected, None)
    items = items_of(modality)
    outputs = network.logits(items)
    assert np.ptp(outputs, axis=0).max() > 1e-6
    np.testing.assert_allclose(outputs, np.concatenate([network.logits([item]) for item in items]), 1e-5, 1e-5)
    network.save(tmp_path / "copy")
    again = ReadyNetwork.load(str(tmp_path / "copy"), modality, batch_size=2)
    assert (again.head, again.labels, again.digest) == (network.head, network.labels, network.digest)
    np.testing.assert_allclose(again.logits(items), outputs, 1e-5, 1e-6)
    assert str(tmp_path) not in (tmp_path / "copy" / "config.json").read_text()


@pytest.mark.parametrize("name", layouts.REFUSED)
def test_a_layout_that_cannot_be_read_truthfully_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    write, modality, message = layouts.REFUSED[name]
    source = written(write, tmp_path / "published")
    with pytest.raises(ModelError, match=f"^{source}: .*{message}") as caught:
        ReadyNetwork.load(source, modality)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert"])
def test_a_head_of_two_layers_says_what_its_makers_code_says(tmp_path: Path, kind: str) -> None:
    source = Path(written(lambda folder: layouts.two_layers(folder, "abc", "regression", kind=kind), tmp_path / "x"))
    state = torch.load(source / "pytorch_model.bin", weights_only=True)
    network = ReadyNetwork.load(str(source), "speech", said=Outputs())
    items = items_of("speech")
    encoder = getattr(network.network, kind)
    for name in ("feature_projection.projection.weight", "encoder.layers.1.attention.q_proj.weight"):
        torch.testing.assert_close(encoder.state_dict()[name], state[f"{kind}.{name}"])
    with torch.no_grad():
        for item, outputs in zip(items, network.logits(items), strict=True):
            values = network.preprocessor([item], sampling_rate=16_000, return_tensors="pt").input_values
            mean = encoder.eval()(values).last_hidden_state.mean(dim=1)
            hidden = torch.tanh(mean @ state["classifier.dense.weight"].T + state["classifier.dense.bias"])
            by_hand = hidden @ state["classifier.out_proj.weight"].T + state["classifier.out_proj.bias"]
            np.testing.assert_allclose(outputs, by_hand[0].numpy(), atol=1e-5)
    network, _ = load_pretrained(find(str(source)), "speech", ("anger", "joy"))
    assert network.config.problem_type == "single_label_classification"


@pytest.mark.parametrize(
    ("changes", "said", "found"),
    [
        ({}, Outputs(), "LABEL_0 .*label_names: "),
        ({}, Outputs(label_names=("a", "b", "c")), "neither what its outputs are nor their names.* head: exclusive"),
        ({}, Outputs("exclusive", ("a", "b")), "names 2 outputs, of which it has 3"),
        ({}, Outputs("independent", ("a", "b", "c")), "independent"),
        ({}, Outputs(label_names=("valence", "arousal", "dominance")), "regression"),
        ({"problem_type": "multi_label_classification"}, Outputs(label_names=("a", "b", "c")), "independent"),
        ({"problem_type": "regression"}, Outputs("exclusive", ("a", "b", "c")), "head = exclusive, but .*regression"),
        ({"id2label": {"0": "a", "1": "b", "5": "c"}}, Outputs(), r"id2label .* numbers \[0, 1, 5\]"),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, Outputs(label_names=("d", "e", "f")), "leave out label_names"),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, Outputs("independent"), "independent"),
        ({"problem_type": "ranking"}, Outputs("exclusive", ("a", "b", "c")), "problem_type of .* is ranking; expected"),
        ({"hidden_size": "many"}, Outputs(), "expected a classifier of words, found: .*hidden_size"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}, "problem_type": "regression"},
         Outputs(label_names=("a", "b", "c")), "expected a classifier of words, found: ."),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, Outputs(), "exclusive"),
        ({"id2label": {"0": "Arousal", "1": "Dominance", "2": "Valence"}}, Outputs("exclusive"), "but .*regression"),
    ],
)  # fmt: skip
def test_a_head_is_what_its_configuration_or_else_the_user_says(
    tmp_path: Path, changes: dict[str, Any], said: Outputs, found: str
) -> None:
    def write(folder: Path) -> None:
        layouts.emotion_texts(folder)
        layouts.change_config(folder, **{"id2label": {f"{n}": f"LABEL_{n}" for n in range(3)}, **changes})

    source = written(write, tmp_path / "x")
    if found in {"exclusive", "independent", "regression"}:
        network = ReadyNetwork.load(source, "words", said=said)
        assert network.head == found
        assert said.label_names is None or network.labels == said.label_names
    else:
        with pytest.raises(ModelError, match=found):
            ReadyNetwork.load(source, "words", said=said)


def test_only_exclusive_logits_go_through_a_softmax(tmp_path: Path) -> None:
    """By hand: what independent logits and dimensions become is no softmax of them, whatever the temperature."""
    labels = {"sad": "sadness", "angry": "anger", "happy": None}
    logits = np.array([[2.0, -1.0, 3.0], [-4.0, -5.0, -6.0], [900.0, -900.0, -900.0]])
    for outside in ("renormalise", "keep"):
        exclusive = ClassMap.of(layouts.FACES, labels, outside, "x")
        independent = ClassMap.of(layouts.FACES, labels, outside, "x", "independent")
        for temperature in (1.0, 2.5):
            chances = np.maximum(expit(logits / temperature), 1e-300)
            total = chances.sum(axis=1) if outside == "keep" else chances[:, :2].sum(axis=1)
            by_hand = chances[:, [1, 0]] / total[:, None]
            found = independent.probabilities(logits, temperature)
            np.testing.assert_allclose(found, by_hand, atol=1e-6)
            assert np.isfinite(found).all()
            assert np.abs(found - exclusive.probabilities(logits, temperature))[:2].min(axis=1).max() > 0.01
    joined = ClassMap.of(layouts.FACES, {**labels, "happy": "anger"}, "keep", "x", "independent")
    sad, angry, happy = expit(logits[0])
    anger = 1 - (1 - angry) * (1 - happy)
    np.testing.assert_allclose(
        joined.probabilities(logits[:1]), [[anger / (anger + sad), sad / (anger + sad)]], atol=1e-6
    )


def test_dimensions_become_the_posterior_of_prototypes() -> None:
    chosen = Prototypes.of(layouts.DIMENSIONS, POINTS, 0.2, "x")
    outputs = np.array([[0.9, 0.5, 0.1], [0.5, 7.0, 0.5], [0.25, 0.0, 0.2]])  # dominance, which no point names
    density = np.stack(
        [
            np.exp(-((outputs[:, 0] - p["arousal"]) ** 2 + (outputs[:, 2] - p["valence"]) ** 2) / 0.08)
            for p in POINTS.values()
        ],
        axis=1,
    )
    np.testing.assert_allclose(chosen.probabilities(outputs), density / density.sum(axis=1, keepdims=True), atol=1e-6)
    assert chosen.probabilities(outputs).argmax(axis=1).tolist()[::2] == [0, 2]
    assert np.abs(chosen.probabilities(outputs) - softmax(outputs, axis=1)).max() > 0.3
    assert load_map(json.loads(json.dumps(chosen.facts)), layouts.DIMENSIONS, "x") == chosen
    # Held-out rows choose how wide the densities are: those that were drawn round their points find the width again.
    generator = np.random.default_rng(0)
    truth = generator.choice(list(POINTS), 3000)
    centres = np.array([[POINTS[name]["arousal"], 0.5, POINTS[name]["valence"]] for name in truth])
    temperature = chosen.fit_temperature(centres + generator.normal(scale=0.3, size=centres.shape), truth.tolist())
    assert 0.2 * np.sqrt(temperature) == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({"anger": POINTS["anger"]}, "two or more"),
        ({**POINTS, "fear": {"arousal": 0.5}}, r"x\.fear names the dimensions arousal; expected those of anger"),
        ({"anger": {"anger": 1.0}, "fear": {"anger": 0.0}}, "the dimension anger; the checkpoint has arousal"),
        ({**POINTS, "fear": POINTS["anger"]}, "two classes the same point"),
    ],
)  # fmt: skip
def test_prototypes_that_do_not_fit_are_refused(points: dict[str, dict[str, float]], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Prototypes.of(layouts.DIMENSIONS, points, 0.2, "x")


class _Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("was-run",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"classifier.bias": torch.zeros(3), "x": _Evil()}, r"asks for posix\.mkdir, expected a pickle of nothing but"),
        ({"state_dict": {}, "epoch": 3}, "holds 'state_dict', which is no tensor"),
        ([torch.zeros(3)], "holds a list, expected tensors by name"),
        (b"version https://git-lfs", r"is no file of torch's, expected a pickle of nothing but tensors; convert it"),
        (b"", "is damaged: it ends too early"),
        (pickle.dumps(_Evil()), "is no file of torch's"),
    ],
)
def test_a_pickle_of_more_than_tensors_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = Path(written(layouts.emotion_texts, tmp_path / "x"))
    (source / "model.safetensors").unlink()
    if isinstance(content, bytes):
        (source / "pytorch_model.bin").write_bytes(content)
    else:
        torch.save(content, source / "pytorch_model.bin")
    with pytest.raises(ModelError, match=rf"^{source}: pytorch_model\.bin {message}") as caught:
        ReadyNetwork.load(str(source), "words")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("../secret.bin", "names '../secret.bin', which is no file beside it"),
        ("gone.bin", "gone.bin, which is not there"),
    ],
)
def test_an_index_that_names_other_files_is_refused(tmp_path: Path, part: str, message: str) -> None:
    source = Path(written(layouts.superb_hubert, tmp_path / "x"))
    index = source / "pytorch_model.bin.index.json"
    told = json.loads(index.read_bytes())
    index.write_text(json.dumps({"weight_map": {**told["weight_map"], "lost": part}}))
    with pytest.raises(
        ModelError, match=f"index.json is no list of the parts of pytorch_model.bin: names .*{message[-20:]}"
    ):
        ReadyNetwork.load(str(source), "speech")


def test_the_hub_gives_the_commit_that_was_asked_for_and_only_the_files_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = Path(written(layouts.superb_wav2vec2, tmp_path / "published"))
    first = {path.name: path.read_bytes() for path in published.iterdir()}
    extra = {
        "code.py": b"raise SystemExit",
        "optimizer.pt": b"x",
        "checkpoint-5/config.json": b"{}",
        "tf_model.h5": b"x",
    }
    retrained = Path(written(layouts.stock_wav2vec2, tmp_path / "retrained"))
    second = {path.name: path.read_bytes() for path in retrained.iterdir()}
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with serve() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        hub.repos["model", "lab/ser"] = Repo(False, [("a" * 40, {**first, **extra}), ("b" * 40, {**second, **extra})])
        old = ReadyNetwork.load("lab/ser", "speech", revision="a" * 40)
        new = ReadyNetwork.load("lab/ser", "speech")
        assert (old.commit, new.commit) == ("a" * 40, "b" * 40)
        with pytest.raises(ModelError, match=r"lab/ser: .* from the Hub at revision v9: "):
            find("lab/ser", "v9")
    asked = {Path(path).name for operation, path in hub.requests if operation == "resolve"}
    assert asked == {"config.json", "preprocessor_config.json", "pytorch_model.bin", "model.safetensors"}
    assert new.digest == ReadyNetwork.load(str(retrained), "speech").digest
    assert old.digest == ReadyNetwork.load(str(published), "speech").digest != new.digest
    # The commit is in the teacher's digest and card, and survives saving.
    chosen = ClassMap.of(old.labels, {"neu": None, "hap": "joy", "ang": "anger", "sad": None}, "keep", "x")
    teacher = CheckpointTeacher(old, chosen, "none", commit=old.commit)
    assert teacher.digest != CheckpointTeacher(old, chosen, "none").digest
    teacher.save(tmp_path / "saved")
    assert json.loads((tmp_path / "saved/teacher.json").read_bytes())["commit"] == "a" * 40
    assert CheckpointTeacher.load(tmp_path / "saved").digest == teacher.digest
    with pytest.raises(ModelError, match="a folder has no revision main"):
        find(str(published), "main")
