"""Tiny networks that tests share, in every configuration, and inputs for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.parallelnet.parallelnet import ParallelNet
from pipeline.networks.build import create_parallelnet

# Different sizes everywhere, so that none can be taken for another.
TINY: dict[str, Any] = {
    "image_backbone": "test_resnet",
    "speech_backbone": "test_efficientnet",
    "n1_channels": [4, 6],
    "code_size": 8,
    "head_size": 10,
    "image_size_px": 32,
    "n_mels": 32,
    "n_frames": 64,
}
KINDS: dict[str, dict[str, Any]] = {
    "fusion 1": {"fusion": 1},
    "fusion 2": {"fusion": 2},
    "fusion 3": {"fusion": 3},
    "weighted": {"fusion": 3, "fusion_op": "weighted_add"},
    "image": {"modalities": "image"},
    "speech": {"modalities": "speech"},
}


def new_net(seed: int = 0, **changes: Any) -> ParallelNet:
    """In training mode."""
    torch.set_num_threads(1)  # more only wait for each other in nets this small
    torch.manual_seed(seed)
    net = create_parallelnet(**TINY | changes)
    net.train()
    return net


def tiny_net(seed: int = 0, **changes: Any) -> ParallelNet:
    """In evaluation mode, with batch-norm statistics of one batch, as if trained."""
    net = new_net(seed, **changes)
    norms = [part for part in net.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.train().momentum = 1.0
    with torch.no_grad():
        net(**inputs(16, seed=9))
    for norm in norms:
        norm.momentum = 0.1
    net.eval()
    return net


def inputs(rows: int = 2, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "pixel_values": torch.rand(rows, 3, 32, 32, generator=generator),
        "spectrogram": torch.rand(rows, 1, 32, 64, generator=generator),
    }


def logits(net: ParallelNet, **given: Tensor | None) -> Tensor:
    with torch.inference_mode():
        result: Tensor = net(**given).logits
    return result


def with_small_backbones(model: Mapping[str, Any], backbone: str) -> dict[str, Any]:
    """A section `models.<name>` with few weights, and `backbone` wherever a network of the Hub would be fetched.

    What comes from torchvision is small as it is.
    """
    small: dict[str, Any] = {"n1_channels": [4], "code_size": 16, "head_size": 16}
    for side in ("image_backbone", "speech_backbone"):
        if model[side]["weights"] == "hub":
            small[side] = {**model[side], "name": backbone}
    return {**model, **small}
