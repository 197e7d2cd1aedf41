"""Losses of section 4.2: cross-entropy, focal loss, and their weighted combination.

In   logits [n, classes], floating point; labels int64 [n], or float32 [n, classes]: a distribution for each row
Out  a scalar float32

Both are means over the batch. With class weights w the mean is torch's for `cross_entropy`: the sum of w[label] * loss
divided by the sum of w[label], so that weights change the balance of the classes and not the size of the loss.
All is computed in float32, whatever the logits are under mixed precision.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div


def focal_loss(logits: Tensor, labels: Tensor, gamma: float, class_weights: Tensor | None = None) -> Tensor:
    """Mean of -(1 - p)^gamma * log(p), where p is the probability of the label (Lin et al., the paper's [16]).

    With gamma = 0 this is the cross-entropy; the higher, the less rows count that are already right.
    """
    log_p = logits.float().log_softmax(dim=1).gather(1, labels.unsqueeze(1)).squeeze(1)
    # The floor keeps gradients finite where p is 1 and gamma is below 1.
    wrong = (-log_p.expm1()).clamp_min(torch.finfo(torch.float32).tiny)
    losses = -log_p * wrong.pow(gamma)
    if class_weights is None:
        return losses.mean()
    weights = class_weights.to(losses)[labels]
    return (weights * losses).sum() / weights.sum()


def soft_losses(logits: Tensor, targets: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Kullback-Leibler divergence of each row's softmax from its target, and its focal loss, [n] each.

    The focal loss of a distribution is the mean of its classes' by their probability. Where a target names one class,
    both are those of a label.
    """
    log_p = logits.float().log_softmax(dim=1)
    wrong = (-log_p.expm1()).clamp_min(torch.finfo(torch.float32).tiny)
    divergence = kl_div(log_p, targets, reduction="none").sum(dim=1)
    return divergence, (-targets * log_p * wrong.pow(gamma)).sum(dim=1)


@dataclass(frozen=True)
class CombinedLoss:
    """Cross-entropy + focal_weight * alpha * focal loss; the paper has weights 1 and 0.5, and gamma 2."""

    focal_weight: float
    gamma: float
    class_weights: Tensor | None = None
    alpha: float = 1.0

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of logits [n, classes] for labels [n] or distributions [n, classes]."""
        weights = None if self.class_weights is None else self.class_weights.to(logits.device, torch.float32)
        if labels.is_floating_point():
            first, focal = soft_losses(logits, labels, self.gamma)
            of_rows = first + self.focal_weight * self.alpha * focal
            rows = torch.ones_like(of_rows) if weights is None else labels @ weights
            return (rows * of_rows).sum() / rows.sum()
        focal = self.alpha * focal_loss(logits, labels, self.gamma, weights)
        return cross_entropy(logits.float(), labels, weight=weights) + self.focal_weight * focal
