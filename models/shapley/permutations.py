"""Antithetic permutations that respect a tree: an unbiased estimate when there is no budget to expand it.

Each inner node draws which child comes first, with probability 1/2, independently of the others; read from left to
right the leaves are a permutation in which every node's players stay together. A player's marginal contribution to
those before it then has the player's tree value as its mean (the random-order form of Owen 1977 and Winter 1989), and
each permutation is used together with its reverse, whose errors tend to be opposite.
"""

import numpy as np
from numpy.random import Generator

from models.shapley.game import BoolArray, Evaluator, FloatArray, IntArray
from models.shapley.trees import Tree


def leaf_ranks(tree: Tree, swapped: BoolArray) -> IntArray:
    """The place of every player, int64 [n_permutations, n_players], in permutations given by the order of children.

    `swapped`, bool [n_permutations, n_nodes], says whether a node's second child comes first; ignored at leaves.
    """
    leaves = tree.members.sum(axis=1)
    start = np.zeros(swapped.shape, dtype=np.int64)
    for node in np.flatnonzero(tree.children[:, 0] >= 0):  # parents come before their children
        first, second = tree.children[node]
        start[:, first] = start[:, node] + swapped[:, node] * leaves[second]
        start[:, second] = start[:, node] + ~swapped[:, node] * leaves[first]
    return start[:, tree.leaf_nodes]


def marginal_contributions(ranks: IntArray, evaluate: Evaluator) -> tuple[FloatArray, float, float]:
    """What each player adds to those before it, float64 [n_permutations, n_players]; v_empty; v_full.

    Every row sums to v_full - v_empty. One pass of 2 + n_permutations * (n_players - 1) evaluations.
    """
    n_permutations, n_players = ranks.shape
    ends = np.stack([np.zeros(n_players, np.bool_), np.ones(n_players, np.bool_)])
    prefixes = ranks[:, None, :] < np.arange(1, n_players)[:, None]
    values = evaluate(np.concatenate([ends, prefixes.reshape(-1, n_players)]))
    path = np.empty((n_permutations, n_players + 1))
    path[:, 0], path[:, -1] = values[0], values[1]
    path[:, 1:-1] = values[2:].reshape(n_permutations, n_players - 1)
    return np.take_along_axis(np.diff(path, axis=1), ranks, axis=1), float(values[0]), float(values[1])


def sample_tree(tree: Tree, evaluate: Evaluator, permutations: int, rng: Generator) -> tuple[FloatArray, float, float]:
    """Tree values estimated from `permutations` random orders and their reverses: leaf values; v_empty; v_full.

    The sum is exact. Cost: one pass of 2 + 2 * permutations * (n_players - 1) evaluations.
    """
    swapped = rng.random((permutations, tree.n_nodes)) < 0.5
    ranks = leaf_ranks(tree, np.concatenate([swapped, ~swapped]))
    contributions, v_empty, v_full = marginal_contributions(ranks, evaluate)
    return contributions.mean(axis=0), v_empty, v_full
