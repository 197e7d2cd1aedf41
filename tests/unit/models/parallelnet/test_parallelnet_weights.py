"""ParallelNet's weights: how they begin, are loaded and saved to the last bit, and learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from models.errors import ModelError
from models.parallelnet.parallelnet import ParallelNet
from models.weights.backbones import PACKAGED
from pipeline.networks.build import load_backbones
from tests.builders_nets import KINDS, inputs, logits, new_net, tiny_net

LITE0 = "tf_efficientnet_lite0"


def test_a_new_net_follows_the_seed_and_begins_by_making_grey_pictures_of_speech() -> None:
    nets: list[Any] = [tiny_net(1), tiny_net(1), tiny_net(2)]
    first, again, other = nets
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.n1_image.dense.weight, other.n1_image.dense.weight)
    spectrogram = inputs()["spectrogram"]
    assert torch.equal(first.grey_to_colour(spectrogram), spectrogram.expand(-1, 3, -1, -1))
    assert float(first.fusion_weights.detach().sum()) == pytest.approx(1)
    assert len(set(first.fusion_weights.tolist())) == 3
    assert not torch.equal(first.fusion_weights, other.fusion_weights)


def test_packaged_weights_arrive_bit_for_bit_and_survive_saving(tmp_path: Path) -> None:
    net = new_net(image_backbone=LITE0, speech_backbone=LITE0)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    load_backbones(net, "image", None)
    after = net.state_dict()
    assert {name for name in after if not torch.equal(after[name], before[name])} <= {
        name for name in after if name.startswith("n2_image.backbone.")
    }
    load_backbones(net, "speech", None)
    net.save_pretrained(tmp_path)
    loaded = ParallelNet.from_pretrained(tmp_path)
    packaged = list(torch.load(PACKAGED[LITE0].path(), weights_only=True).values())[:-2]  # all but the classifier
    for one in (net, loaded):
        for n2_of in (one.n2_image, one.n2_speech):
            backbone: Any = n2_of.backbone
            own = list(backbone.state_dict().values())
            assert len(own) == 294
            assert all(torch.equal(mine, theirs) for mine, theirs in zip(own, packaged, strict=True))


def test_local_weights_arrive_bit_for_bit(tmp_path: Path) -> None:
    torch.manual_seed(5)
    source = timm.create_model("test_resnet", pretrained=False).state_dict()
    save_file(source, tmp_path / "weights.safetensors")
    net = tiny_net()
    load_backbones(net, "image", tmp_path / "weights.safetensors")
    own = net.n2_image.backbone.state_dict()
    assert own
    assert all(torch.equal(tensor, source[name]) for name, tensor in own.items())


@pytest.mark.parametrize("kind", KINDS)
def test_saving_and_loading_changes_no_bit(kind: str, tmp_path: Path) -> None:
    net = new_net(**KINDS[kind], id2label={0: "no", 1: "yes", 2: "maybe"})
    net(**inputs(4)).logits.sum().backward()  # moves the batch-norm statistics
    net.save_pretrained(tmp_path)
    loaded = ParallelNet.from_pretrained(tmp_path)
    own, theirs = net.state_dict(), loaded.state_dict()
    assert list(own) == list(theirs)
    assert any(name.endswith("num_batches_tracked") and int(tensor) == 1 for name, tensor in theirs.items())
    assert all(torch.equal(own[name], theirs[name]) for name in own)
    assert torch.equal(logits(net.eval(), **inputs()), logits(loaded, **inputs()))
    assert loaded.config.id2label == {0: "no", 1: "yes", 2: "maybe"}
    assert loaded.config.label2id == {"no": 0, "yes": 1, "maybe": 2}


def test_checkpoint_without_a_tensor_of_a_backbone_is_refused(tmp_path: Path) -> None:
    # transformers itself only warns, and leaves what happens to lie in memory.
    tiny_net().save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["n2_image.backbone.layer1.0.conv1.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="the checkpoint lacks weights of a backbone"):
        ParallelNet.from_pretrained(tmp_path)


def test_new_classes_for_a_trained_net_get_new_last_layers_only(tmp_path: Path) -> None:
    net = tiny_net()
    net.save_pretrained(tmp_path)
    loaded = ParallelNet.from_pretrained(tmp_path, num_labels=3, ignore_mismatched_sizes=True)
    own, theirs = net.state_dict(), loaded.state_dict()
    changed = {
        name for name in own if own[name].shape != theirs[name].shape or not torch.equal(own[name], theirs[name])
    }
    assert changed == {f"head_{of}.4.{part}" for of in ("image", "speech", "mul") for part in ("weight", "bias")}
    assert logits(loaded, **inputs()).shape == (2, 3)
    assert float(theirs["head_mul.4.weight"].std()) > 0.1  # Xavier's 0.39, not what lay in memory


def test_sixteen_random_samples_are_learned_by_heart() -> None:
    net = new_net()
    x = inputs(16)
    labels = torch.arange(16) % 4
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    first = net(**x, labels=labels).loss.item()
    for _ in range(40):
        optimizer.zero_grad()
        loss = net(**x, labels=labels).loss
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1 * first
    assert torch.equal(net(**x).logits.argmax(dim=1), labels)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_gets_a_gradient(kind: str) -> None:
    # Otherwise data-parallel training stops with an error.
    net = new_net(**KINDS[kind])
    net(**inputs(4), labels=torch.arange(4)).loss.backward()
    assert [name for name, parameter in net.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("saved", [False, True])
def test_frozen_backbone_changes_in_no_bit_while_the_rest_learns(saved: bool, tmp_path: Path) -> None:
    net = tiny_net(freeze_backbone=True)
    if saved:
        net.save_pretrained(tmp_path)
        net = ParallelNet.from_pretrained(tmp_path)
    net.train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    net(**inputs(4), labels=torch.arange(4)).loss.backward()
    optimizer.step()
    same = {name for name, tensor in net.state_dict().items() if torch.equal(tensor, before[name])}
    assert same == {name for name in before if ".backbone." in name}
    assert net.n2_image.norm.training  # N2's own batch-norm is trained
    assert not any(part.training for part in net.n2_image.backbone.modules())


def test_backbone_that_is_not_frozen_learns_its_statistics_too() -> None:
    net = tiny_net().train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    net(**inputs(4))
    changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {name.rpartition(".")[2] for name in changed} == {"running_mean", "running_var", "num_batches_tracked"}
    assert {name.partition(".")[0] for name in changed} == {"n1_image", "n1_speech", "n2_image", "n2_speech"}


def test_missing_weights_are_an_error_of_the_model(tmp_path: Path) -> None:
    net = tiny_net()
    with pytest.raises(ModelError, match="test_resnet: no packaged weights"):
        load_backbones(net, "image", None)
    with pytest.raises(ModelError, match=r"none\.pth: no such file"):
        load_backbones(net, "speech", tmp_path / "none.pth")
    with pytest.raises(ValueError, match="image only has no backbone for speech"):
        load_backbones(tiny_net(modalities="image"), "speech", None)
