"""Best-first order: expand where the output moves most.

A tree that is expanded whole gives the values of level order. With a budget, evaluations go to the nodes that carry
the effect, and evidence that sits in a few cells is found with a fraction of the evaluations.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import NamedTuple

import numpy as np

from models.shapley.expansion import Items, Ledger, expand, root_item
from models.shapley.game import BoolArray, Evaluator
from models.shapley.trees import Tree

# Two masks for each of 32 items. A constant, and not batch_size, because it decides which items are chosen.
MASKS_PER_PASS = 64


class _Open(NamedTuple):
    """An item on the heap: largest |weighted effect| first, older ones first among equals."""

    priority: float
    number: int
    node: int
    context: BoolArray
    v_absent: float
    v_present: float
    weight: float


def expand_best_first(tree: Tree, evaluate: Evaluator, max_evals: int | None) -> tuple[Ledger, Items]:
    """Expands the items with the largest |effect| * weight, 32 (64 masks) per pass, until none or no budget is left.

    Args:
        tree: the tree.
        evaluate: the game; must be unused.
        max_evals: the most evaluations, at least 2; None expands everything.

    Returns:
        The ledger and the root's item. Without a budget the evaluations are those of level order.
    """
    ledger = Ledger(tree)
    root = root_item(tree, evaluate)
    numbers = count()
    heap: list[_Open] = []

    def push(items: Items) -> None:
        ledger.credit(items)
        inner = items.inner(tree)
        columns = (-np.abs(inner.weighted_effect), inner.node, inner.v_absent, inner.v_present, inner.weight)
        for (priority, node, *rest), context in zip(
            zip(*(column.tolist() for column in columns), strict=True), inner.context, strict=True
        ):
            heapq.heappush(heap, _Open(priority, next(numbers), int(node), context, *rest))

    push(root)
    while heap:
        affordable = len(heap) if max_evals is None else (max_evals - evaluate.evaluations) // 2
        chosen = [heapq.heappop(heap) for _ in range(min(MASKS_PER_PASS // 2, affordable, len(heap)))]
        if not chosen:
            break
        push(expand(tree, _columns(chosen), evaluate))
    if heap:
        ledger.hold(_columns(heap))
    return ledger, root


def _columns(entries: list[_Open]) -> Items:
    return Items(
        node=np.array([entry.node for entry in entries], dtype=np.int64),
        context=np.stack([entry.context for entry in entries]),
        v_absent=np.array([entry.v_absent for entry in entries]),
        v_present=np.array([entry.v_present for entry in entries]),
        weight=np.array([entry.weight for entry in entries]),
    )
