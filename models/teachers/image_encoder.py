"""Pictures to vectors: a frozen backbone of timm's, averaged over the picture.

In   `PIL.Image.Image`, RGB, any size
Out  float32 [n, num_features] (1,280 for tf_efficientnet_lite0): global average of `forward_features`, and with
     pooling `mean_std` their standard deviation beside it; of a network without feature maps what its head would read

A picture is squeezed to the backbone's input square (224 x 224) by bicubic resampling, whatever its aspect ratio, so
that nothing of it is cut off. Centre crops, padding and larger squares were tried on 102 photographs of four
emotions: all lie within the noise of two points.

The last bits depend on torch's thread count: for results that do not vary with the machine, the process calls
`torch.set_num_threads(1)` (parallelism belongs to the worker processes).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from models.errors import ModelError
from models.parallelnet.backbone_architectures import size_options
from models.teachers.encoder_settings import PACKAGED, EncoderSettings, Pooling
from models.weights.backbones import HUB, create_backbone, fetched, weights_sha256
from models.weights.onnx_graph import Run, on_cpu

# Changed by hand whenever the way from picture to vector changes, so that old scores are not taken for new ones.
_RECIPE = "squeezed bicubic, float32, global average, version 2"


class _Pooled(nn.Module):
    def __init__(self, backbone: nn.Module, pooling: Pooling) -> None:
        super().__init__()
        self.backbone: Any = backbone
        self.pooling = pooling

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Vectors [n, dimensions]; ValueError if there are no feature maps to pool."""
        features: torch.Tensor = self.backbone.forward_features(pixels)
        maps = features.ndim == 4 and features.shape[1] == self.backbone.num_features
        if not maps and self.pooling != "own":
            raise ValueError("it has no feature maps; expected pooling own")
        if self.pooling == "mean_std":
            return torch.cat([features.mean(dim=(2, 3)), features.std(dim=(2, 3), correction=0)], dim=1)
        if maps:
            return features.mean(dim=(2, 3))
        pooled: torch.Tensor = self.backbone.forward_head(features, pre_logits=True)
        return pooled


class TimmEncoder:
    """A frozen timm backbone with its weights, packaged, from the Hub or of a file; ModelError if there are none.

    A batch_size of 1 picture per forward pass is as fast as any on a CPU; above it, the last bits of a vector depend on
    how many pictures share the pass. Raise it on a GPU only.
    """

    def __init__(
        self,
        name: str = "tf_efficientnet_lite0",
        settings: EncoderSettings | None = None,
        *,
        device: str = "cpu",
        batch_size: int = 1,
    ) -> None:
        settings = settings or EncoderSettings()
        if settings.layers != "last":
            raise ModelError(f"encoder {name}: layers {settings.layers}: of a timm network expected last")
        weights = None
        if settings.weights != PACKAGED:
            weights = fetched(name, HUB if settings.weights == HUB else Path(settings.weights), settings.revision)
        if settings.weights == HUB and weights:
            settings = replace(settings, revision=weights.parent.name)
        model: Any = create_backbone(name, pretrained=True, weights=weights)
        # Channels last is about 1.4 times as fast on a CPU for depthwise convolutions.
        model = model.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
        self._device = device
        self._batch_size = batch_size
        config = model.pretrained_cfg
        made_for = size_options(name).get("img_size", config["input_size"][-1])
        self._side_px = int(made_for)
        example = torch.zeros(1, 3, self._side_px, self._side_px)
        pooled = _Pooled(model, settings.pooling)
        try:
            with torch.inference_mode():
                self.dimensions = int(pooled(example.to(device)).shape[1])
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"encoder {name}: gives no vector, but: {' '.join(str(error).split())[:200]}") from None
        self._network, self._example = pooled, example
        self._mean = np.asarray(config["mean"], dtype=np.float32)
        self._std = np.asarray(config["std"], dtype=np.float32)
        self.name, self.settings = name, settings
        recipe = f"{name} {weights_sha256(name, weights)} {self._side_px} {config['mean']} {config['std']} {_RECIPE}"
        if settings.revision or settings.pooling == "mean_std":  # the digests of others are as they always were
            recipe += f" {settings.revision} {settings.pooling}"
        self.digest = hashlib.sha256(recipe.encode()).hexdigest()

    def check(self, item: Image.Image) -> None:
        """Every RGB picture can be encoded; anything else is a fault of the caller, and a ValueError."""
        if item.mode != "RGB":
            raise ValueError(f"expected an RGB picture, found mode {item.mode}")

    def encode(self, batch: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Vectors float32 [n, dimensions] of n RGB pictures."""
        vectors = np.empty((len(batch), self.dimensions), dtype=np.float32)
        for start in range(0, len(batch), self._batch_size):
            chunk = batch[start : start + self._batch_size]
            pixels = np.stack([self._pixels(image) for image in chunk]).transpose(0, 3, 1, 2)
            vectors[start : start + len(chunk)] = self.settings.rounded(self._run(pixels))
        return vectors

    @cached_property
    def _graph(self) -> Run | None:
        # Not before there is a picture: who finds all vectors kept needs none.
        return on_cpu(self._network, self._example) if self._device == "cpu" else None

    def _run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._graph is not None:
            return self._graph(pixels)
        tensor = torch.from_numpy(pixels).to(self._device, memory_format=torch.channels_last)
        with torch.inference_mode():
            vectors: NDArray[np.float32] = self._network(tensor).cpu().numpy()
        return vectors

    def _pixels(self, image: Image.Image) -> NDArray[np.float32]:
        """Normalised pixels, float32 [side, side, 3]."""
        self.check(image)
        square = image.resize((self._side_px, self._side_px), Image.Resampling.BICUBIC)
        pixels = np.asarray(square, dtype=np.float32) / np.float32(255)
        return (pixels - self._mean) / self._std
