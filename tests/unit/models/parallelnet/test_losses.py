"""Losses: hand-worked values, and torch's cross-entropy where the two must agree."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, one_hot

from models.parallelnet.losses import CombinedLoss, focal_loss

# Probabilities 1/2 of class 0 and 1/10 of class 1: what the labels are given.
LOGITS = torch.tensor([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1]]).log()
LABELS = torch.tensor([0, 1])


def batch(seed: int, rows: int = 12, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(rows, classes, generator=generator), torch.randint(classes, (rows,), generator=generator)


def test_focal_loss_of_two_rows_worked_by_hand() -> None:
    by_hand = (0.5**2 * math.log(2) + 0.9**2 * math.log(10)) / 2
    assert float(focal_loss(LOGITS, LABELS, gamma=2)) == pytest.approx(by_hand, rel=1e-6)


def test_class_weights_worked_by_hand_divide_by_the_sum_of_the_labels_weights() -> None:
    weights = torch.tensor([3.0, 1.0, 100.0])  # the third class has no row, and so no say
    by_hand = (3 * 0.5**2 * math.log(2) + 1 * 0.9**2 * math.log(10)) / (3 + 1)
    assert float(focal_loss(LOGITS, LABELS, 2, weights)) == pytest.approx(by_hand, rel=1e-6)


def test_combination_worked_by_hand() -> None:
    by_hand = (math.log(2) + math.log(10)) / 2 + 0.5 * (0.5**2 * math.log(2) + 0.9**2 * math.log(10)) / 2
    assert float(CombinedLoss(focal_weight=0.5, gamma=2)(LOGITS, LABELS)) == pytest.approx(by_hand, rel=1e-6)


@given(st.integers(0, 1000), st.booleans())
@settings(max_examples=25, deadline=None)
def test_gamma_0_is_torchs_cross_entropy_and_its_gradient(seed: int, weighted: bool) -> None:
    logits, labels = batch(seed)
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0]) if weighted else None
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss, expected = focal_loss(ours, labels, 0, weights), cross_entropy(theirs, labels, weight=weights)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(*(torch.autograd.grad(x, y)[0] for x, y in ((loss, ours), (expected, theirs))))


@given(st.integers(0, 1000), st.floats(0.1, 5), st.booleans())
@settings(max_examples=25, deadline=None)
def test_combination_is_cross_entropy_plus_weighted_focal_loss(seed: int, weight: float, weighted: bool) -> None:
    logits, labels = batch(seed)
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0]) if weighted else None
    expected = cross_entropy(logits, labels, weight=weights) + weight * focal_loss(logits, labels, 2, weights)
    torch.testing.assert_close(CombinedLoss(weight, 2, weights)(logits, labels), expected)


@given(st.integers(0, 1000), st.floats(0, 4), st.floats(0.1, 4))
@settings(max_examples=25, deadline=None)
def test_higher_gamma_gives_a_lower_loss(seed: int, gamma: float, more: float) -> None:
    logits, labels = batch(seed)
    assert float(focal_loss(logits, labels, gamma + more)) < float(focal_loss(logits, labels, gamma))


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2])
def test_certain_rows_right_or_wrong_have_finite_gradients(gamma: float) -> None:
    logits = torch.tensor([[500.0, -500.0], [500.0, -500.0]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([0, 1]), gamma)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == pytest.approx(500)  # 1,000 for the wrong row, 0 for the right one
    assert bool(gradient.isfinite().all())


def test_low_precision_logits_give_a_float32_loss() -> None:
    logits, labels = batch(0)
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
    loss = CombinedLoss(0.5, 2, weights)(logits.bfloat16(), labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, CombinedLoss(0.5, 2, weights)(logits.bfloat16().float(), labels))


def test_a_target_of_one_class_costs_what_its_label_costs() -> None:
    """Kullback-Leibler divergence from one class is its cross-entropy; so for rows of any weight."""
    torch.manual_seed(0)
    logits, labels = torch.randn(9, 4), torch.arange(9) % 4
    for weights in (None, torch.tensor([1.0, 2.0, 0.5, 3.0])):
        loss = CombinedLoss(0.5, 2, weights, 0.25)
        torch.testing.assert_close(loss(logits, one_hot(labels, 4).float()), loss(logits, labels))


def test_a_soft_target_by_hand() -> None:
    # Softmax of 0 and log 3 is .25 and .75; the target .5 and .5.
    logits, targets = torch.tensor([[0.0, math.log(3)]]), torch.tensor([[0.5, 0.5]])
    divergence = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    focal = -0.5 * math.log(0.25) * 0.75**2 - 0.5 * math.log(0.75) * 0.25**2
    assert float(CombinedLoss(0.5, 2)(logits, targets)) == pytest.approx(divergence + 0.5 * focal, rel=1e-6)
    assert float(CombinedLoss(0.0, 2)(torch.zeros(1, 2), targets)) == pytest.approx(0.0, abs=1e-7)
