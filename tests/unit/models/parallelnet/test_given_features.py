"""Features of a frozen backbone, made before: what a net does with them, and where it takes none."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.parallelnet.parallelnet import ParallelNet
from models.parallelnet.parallelnet_config import WHISPER, ParallelNetConfig
from pipeline.frame.params import section
from pipeline.networks.params import ModelParams
from tests.builders_nets import inputs, logits, new_net
from tests.builders_planted import TINY_MODEL

FROZEN: dict[str, Any] = {"freeze_backbone": True, "learn_colours": False}
KINDS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "both": ({}, ("image", "speech")),
    "learnt colours": ({"learn_colours": True}, ("image",)),
    "weighted": ({"fusion_op": "weighted_add"}, ("image", "speech")),
    "image": ({"modalities": "image"}, ("image",)),
    "speech": ({"modalities": "speech"}, ("speech",)),
}


def features_of(net: ParallelNet, x: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    with torch.no_grad():
        for modality in net.config.fixed_features:
            pictures = x["pixel_values"] if modality == "image" else x["spectrogram"].expand(-1, 3, -1, -1)
            found[f"{modality}_features"] = getattr(net, f"n2_{modality}").features(pictures)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_given_features_lead_to_the_same_logits_and_gradients(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changes, modalities = KINDS[kind]
    net = new_net(**FROZEN | changes)
    assert net.config.fixed_features == modalities
    x, labels = inputs(4), torch.arange(4)
    whole = net(**x, labels=labels)
    whole.loss.backward()
    expected = {name: weight.grad.clone() for name, weight in net.named_parameters() if weight.requires_grad}
    net.zero_grad()
    given = features_of(net, x)
    for modality in modalities:
        monkeypatch.setattr(getattr(net, f"n2_{modality}"), "backbone", None)  # need not run
    spared = net(**x, **given, labels=labels)
    assert torch.equal(spared.logits, whole.logits)
    spared.loss.backward()
    found = {name: weight.grad for name, weight in net.named_parameters() if weight.requires_grad}
    assert found.keys() == expected.keys()
    assert all(torch.equal(gradient, expected[name]) for name, gradient in found.items())
    other = {name: tensor.flip(0) for name, tensor in given.items()}
    assert not torch.equal(net(**x, **other).logits, whole.logits)


def test_a_net_of_one_modality_needs_nothing_but_features() -> None:
    net = new_net(**FROZEN, modalities="image").eval()
    x = inputs(3)
    assert torch.equal(logits(net, **features_of(net, x)), logits(net, **x))


@pytest.mark.parametrize(
    ("changes", "given", "message"),
    [
        ({"freeze_backbone": False}, {"image_features": (2,)}, "image_features: expected none, .* runs that backbone"),
        ({"fusion": 1}, {"image_features": (2,)}, "image_features: expected none"),
        ({"fusion": 2}, {"speech_features": (2,)}, "speech_features: expected none"),
        ({"learn_colours": True}, {"speech_features": (2,)}, "speech_features: expected none, .*stands before it"),
        ({}, {"image_features": (2, 3, 4, 4)}, r"image_features: expected floating point \[n, .*, found .*\[2, 3, 4"),
        ({}, {"image_features": (1,)}, "image_features: expected the 1 inputs that they are of, for N1; found 2"),
        ({}, {"image_features": (2,), "pixel_values": None}, "the 2 inputs that they are of, for N1; found none"),
    ],
)
def test_features_that_a_net_has_no_use_for_are_refused(
    changes: dict[str, Any], given: dict[str, tuple[int, ...] | None], message: str
) -> None:
    net = new_net(**FROZEN | changes)
    x: dict[str, Any] = dict(inputs(2))
    for name, shape in given.items():
        rest = getattr(net, f"n2_{name.partition('_')[0]}").feature_shape if shape and len(shape) == 1 else ()
        x[name] = None if shape is None else torch.zeros(*shape, *rest)
    with pytest.raises(ValueError, match=message) as caught:
        net(**x)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("saved", [False, True])
def test_colours_that_do_not_learn_stay_grey(saved: bool, tmp_path: Path) -> None:
    net = new_net(**FROZEN)
    if saved:
        net.save_pretrained(tmp_path)
        net = ParallelNet.from_pretrained(tmp_path).train()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    net(**inputs(4), labels=torch.arange(4)).loss.backward()
    optimizer.step()
    spectrogram = inputs(2)["spectrogram"]
    assert torch.equal(net.grey_to_colour(spectrogram), spectrogram.expand(-1, 3, -1, -1))
    assert not any(weight.requires_grad for weight in net.grey_to_colour.parameters())


def test_parameters_and_configuration_agree_on_what_never_changes() -> None:
    seen = set()
    names = {"image_backbone": "resnet34", "speech_backbone": "vgg16"}
    for fusion, modalities, freeze, learn, words in product(
        (1, 2, 3), ("both", "image", "speech"), (True, False), (True, False), (True, False)
    ):
        if words and fusion != 3 and modalities == "both":
            continue  # no such network
        chosen = names | ({"speech_backbone": WHISPER} if words else {})
        shape: dict[str, Any] = {
            "fusion": fusion, "modalities": modalities, "freeze_backbone": freeze, "learn_colours": learn,
        }  # fmt: skip
        backbones = {key: {"name": name, "pretrained": True, "weights": None} for key, name in chosen.items()}
        model = section({"net": TINY_MODEL | shape | backbones}, "net", ModelParams)
        fixed = ParallelNetConfig(**shape, **chosen).fixed_features
        assert tuple(model.kept_features) == fixed
        seen.add(fixed)
        backbones["image_backbone"]["pretrained"] = False  # random weights, other ones in every fold
        model = section({"net": TINY_MODEL | shape | backbones}, "net", ModelParams)
        assert tuple(model.kept_features) == tuple(name for name in fixed if name != "image")
    assert seen == {(), ("image",), ("speech",), ("image", "speech")}
