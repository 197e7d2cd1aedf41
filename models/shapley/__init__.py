"""Shapley values of games whose players are the parts of one or two inputs.

In   a game: v(masks: bool [n_masks, n_players]) -> float64 [n_masks], the output when only the marked parts are present
Out  float64 values per player that sum to v(all) - v(none)

`tree_values`     the paper's divide and conquer, and cheaper orders of the same values; any number of players
`exact_values`    all 2^n subsets of n <= 20 players
`exact_factored`  the same, and interactions, from the table of a game that two inputs share

Nothing here knows of neural networks, pictures or sound. Impossible arguments raise ValueError, in one line.
"""

from models.shapley.cells import grid_players, grid_shape, segment_players, spread_values
from models.shapley.exact import MAX_EXACT_PLAYERS, exact_values, values_from_table
from models.shapley.factored import FactoredValues, exact_factored
from models.shapley.game import DEFAULT_BATCH_SIZE, Game, subset_masks
from models.shapley.tree_values import TreeValues, tree_values
from models.shapley.trees import Nested, Tree, binary_tree, grid_tree, join_trees, modality_tree, tree_from_nested

__all__ = [
    "DEFAULT_BATCH_SIZE", "MAX_EXACT_PLAYERS", "FactoredValues", "Game", "Nested", "Tree", "TreeValues", "binary_tree",
    "exact_factored", "exact_values", "grid_players", "grid_shape", "grid_tree", "join_trees", "modality_tree",
    "segment_players", "spread_values", "subset_masks", "tree_from_nested", "tree_values", "values_from_table",
]  # fmt: skip
