"""The parts of ParallelNet (Fig. 2): N1, N2, the crossing before N2, heads and weighted addition.

Shapes: n rows; pictures [n, 3, h, w] in [0, 1]; codes [n, code_size], from 0 up; logits [n, classes].
"""

from collections.abc import Sequence
from typing import Any, Self, TypedDict

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from .backbone_architectures import bare_backbone, feature_maps, feature_shape


class BatchNorm(TypedDict):
    """`momentum`, the share of a batch in the running statistics, and `eps`, added to the variance."""

    momentum: float
    eps: float


TORCH: BatchNorm = {"momentum": 0.1, "eps": 1e-5}


class N1(nn.Module):
    """Blocks of two 3 x 3 convolutions and a max-pool, then batch-norm, flatten and, with a code_size, a dense layer.

    Inputs have `in_channels` (3 for a picture, 1 for a spectrogram) and `size`; `channels` are those of the blocks.
    """

    def __init__(
        self,
        in_channels: int,
        size: tuple[int, int],
        channels: Sequence[int],
        code_size: int | None,
        norm: BatchNorm = TORCH,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = in_channels
        for block in channels:
            layers += [nn.Conv2d(width, block, 3, padding=1), nn.ReLU(inplace=True)]
            layers += [nn.Conv2d(block, block, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
            width = block
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(width, **norm)
        height, length = (side >> len(channels) for side in size)
        self.dense = None if code_size is None else nn.Linear(width * height * length, code_size)

    def feature_map(self, inputs: Tensor) -> Tensor:
        """What stands before the dense layer: [n, channels[-1], h >> blocks, w >> blocks] of [n, in_channels, h, w]."""
        maps: Tensor = self.norm(self.blocks(inputs))
        return maps

    def code(self, feature_map: Tensor) -> Tensor:
        """Code [n, code_size] of a feature map."""
        assert self.dense is not None  # ParallelNet asks only where there is one
        return relu(self.dense(feature_map.flatten(1)))

    def forward(self, inputs: Tensor) -> Tensor:
        """Code [n, code_size] of inputs [n, in_channels, h, w]."""
        return self.code(self.feature_map(inputs))


class N2(nn.Module):
    """A pretrained backbone (see `backbone_architectures`), then batch-norm, flatten and a dense layer.

    With `freeze` the backbone is not trained; it stays in evaluation mode, so that training does not move its
    batch-norm statistics and drops nothing out.
    """

    def __init__(
        self, backbone: str, size: tuple[int, int], code_size: int, *, freeze: bool, norm: BatchNorm = TORCH
    ) -> None:
        super().__init__()
        self.feature_shape = channels, height, width = feature_shape(backbone, *size)
        self.backbone: nn.Module = bare_backbone(backbone)
        self.norm = nn.BatchNorm2d(channels, **norm)
        self.dense = nn.Linear(channels * height * width, code_size)
        pretrained_cfg: Any = self.backbone.pretrained_cfg
        self._mean: tuple[float, ...] = tuple(pretrained_cfg["mean"])
        self._std: tuple[float, ...] = tuple(pretrained_cfg["std"])
        self._freeze = freeze
        self.train()

    def features(self, pictures: Tensor) -> Tensor:
        """What the backbone sees in pictures [n, 3, h, w] in [0, 1], normalised here as it was pretrained.

        Returns [n, *feature_shape].
        """
        mean, std = (pictures.new_tensor(values).view(3, 1, 1) for values in (self._mean, self._std))
        return feature_maps(self.backbone, (pictures - mean).div_(std))

    def code(self, features: Tensor) -> Tensor:
        """Code [n, code_size] of `features`."""
        return relu(self.dense(self.norm(features).flatten(1)))

    def forward(self, pictures: Tensor) -> Tensor:
        """Code [n, code_size] of pictures [n, 3, h, w] in [0, 1]."""
        return self.code(self.features(pictures))

    def train(self, mode: bool = True) -> Self:
        """As of any module, but a frozen backbone stays frozen and in evaluation mode."""
        super().train(mode)
        if self._freeze:
            # Again each time: from_pretrained puts new parameters in place, which are to be trained, and ends by eval.
            self.backbone.eval().requires_grad_(False)
        return self


class N2Words(nn.Module):
    """Frames of a frozen encoder outside (see `word_frames`), then batch-norm, flatten and a dense layer."""

    def __init__(self, frames: int, channels: int, code_size: int, norm: BatchNorm = TORCH) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels, **norm)
        self.dense = nn.Linear(channels * frames, code_size)

    def forward(self, word_frames: Tensor) -> Tensor:
        """Code [n, code_size] of word frames [n, frames, channels]."""
        return relu(self.dense(self.norm(word_frames.transpose(1, 2)).flatten(1)))


class GreyToColour(nn.Conv2d):
    """The 1 x 1 convolution from a spectrogram to three channels; starts as a grey picture (weights 1, bias 0).

    Without `learn` it stays one.
    """

    def __init__(self, *, learn: bool = True) -> None:
        super().__init__(1, 3, 1)
        self._learn = learn
        self.train()

    def train(self, mode: bool = True) -> Self:
        """As of any module, but what does not learn stays so; see `N2.train`."""
        super().train(mode)
        if not self._learn:
            self.requires_grad_(False)
        return self


class Crossing(nn.Module):
    """A feature map of one modality's N1 as three channels of the size of the other's N2 input."""

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, 3, 1)
        self._size = size

    def forward(self, feature_map: Tensor) -> Tensor:
        """[n, 3, *size] of [n, channels, h, w], resized bilinearly."""
        return interpolate(self.project(feature_map), size=self._size, mode="bilinear", align_corners=False)


class Head(nn.Sequential):
    """Dense code_size -> head_size -> head_size -> classes, ReLU between (section 3.2.2)."""

    def __init__(self, code_size: int, head_size: int, classes: int) -> None:
        super().__init__(
            nn.Linear(code_size, head_size),
            nn.ReLU(inplace=True),
            nn.Linear(head_size, head_size),
            nn.ReLU(inplace=True),
            nn.Linear(head_size, classes),
        )


class WeightedAddition(nn.Module):
    """Sum of tensors by learned weights, the softmax of a free vector, so above 0 and with sum 1 (Eq. 2)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(inputs))

    @property
    def weights(self) -> Tensor:
        """Weights [inputs]."""
        return self.scores.softmax(dim=0)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Weighted sum, of the shape of each input."""
        first, *others = (weight * tensor for weight, tensor in zip(self.weights, inputs, strict=True))
        total: Tensor = sum(others, start=first)
        return total
