"""One step of divide and conquer, shared by the orders that expand a tree from its root.

An item is a node in a context: some of its ancestors' siblings are present, the others absent. Its effect is
v(context + node) - v(context), and its weight 1/2 per ancestor. Expanding an item splits its effect among the two
children by the formula for two players (the paper's Eq. 3-4), each of them with its sibling absent and present:

    first child   1/2 [v(c + first) - v(c)]  + 1/2 [v(c + first + second) - v(c + second)]

Only v(c + first) and v(c + second) are new, so that an expansion costs two evaluations. No mask ever comes twice: it
names its item (on the way down from the root the siblings are all there or all absent) and the child that is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.shapley.game import BoolArray, Evaluator, FloatArray, IntArray
from models.shapley.trees import Tree


@dataclass(frozen=True)
class Items:
    """k items, column by column.

    Attributes:
        node: int64 [k].
        context: bool [k, n_players], the players outside the node that are present.
        v_absent: float64 [k], v(context).
        v_present: float64 [k], v(context + node).
        weight: float64 [k].
    """

    node: IntArray
    context: BoolArray
    v_absent: FloatArray
    v_present: FloatArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.node)

    @property
    def weighted_effect(self) -> FloatArray:
        """What each item contributes to its node's value, float64 [k]."""
        return self.weight * (self.v_present - self.v_absent)

    def inner(self, tree: Tree) -> Items:
        """The items that can be expanded: those of nodes with children."""
        keep = tree.children[self.node, 0] >= 0
        return Items(self.node[keep], self.context[keep], self.v_absent[keep], self.v_present[keep], self.weight[keep])


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
