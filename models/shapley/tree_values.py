"""Values of a tree's nodes: the paper's divide and conquer (section 3.3, Eq. 3-5), done so that sums hold.

In   a game and a tree over its players
Out  a value per player and per node; at every level they sum to v_full - v_empty

The value of a node is its weighted effect over both contexts (sibling absent, sibling present; 1/2 each) of every one
of its ancestors: at the leaves, the nested values of Owen (1977) and Winter (1989). A player that changes nothing gets
0, siblings that are alike get the same, values are linear in the game, and where no more than two players ever
interact they are the Shapley values. A recursion that keeps one context only does not sum to v_full - v_empty.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator

from models.shapley.expansion import expand_best_first, expand_levels
from models.shapley.game import DEFAULT_BATCH_SIZE, Evaluator, FloatArray, Game
from models.shapley.permutations import sample_tree
from models.shapley.trees import Tree


@dataclass(frozen=True)
class TreeValues:
    """What the players and the nodes of a tree are worth."""

    leaf_values: FloatArray  # float64 [n_players]
    node_values: FloatArray  # float64 [n_nodes]; nodes 1 and 2 are the modalities of a modality tree
    v_full: float  # the game's value with all players
    v_empty: float  # with none
    evaluations: int  # masks that the game was asked for
    passes: int  # rounds of evaluations; the masks of a round do not depend on each other and can be batched
    # Different masks among the evaluations within each child of the root: (image masks, speech masks) of a modality
    # tree, the encodings that a game needs which encodes its inputs apart.
    distinct_part_masks: tuple[int, ...]


def tree_values(
    game: Game,
    tree: Tree,
    order: Literal["level", "best", "sample"] = "level",
    max_evals: int | None = None,
    permutations: int = 1,
    rng: Generator | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> TreeValues:
    """The values of a tree's players and nodes; ValueError for an argument that cannot be used.

    Args:
        game: v(masks: bool [n_masks, n_players]) -> float64 [n_masks].
        tree: over its players.
        order: what is evaluated first; all orders agree in the limit.
            `level`: level by level, one pass each. Whole, `modality_tree(2**times, 2**times)` costs
            2 + 2 (4^(times + 1) - 1) / 3 evaluations in times + 2 passes: 4, 12, 44, 172, 684, 2732 for times 0 to 5.
            `best`: largest |effect| * weight first, 64 masks per pass. Whole, the evaluations of `level`.
            `sample`: random orders of children, each with its reverse: 2 + 2 * permutations * (n_players - 1)
            evaluations in one pass; unbiased, and the sum is exact for every draw.
        max_evals: the most evaluations, at least 2. What is left of the tree is not expanded: a node's value is shared
            equally by its leaves. `level` stops before a level that it cannot finish, lest neighbours be treated
            unlike. `sample` refuses more permutations than fit.
        permutations: pairs of orders, for `sample`.
        rng: for `sample`; default `np.random.default_rng(0)`, the same draw every time.
        batch_size: the most masks per call of the game; it changes nothing else.
    """
    if max_evals is not None and max_evals < 2:
        raise ValueError(f"max_evals must be at least 2 (all players, and none), found {max_evals}")
    evaluate = Evaluator(game, tree.parts, batch_size)
    if order == "sample":
        _check_permutations(permutations, tree, max_evals)
        leaf_values, v_empty, v_full = sample_tree(tree, evaluate, permutations, rng or np.random.default_rng(0))
        node_values = tree.members @ leaf_values
    elif order in {"level", "best"}:
        expand_tree = expand_levels if order == "level" else expand_best_first
        ledger, root = expand_tree(tree, evaluate, max_evals)
        v_empty, v_full = float(root.v_absent[0]), float(root.v_present[0])
        node_values = ledger.node_values()
        leaf_values = node_values[tree.leaf_nodes]
    else:
        raise ValueError(f"order must be level, best or sample, found {order!r}")
    return TreeValues(
        leaf_values, node_values, v_full, v_empty, evaluate.evaluations, evaluate.passes, evaluate.distinct_part_masks
    )


def _check_permutations(permutations: int, tree: Tree, max_evals: int | None) -> None:
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, found {permutations}")
    needed = 2 + 2 * permutations * (tree.n_players - 1)
    if max_evals is not None and needed > max_evals:
        raise ValueError(f"{permutations} permutations need {needed} evaluations, max_evals allows {max_evals}")
