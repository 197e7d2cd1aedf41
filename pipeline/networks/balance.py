"""Rare classes in training: weights for the loss, or rows drawn more often.

In   class ids int64 [n]
Out  weights float32 [classes]; places of rows, an epoch's worth
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Sampler


def class_weights(labels: NDArray[np.int64], classes: int | None = None) -> NDArray[np.float32]:
    """float32 [classes]: inverse to the classes' frequency, 1 if all are even, and 1 where a class has no rows."""
    counts = np.bincount(labels, minlength=classes or 0)
    present = np.count_nonzero(counts)
    weights = np.divide(len(labels), present * counts, out=np.ones(len(counts)), where=counts > 0)
    return np.asarray(weights, dtype=np.float32)


class BalancedSampler(Sampler[int]):
    """Draws rows with replacement so that each class is as likely as any other; the same epoch draws the same rows."""

    def __init__(self, labels: NDArray[np.int64], seed: int) -> None:
        self.weights = torch.as_tensor(class_weights(labels)[labels], dtype=torch.double)
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the loader before each epoch, also when training goes on after a stop."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.weights)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return iter(torch.multinomial(self.weights, len(self), replacement=True, generator=generator).tolist())
