"""Divide and conquer: one step of it, and the two orders that expand a tree from its root.

An item is a node in a context: some of its ancestors' siblings are present, the others absent. Its effect is
v(context + node) - v(context), and its weight 1/2 per ancestor. Expanding an item splits its effect among the two
children by the formula for two players (the paper's Eq. 3-4), each of them with its sibling absent and present:

    first child   1/2 [v(c + first) - v(c)]  + 1/2 [v(c + first + second) - v(c + second)]

Only v(c + first) and v(c + second) are new, so that an expansion costs two evaluations. No mask ever comes twice: it
names its item (on the way down from the root the siblings are all there or all absent) and the child that is there.

Level order expands whole levels. Best-first order expands where the output moves most: with a budget, evidence that
sits in a few cells is found with a fraction of the evaluations.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from models.shapley.game import BoolArray, Evaluator, FloatArray, IntArray
from models.shapley.trees import Tree

# Two masks for each of 32 items. A constant, and not batch_size, because it decides which items are chosen.
MASKS_PER_PASS = 64


@dataclass(frozen=True)
class Items:
    """k items, column by column."""

    node: IntArray  # int64 [k]
    context: BoolArray  # bool [k, n_players], the players outside the node that are present
    v_absent: FloatArray  # float64 [k], v(context)
    v_present: FloatArray  # float64 [k], v(context + node)
    weight: FloatArray  # float64 [k]

    def __len__(self) -> int:
        return len(self.node)

    @property
    def weighted_effect(self) -> FloatArray:
        """What each item contributes to its node's value, float64 [k]."""
        return self.weight * (self.v_present - self.v_absent)

    def inner(self, tree: Tree) -> "Items":
        """The items that can be expanded: those of nodes with children."""
        return self.take(tree.children[self.node, 0] >= 0)

    def take(self, rows: BoolArray | slice) -> "Items":
        """Some of the items."""
        return Items(*(column[rows] for column in vars(self).values()))

    @staticmethod
    def join(parts: Sequence["Items"]) -> "Items":
        """The items of all parts."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return Items(*(np.concatenate(column) for column in columns))


def root_item(tree: Tree, evaluate: Evaluator) -> Items:
    """All players against none: one pass, two evaluations."""
    v_empty, v_full = evaluate(np.stack([np.zeros(tree.n_players, np.bool_), tree.members[0]]))
    context = np.zeros((1, tree.n_players), dtype=np.bool_)
    return Items(np.zeros(1, dtype=np.int64), context, np.array([v_empty]), np.array([v_full]), np.ones(1))


def expand(tree: Tree, items: Items, evaluate: Evaluator) -> Items:
    """The 4k items of both children of k inner items, each child in both contexts: one pass, 2k evaluations."""
    first, second = tree.children[items.node].T
    with_first = items.context | tree.members[first]
    with_second = items.context | tree.members[second]
    v_first, v_second = np.split(evaluate(np.concatenate([with_first, with_second])), 2)
    return Items(
        node=np.concatenate([first, first, second, second]),
        context=np.concatenate([items.context, with_second, items.context, with_first]),
        v_absent=np.concatenate([items.v_absent, v_second, items.v_absent, v_first]),
        v_present=np.concatenate([v_first, items.v_present, v_second, items.v_present]),
        weight=np.tile(items.weight / 2, 4),
    )


class Ledger:
    """Adds up what items contribute to their nodes, and shares out what was never expanded.

    Sums hold at every level whatever was expanded: an item that was not leaves its effect to the leaves below its
    node, in equal parts, as nothing is known about them.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._credited = np.zeros(tree.n_nodes)
        self._held = np.zeros(tree.n_nodes)

    def credit(self, items: Items) -> None:
        """Books new items; each exactly once."""
        np.add.at(self._credited, items.node, items.weighted_effect)

    def hold(self, items: Items) -> None:
        """Marks booked items of inner nodes that will not be expanded."""
        np.add.at(self._held, items.node, items.weighted_effect)

    def node_values(self) -> FloatArray:
        """The values of all nodes, float64 [n_nodes]; children sum to their parent."""
        leaves = self._tree.members.sum(axis=1)
        inherited = np.zeros(self._tree.n_nodes)
        for node in np.flatnonzero(self._tree.children[:, 0] >= 0):  # parents come before their children
            children = self._tree.children[node]
            inherited[children] = (self._held[node] + inherited[node]) * leaves[children] / leaves[node]
        return self._credited + inherited


def expand_levels(tree: Tree, evaluate: Evaluator, max_evals: int | None) -> tuple[Ledger, Items]:
    """The whole tree, one pass per level, while a whole level fits in max_evals: the ledger and the root's item."""
    ledger = Ledger(tree)
    root = root_item(tree, evaluate)
    ledger.credit(root)
    open_items = root.inner(tree)
    while len(open_items):
        if max_evals is not None and evaluate.evaluations + 2 * len(open_items) > max_evals:
            ledger.hold(open_items)
            break
        children = expand(tree, open_items, evaluate)
        ledger.credit(children)
        open_items = children.inner(tree)
    return ledger, root


def expand_best_first(tree: Tree, evaluate: Evaluator, max_evals: int | None) -> tuple[Ledger, Items]:
    """Expands the items with the largest |effect| * weight, 32 (64 masks) per pass, until none or no budget is left.

    `evaluate` must be unused, and `max_evals` at least 2; None expands everything, with the evaluations of level order.
    """
    ledger = Ledger(tree)
    root = root_item(tree, evaluate)
    numbers = count()
    heap: list[tuple[float, int, Items]] = []  # largest |weighted effect| first, older ones first among equals

    def push(items: Items) -> None:
        ledger.credit(items)
        inner = items.inner(tree)
        for row, effect in enumerate(np.abs(inner.weighted_effect).tolist()):
            heapq.heappush(heap, (-effect, next(numbers), inner.take(slice(row, row + 1))))

    push(root)
    while heap:
        affordable = len(heap) if max_evals is None else (max_evals - evaluate.evaluations) // 2
        chosen = [heapq.heappop(heap) for _ in range(min(MASKS_PER_PASS // 2, affordable, len(heap)))]
        if not chosen:
            break
        push(expand(tree, Items.join([item for _, _, item in chosen]), evaluate))
    if heap:
        ledger.hold(Items.join([item for _, _, item in heap]))
    return ledger, root
