"""Backbones: parameters counted layer by layer from the papers' tables, shapes worked out by hand for 128 x 128 pixels.

Networks are built on torch's meta device: they have shapes, but no memory.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import GoogLeNet

from models.errors import ModelError
from models.parallelnet.backbone_architectures import bare_backbone, feature_maps, feature_shape
from models.weights.backbones import create_backbone


def conv(channels_in: int, channels_out: int, kernel: int, groups: int = 1) -> int:
    return channels_in // groups * channels_out * kernel * kernel


def norm(channels: int) -> int:
    return 2 * channels


def vgg(*convolutions: int) -> int:
    """3 x 3 convolutions with biases: 64, 64, 128, 128 and then so many of 256, 512 and 512 each."""
    widths = [64, 64, 128, 128]
    for width, number in zip((256, 512, 512), convolutions, strict=True):
        widths += [width] * number
    return sum(conv(i, o, 3) + o for i, o in pairwise([3, *widths]))


def resnet(blocks: tuple[int, ...], *, bottleneck: bool) -> int:
    total, width_in = conv(3, 64, 7) + norm(64), 64
    for width, number in zip((64, 128, 256, 512), blocks, strict=True):
        width_out = 4 * width if bottleneck else width
        for _ in range(number):
            if bottleneck:
                total += conv(width_in, width, 1) + conv(width, width, 3) + conv(width, width_out, 1)
                total += norm(width) + norm(width) + norm(width_out)
            else:
                total += conv(width_in, width, 3) + conv(width, width, 3) + 2 * norm(width)
            if width_in != width_out:  # the shortcut has to change the number of channels
                total += conv(width_in, width_out, 1) + norm(width_out)
            width_in = width_out
    return total


def mobilenet_v1() -> int:
    widths = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    stem = conv(3, 32, 3) + norm(32)
    return stem + sum(conv(i, i, 3, groups=i) + norm(i) + conv(i, o, 1) + norm(o) for i, o in pairwise(widths))


def inverted_residuals(stages: list[tuple[int, int, int, int]], *, squeeze: bool) -> int:
    """Stem of 32, stages of (expansion, channels, blocks, kernel), and a head of 1,280 channels."""
    total, width = conv(3, 32, 3) + norm(32), 32
    for expansion, channels, blocks, kernel in [*stages, LAST_STAGE]:
        for _ in range(blocks):
            middle = expansion * width
            if expansion > 1:
                total += conv(width, middle, 1) + norm(middle)
            total += conv(middle, middle, kernel, groups=middle) + norm(middle)
            if squeeze:
                total += conv(middle, width // 4, 1) + width // 4 + conv(width // 4, middle, 1) + middle
            total += conv(middle, channels, 1) + norm(channels)
            width = channels
    return total + conv(width, 1280, 1) + norm(1280)


MOBILENET_V2 = [(1, 16, 1, 3), (6, 24, 2, 3), (6, 32, 3, 3), (6, 64, 4, 3), (6, 96, 3, 3), (6, 160, 3, 3)]
EFFICIENTNET = [(1, 16, 1, 3), (6, 24, 2, 3), (6, 40, 2, 5), (6, 80, 3, 3), (6, 112, 3, 5), (6, 192, 4, 5)]
LAST_STAGE = (6, 320, 1, 3)


def densenet(*blocks: int) -> int:
    total, width = conv(3, 64, 7) + norm(64), 64
    for number, layers in enumerate(blocks):
        for _ in range(layers):
            total += norm(width) + conv(width, 128, 1) + norm(128) + conv(128, 32, 3)
            width += 32
        if number < len(blocks) - 1:
            total += norm(width) + conv(width, width // 2, 1)
            width //= 2
    return total + norm(width)


def chain(*widths: int, kernels: list[int]) -> int:
    """Convolutions with batch-norm, each of a number of weights per pair of channels (9 for 3 x 3, 7 for 1 x 7)."""
    return sum(i * o * k + norm(o) for (i, o), k in zip(pairwise(widths), kernels, strict=True))


def inception_v3() -> int:
    total = chain(3, 32, 32, 64, 80, 192, kernels=[9, 9, 9, 1, 9])
    for width, pooled in ((192, 32), (256, 64), (288, 64)):  # 35 x 35 in the paper
        total += chain(width, 64, kernels=[1]) + chain(width, 48, 64, kernels=[1, 25])
        total += chain(width, 64, 96, 96, kernels=[1, 9, 9]) + chain(width, pooled, kernels=[1])
    total += chain(288, 384, kernels=[9]) + chain(288, 64, 96, 96, kernels=[1, 9, 9])
    for middle in (128, 160, 160, 192):  # 17 x 17
        total += 2 * chain(768, 192, kernels=[1]) + chain(768, middle, middle, 192, kernels=[1, 7, 7])
        total += chain(768, middle, middle, middle, middle, 192, kernels=[1, 7, 7, 7, 7])
    total += chain(768, 192, 320, kernels=[1, 9]) + chain(768, 192, 192, 192, 192, kernels=[1, 7, 7, 9])
    for width in (1280, 2048):  # 8 x 8
        total += chain(width, 320, kernels=[1]) + chain(width, 192, kernels=[1])
        total += chain(width, 384, kernels=[1]) + 2 * chain(384, 384, kernels=[3])
        total += chain(width, 448, 384, kernels=[1, 9]) + 2 * chain(384, 384, kernels=[3])
    return total


def googlenet(*modules: tuple[int, ...]) -> int:
    """Inception modules of (in, 1 x 1, 3 x 3 reduced, 3 x 3, 5 x 5 reduced, 5 x 5, pooled).

    torchvision's 5 x 5 convolutions are 3 x 3, as the weights were trained.
    """
    total = chain(3, 64, 64, 192, kernels=[49, 1, 9])
    for width, one, three_in, three, five_in, five, pooled in modules:
        total += chain(width, one, kernels=[1]) + chain(width, three_in, three, kernels=[1, 9])
        total += chain(width, five_in, five, kernels=[1, 9]) + chain(width, pooled, kernels=[1])
    return total


MODULE_3A, MODULE_3B = (192, 64, 96, 128, 16, 32, 32), (256, 128, 128, 192, 32, 96, 64)
MODULE_4A = (480, 192, 96, 208, 16, 48, 64)

# Parameters, and the feature maps of 128 x 128 pixels: five halvings leave 4 x 4. Inception v3 pads less:
# 128 -> 63 -> 61 -> 61 -> 30 -> 28 -> 13 -> 6 -> 2. GoogLeNet's cuts lie after three halvings (rounded up) and four.
BACKBONES: dict[str, tuple[int, tuple[int, int, int]]] = {
    "vgg16": (vgg(3, 3, 3), (512, 4, 4)),
    "vgg19": (vgg(4, 4, 4), (512, 4, 4)),
    "resnet34": (resnet((3, 4, 6, 3), bottleneck=False), (512, 4, 4)),
    "resnet50": (resnet((3, 4, 6, 3), bottleneck=True), (2048, 4, 4)),
    "resnet101": (resnet((3, 4, 23, 3), bottleneck=True), (2048, 4, 4)),
    "inception_v3": (inception_v3(), (2048, 2, 2)),
    "mobilenetv1_100": (mobilenet_v1(), (1024, 4, 4)),
    "mobilenetv2_100": (inverted_residuals(MOBILENET_V2, squeeze=False), (1280, 4, 4)),
    "densenet121": (densenet(6, 12, 24, 16), (1024, 4, 4)),
    "efficientnet_b0": (inverted_residuals(EFFICIENTNET, squeeze=True), (1280, 4, 4)),
    "tf_efficientnet_lite0": (inverted_residuals(EFFICIENTNET, squeeze=False), (1280, 4, 4)),
    "googlenet_3a": (googlenet(MODULE_3A), (256, 16, 16)),
    "googlenet_4a": (googlenet(MODULE_3A, MODULE_3B, MODULE_4A), (512, 8, 8)),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_parameters_and_feature_maps_are_those_counted_by_hand(name: str) -> None:
    parameters, shape = BACKBONES[name]
    with torch.device("meta"):
        backbone = bare_backbone(name)
    assert sum(parameter.numel() for parameter in backbone.parameters()) == parameters
    assert feature_shape(name, 128, 128) == shape


def test_counts_agree_with_the_published_ones_of_whole_networks() -> None:
    # torchvision's model cards say so, with a classifier for 1,000 classes.
    assert BACKBONES["resnet50"][0] + 2048 * 1000 + 1000 == 25_557_032
    assert BACKBONES["densenet121"][0] + 1024 * 1000 + 1000 == 7_978_856
    assert BACKBONES["vgg19"][0] + (512 * 49 + 1) * 4096 + 4097 * 4096 + 4097 * 1000 == 143_667_240


@pytest.mark.parametrize("name", BACKBONES)
def test_state_is_saved_whole(name: str) -> None:
    # from_pretrained leaves a buffer that is not in the file uninitialised.
    with torch.device("meta"):
        backbone = bare_backbone(name)
    assert {key for key, _ in backbone.named_buffers()} <= set(backbone.state_dict())


def test_shape_depends_on_height_and_width() -> None:
    assert feature_shape("vgg16", 64, 160) == (512, 2, 5)


def test_asking_for_a_shape_draws_no_random_numbers() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    feature_shape.cache_clear()
    feature_shape("test_resnet", 64, 64)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "size_px", "message"),
    [
        ("vgg_19", 128, "is not a timm model; did you mean vgg19"),
        ("googlenet_3b", 128, "did you mean googlenet_3a"),
        ("inception_v3", 64, "inception_v3 cannot take 64 x 64 pixels"),
        ("crossvit_tiny_240", 240, "crossvit_tiny_240 gives no feature maps"),
        ("swin_tiny_patch4_window7_224", 128, "swin_tiny_patch4_window7_224 cannot take 128 x 128 pixels"),
    ],
)
def test_impossible_backbones_are_one_line(name: str, size_px: int, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        feature_shape(name, size_px, size_px)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("vit_base_patch16_clip_224.openai", 768), ("vit_base_patch16_siglip_224", 768),
        ("vit_small_patch14_dinov2", 384), ("test_vit", 64),
    ],
)  # fmt: skip
def test_a_vision_transformer_gives_as_many_maps_whatever_the_picture(name: str, channels: int) -> None:
    assert feature_shape(name, 128, 128) == feature_shape(name, 32, 50) == (channels, 4, 4)


def test_maps_of_a_vision_transformer_are_its_patches_of_the_scaled_picture() -> None:
    torch.manual_seed(0)
    backbone: Any = bare_backbone("test_vit").eval()  # 160 pixels, 10 x 10 patches
    pictures = torch.rand(2, 3, 160, 160)
    with torch.inference_mode():
        tokens = backbone.forward_features(pictures)[:, 1:]  # without the class token
        maps = feature_maps(backbone, pictures)
        # The last of 4 averages over the last three of 10 rows and columns.
        patches = tokens.reshape(2, 10, 10, 64)[:, 7:, 7:]
        torch.testing.assert_close(maps[:, :, 3, 3], patches.mean(dim=(1, 2)))
        small, whole = torch.full((1, 3, 8, 8), 0.3), torch.full((1, 3, 160, 160), 0.3)
        torch.testing.assert_close(feature_maps(backbone, small), feature_maps(backbone, whole))


def test_positions_of_a_large_transformer_are_scaled_and_all_else_is_as_in_its_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    large = timm.create_model("vit_tiny_patch16_384", depth=1)
    with pytest.raises(ModelError, match=r"vit_tiny_patch16_384, found"):
        save_file(large.state_dict(), tmp_path / "one_block.safetensors")
        create_backbone("vit_tiny_patch16_384", pretrained=True, weights=tmp_path / "one_block.safetensors")
    state = timm.create_model("vit_tiny_patch16_384").state_dict()
    save_file(state, tmp_path / "net.safetensors")
    own = create_backbone("vit_tiny_patch16_384", pretrained=True, weights=tmp_path / "net.safetensors").state_dict()
    assert own.pop("pos_embed").shape == (1, 1 + 14 * 14, 192)
    assert all(torch.equal(tensor, state[name]) for name, tensor in own.items())


def test_cuts_of_googlenet_give_what_torchvisions_own_modules_give(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = GoogLeNet(init_weights=False).eval()  # with the auxiliary heads that torchvision's file has
    torch.save(whole.state_dict(), tmp_path / "googlenet.pth")
    seen: dict[str, Tensor] = {}
    for name, module in {"googlenet_3a": whole.inception3a, "googlenet_4a": whole.inception4a}.items():
        module.register_forward_hook(lambda _module, _inputs, output, name=name: seen.update({name: output}))
    pictures = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        whole(pictures)
    for name, expected in seen.items():
        backbone: Any = create_backbone(name, pretrained=True, weights=tmp_path / "googlenet.pth").eval()
        with torch.inference_mode():
            assert torch.equal(backbone.forward_features(pictures), expected)
        assert all(torch.equal(tensor, whole.state_dict()[key]) for key, tensor in backbone.state_dict().items())
    assert len(seen) == 2


def test_cut_of_googlenet_is_normalised_as_torchvision_feeds_its_weights() -> None:
    backbone: Any = bare_backbone("googlenet_3a")
    pictures = torch.rand(1, 3, 8, 8)
    imagenet = [torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    with torch.device("meta"):
        whole = GoogLeNet(transform_input=True, init_weights=False)
    mean, std = (torch.tensor(backbone.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    fed = whole._transform_input((pictures - imagenet[0]) / imagenet[1])
    torch.testing.assert_close((pictures - mean) / std, fed)


def test_file_without_the_tensors_of_a_cut_is_one_line(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"other\.pth: .*googlenet_3a, found: .*Missing key") as caught:
        create_backbone("googlenet_3a", pretrained=True, weights=tmp_path / "other.pth")
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="googlenet_3a: no packaged weights"):
        create_backbone("googlenet_3a", pretrained=True)
