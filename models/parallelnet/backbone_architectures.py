"""Networks by name, without weights and without classifier: the N2 of ParallelNet.

In   a name: timm's (vgg16, resnet50, tf_efficientnet_lite0 ...), or googlenet_3a and googlenet_4a: the paper's
     "Inception 3a" and "Inception 4a", torchvision's GoogLeNet up to and with the module of that name
Out  an `nn.Module` with random weights, and `feature_maps` of it: float32 [n, 3, h, w], normalised by the mean and std
     of its `pretrained_cfg`, to [n, num_features, h / stride, w / stride]

Vision transformers (timm's vit_*, among them the towers of CLIP, SigLIP and DINOv2) see pictures scaled to the one size
they are made for, at most 224 pixels, and what they say of patches is averaged to 4 x 4 maps, as many as VGG19 has of
128 pixels: the dense layer that reads them would have tens of millions of weights otherwise.
"""

import difflib
from functools import cache
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate
from torchvision.models import GoogLeNet

# Name of the last module, and its channels: those of its four branches together.
GOOGLENET_CUTS = {
    "googlenet_3a": ("inception3a", 64 + 128 + 32 + 32),
    "googlenet_4a": ("inception4a", 192 + 208 + 48 + 64),
}
TRANSFORMER_SIDE_PX = 224  # at most; their patches have 14, 16 or 32 pixels
PATCH_MAPS = 4  # their height and width


class GoogLeNetCut(nn.Module):
    """torchvision's GoogLeNet up to its module `last`, with `num_features` channels, under torchvision's names."""

    def __init__(self, last: str, num_features: int) -> None:
        super().__init__()
        for name, module in GoogLeNet(aux_logits=False, init_weights=False).named_children():
            self.add_module(name, module)  # in the order of the forward pass
            if name == last:
                break
        self.num_features = num_features
        # The ImageNet weights are TensorFlow's, which saw pixels in [-1, 1]; torchvision converts them on the way in.
        self.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "input_size": (3, 224, 224)}

    def forward_features(self, pictures: Tensor) -> Tensor:
        """Feature maps [n, num_features, h, w] of normalised pictures [n, 3, h, w]."""
        for module in self.children():
            pictures = module(pictures)
        return pictures


def check_backbone(name: str) -> None:
    """Raises ValueError for a name that `bare_backbone` does not know; suggests near ones."""
    if name in GOOGLENET_CUTS or timm.is_model(name):
        return
    near = difflib.get_close_matches(name, [*timm.list_models(), *GOOGLENET_CUTS], n=3)
    raise ValueError(f"backbone {name!r} is not a timm model" + (f"; did you mean {', '.join(near)}?" if near else ""))


def bare_backbone(name: str) -> nn.Module:
    """A network with random weights (seed torch before) and without its classifier; ValueError for an unknown name."""
    check_backbone(name)
    if name in GOOGLENET_CUTS:
        return GoogLeNetCut(*GOOGLENET_CUTS[name])
    # Nearly all of a VGG are two layers that are taken off again; making them this small saves seconds.
    options = {"mlp_ratio": 1 / 4096} if name.startswith("vgg") else size_options(name)
    return without_classifier(timm.create_model(name, pretrained=False, **options))


def size_options(name: str) -> dict[str, int]:
    """What makes a vision transformer of timm's for pictures of `TRANSFORMER_SIDE_PX`, if it is made for larger ones.

    timm then scales the positions of pretrained weights.
    """
    if name in GOOGLENET_CUTS or timm.model_entrypoint(name).__module__ != "timm.models.vision_transformer":
        return {}
    config = timm.get_pretrained_cfg(name)
    return {"img_size": TRANSFORMER_SIDE_PX} if config and config.input_size[-1] > TRANSFORMER_SIDE_PX else {}


def feature_maps(backbone: Any, pictures: Tensor) -> Tensor:
    """Feature maps [n, num_features, h, w] of normalised pictures [n, 3, h, w]; or what else such a network gives."""
    if not isinstance(backbone, timm.models.VisionTransformer):
        features: Tensor = backbone.forward_features(pictures)
        return features
    patches = backbone.patch_embed
    scaled = interpolate(pictures, size=patches.img_size, mode="bilinear", align_corners=False)
    tokens = backbone.forward_features(scaled)[:, backbone.num_prefix_tokens :]
    return adaptive_avg_pool2d(tokens.transpose(1, 2).unflatten(2, patches.grid_size), PATCH_MAPS)


def without_classifier(model: Any) -> nn.Module:
    """A timm network, cut down in place to what `forward_features` uses."""
    if isinstance(model, timm.models.VGG):
        # reset_classifier(0) would keep VGG's two 4096-wide layers, 120 M of its parameters.
        model.pre_logits = nn.Identity()
        model.head = nn.Identity()
        model.num_features = model.head_hidden_size = model.feature_info[-1]["num_chs"]
        model.num_classes = 0
    else:
        model.reset_classifier(0)
    module: nn.Module = model
    return module


@cache
def feature_shape(name: str, height_px: int, width_px: int) -> tuple[int, int, int]:
    """Channels, height and width of the feature maps of a picture; ValueError if the network has none of that size."""
    with torch.device("meta"), torch.no_grad():  # shapes only: no memory, no arithmetic
        backbone: Any = bare_backbone(name).eval()
        try:
            features = feature_maps(backbone, torch.empty(1, 3, height_px, width_px))
        except (RuntimeError, AssertionError) as error:
            found = " ".join(str(error).split())[:200]
            raise ValueError(f"backbone {name} cannot take {height_px} x {width_px} pixels: {found}") from None
    shape = tuple(features.shape) if isinstance(features, Tensor) else ()
    if len(shape) != 4 or shape[1] != backbone.num_features:
        found = str(list(shape)) if shape else f"{len(features)} sets of features"
        raise ValueError(f"backbone {name} gives no feature maps [n, channels, height, width] but {found}")
    return shape[1:]
