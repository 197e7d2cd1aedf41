"""ParallelNet: sizes counted by hand, and Eq. 1 and 2 computed again in NumPy from the same weights.

Networks of full size are built on torch's meta device: they have shapes, but no memory.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import timm
import torch
from scipy.signal import correlate2d
from torch import Tensor

from models.parallelnet.parallelnet import ParallelNet
from models.parallelnet.parallelnet_config import ParallelNetConfig
from tests.builders_nets import KINDS, inputs, logits, tiny_net
from tests.unit.models.parallelnet.test_backbone_architectures import BACKBONES

Array = Any  # NumPy, float64


def linear(size_in: int, size_out: int) -> int:
    return size_in * size_out + size_out


def convolutions(width: int) -> int:
    """N1's six 3 x 3 convolutions, and its batch-norm of two numbers per channel."""
    widths = [width, 64, 64, 128, 128, 256, 256]
    return sum(9 * i * o + o for i, o in pairwise(widths)) + 2 * 256


def n2(name: str) -> int:
    parameters, (channels, height, width) = BACKBONES[name]
    return parameters + 2 * channels + linear(channels * height * width, 512)


HEAD = linear(512, 1024) + linear(1024, 1024) + linear(1024, 4)
N1_DENSE = linear(256 * 16 * 16, 512)  # three halvings of 128 pixels
CROSSING = linear(256, 3)
GREY_TO_COLOUR = linear(1, 3)
N2_BOTH = n2("vgg19") + n2("vgg16") + GREY_TO_COLOUR
CONVOLUTIONS = convolutions(3) + convolutions(1)
PAPER_SIZES = {
    "fusion 1": N2_BOTH + CONVOLUTIONS + 2 * N1_DENSE + 2 * CROSSING + 3 * HEAD + 3,
    "fusion 2": N2_BOTH + CONVOLUTIONS + 2 * CROSSING + 3 * HEAD + 3,
    "fusion 3": N2_BOTH + CONVOLUTIONS + 2 * N1_DENSE + 3 * HEAD + 3,
    "weighted": N2_BOTH + CONVOLUTIONS + 2 * N1_DENSE + 3 * HEAD + 3 + 2,
    "image": n2("vgg19") + HEAD,
    "speech": n2("vgg16") + GREY_TO_COLOUR + HEAD,
}


@pytest.mark.parametrize("kind", KINDS)
def test_papers_network_has_the_size_counted_by_hand_in_every_configuration(kind: str) -> None:
    with torch.device("meta"):
        net = ParallelNet(ParallelNetConfig(**KINDS[kind]))
        output = net(torch.empty(5, 3, 128, 128), torch.empty(5, 1, 128, 128))
    assert sum(parameter.numel() for parameter in net.parameters()) == PAPER_SIZES[kind]
    assert output.logits.shape == (5, 4)
    assert output.loss is None


def test_papers_network_has_117_million_parameters() -> None:
    assert PAPER_SIZES["fusion 3"] == 117_268_373


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_has_the_size_counted_by_hand_and_gives_logits(name: str) -> None:
    with torch.device("meta"):
        net = ParallelNet(ParallelNetConfig(modalities="image", image_backbone=name))
        shape = net(torch.empty(2, 3, 128, 128)).logits.shape
    assert sum(parameter.numel() for parameter in net.parameters()) == n2(name) + HEAD
    assert shape == (2, 4)


def numpy_of(tensor: Tensor | None) -> Array:
    assert tensor is not None
    return tensor.detach().numpy().astype(np.float64)


def dense(layer: Any, rows: Array) -> Array:
    weights = {name: numpy_of(tensor) for name, tensor in layer.named_parameters()}
    return rows @ weights["weight"].T + weights["bias"]


def head(layers: Any, rows: Array) -> Array:
    hidden = np.maximum(dense(layers[0], rows), 0)
    return dense(layers[4], np.maximum(dense(layers[2], hidden), 0))


def softmax(scores: Array) -> Array:
    return np.exp(scores) / np.exp(scores).sum()


def batch_norm(layer: Any, maps: Array) -> Array:
    weight, bias, mean, variance = (
        numpy_of(tensor)[:, None, None] for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var)
    )
    return (maps - mean) / np.sqrt(variance + layer.eps) * weight + bias


@pytest.mark.parametrize("fusion_op", ["multiply", "weighted_add"])
def test_equations_1_and_2_computed_again_from_the_codes(fusion_op: str) -> None:
    net = tiny_net(fusion_op=fusion_op)
    x = inputs(3)
    with torch.inference_mode():
        n1_i, n2_i = map(numpy_of, net.encode_image(x["pixel_values"]))
        n1_s, n2_s = map(numpy_of, net.encode_speech(x["spectrogram"]))
    f_i, f_s = n1_i + n2_s, n1_s + n2_i
    if fusion_op == "multiply":
        f_mul = f_i * f_s
    else:
        a_speech, a_image = softmax(numpy_of(net.early_fusion.scores))
        f_mul = a_speech * f_s + a_image * f_i
    w = softmax(numpy_of(net.late_fusion.scores))
    o = w[0] * head(net.head_speech, f_s) + w[1] * head(net.head_image, f_i) + w[2] * head(net.head_mul, f_mul)
    np.testing.assert_allclose(logits(net, **x), o, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(numpy_of(net.fusion_weights), w, rtol=1e-6)
    assert min(n1_i.min(), n2_i.min(), n1_s.min(), n2_s.min()) == 0  # ReLU
    assert (f_mul > 0).any()


def test_n1_computed_again_with_scipy() -> None:
    net = tiny_net()
    x = inputs(1)
    maps = numpy_of(x["spectrogram"])[0]
    for number in (0, 2, 5, 7):  # two convolutions, a pool, two convolutions, a pool
        convolution: Any = net.n1_speech.blocks[number]
        kernels, biases = numpy_of(convolution.weight), numpy_of(convolution.bias)
        maps = np.stack([
            bias + sum(correlate2d(one, weights, mode="same") for one, weights in zip(maps, kernel, strict=True))
            for kernel, bias in zip(kernels, biases, strict=True)
        ])  # fmt: skip
        maps = np.maximum(maps, 0)
        if number in {2, 7}:
            channels, height, width = maps.shape
            maps = maps.reshape(channels, height // 2, 2, width // 2, 2).max(axis=(2, 4))
    normed = batch_norm(net.n1_speech.norm, maps)
    assert normed.shape == (6, 8, 16)
    expected = np.maximum(dense(net.n1_speech.dense, normed.reshape(1, -1)), 0)
    np.testing.assert_allclose(numpy_of(net.encode_speech(x["spectrogram"])[0]), expected, rtol=1e-4, atol=1e-5)


def test_n2_normalises_pixels_and_computes_on_from_the_backbones_features() -> None:
    net: Any = tiny_net()
    x = inputs(2)
    colour = net.grey_to_colour
    grey = numpy_of(x["spectrogram"]) * numpy_of(colour.weight)[None, :, 0] + numpy_of(colour.bias)[:, None, None]
    for n2_of, name, pictures, code in (
        (net.n2_image, "test_resnet", numpy_of(x["pixel_values"]), net.encode_image(x["pixel_values"])[1]),
        (net.n2_speech, "test_efficientnet", grey, net.encode_speech(x["spectrogram"])[1]),
    ):
        cfg = timm.get_pretrained_cfg(name)  # the two differ
        mean, std = np.array(cfg.mean)[:, None, None], np.array(cfg.std)[:, None, None]
        features = numpy_of(n2_of.backbone.forward_features(torch.from_numpy((pictures - mean) / std).float()))
        flat = np.stack([batch_norm(n2_of.norm, maps).ravel() for maps in features])
        expected = np.maximum(dense(n2_of.dense, flat), 0)
        assert expected.any()
        np.testing.assert_allclose(numpy_of(code), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["vgg19", "inception_v3"])
def test_pixels_are_normalised_as_each_backbone_was_pretrained(name: str) -> None:
    with torch.device("meta"):
        net: Any = ParallelNet(ParallelNetConfig(modalities="image", image_backbone=name))
    seen: list[Tensor] = []
    net.n2_image.backbone.forward_features = seen.append
    with pytest.raises(AttributeError):  # the backbone was replaced: nothing follows it
        net.n2_image(torch.full((1, 3, 128, 128), 0.75))
    cfg = timm.get_pretrained_cfg(name)
    expected = [(0.75 - mean) / std for mean, std in zip(cfg.mean, cfg.std, strict=True)]
    np.testing.assert_allclose(seen[0][0, :, 7, 9], expected, rtol=1e-6)


@pytest.mark.parametrize("fusion", [1, 2])
def test_criss_cross_before_n2_computed_again_from_its_parts(fusion: int) -> None:
    net = tiny_net(fusion=fusion)
    x = inputs(2)
    with torch.inference_mode():
        maps = {
            "image": net.n1_image.feature_map(x["pixel_values"]),
            "speech": net.n1_speech.feature_map(x["spectrogram"]),
        }
        crossed = {}
        for source, to, size in (("image", "speech", (32, 64)), ("speech", "image", (32, 32))):
            project = getattr(net, f"{source}_to_{to}").project
            colours = np.einsum("oc,nchw->nohw", numpy_of(project.weight)[:, :, 0, 0], numpy_of(maps[source]))
            colours += numpy_of(project.bias)[:, None, None]
            crossed[to] = torch.nn.functional.interpolate(torch.from_numpy(colours).float(), size=size, mode="bilinear")
        n2_s = numpy_of(net.n2_speech(net.grey_to_colour(x["spectrogram"]) + crossed["speech"]))
        n2_i = numpy_of(net.n2_image(x["pixel_values"] + crossed["image"]))
        if fusion == 1:
            n1_i, n1_s = numpy_of(net.n1_image.code(maps["image"])), numpy_of(net.n1_speech.code(maps["speech"]))
            f_i, f_s = n1_i + n2_s, n1_s + n2_i
        else:
            f_i, f_s = n2_i, n2_s
    w = softmax(numpy_of(net.late_fusion.scores))
    o = w[0] * head(net.head_speech, f_s) + w[1] * head(net.head_image, f_i) + w[2] * head(net.head_mul, f_i * f_s)
    np.testing.assert_allclose(logits(net, **x), o, rtol=1e-3, atol=1e-4)


def test_fusing_the_codes_is_the_forward_pass_exactly() -> None:
    net = tiny_net()
    x = inputs(3)
    with torch.inference_mode():
        image, speech = net.encode_image(x["pixel_values"]), net.encode_speech(x["spectrogram"])
        assert torch.equal(net.fuse(image, speech), logits(net, **x))
        pairs = net.fuse((image[0][:, None], image[1][:, None]), speech)
        assert pairs.shape == (3, 3, 4)
        torch.testing.assert_close(pairs.diagonal().T, logits(net, **x))
        swapped = logits(net, pixel_values=x["pixel_values"][[0]], spectrogram=x["spectrogram"][[2]])
        torch.testing.assert_close(pairs[0, 2], swapped[0])
