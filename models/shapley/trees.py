"""Binary trees over players: which parts are halved into which.

A tree is a partition of the players that grows finer from the root (all of them) to the leaves (one each). Its tree
values are those of Owen (1977) for games with a priori unions, nested as by Winter (1989).
"""

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from models.shapley.game import BoolArray, FloatArray, IntArray

Nested: TypeAlias = "int | tuple[Nested, Nested]"


@dataclass(frozen=True, eq=False)
class Tree:
    """A binary tree; nodes are numbered breadth-first, the root is node 0 and its children are nodes 1 and 2."""

    nested: Nested  # pairs of player numbers, such as ((0, 1), (2, 3))
    children: IntArray  # int64 [n_nodes, 2], the two child nodes; -1 at leaves
    members: BoolArray  # bool [n_nodes, n_players], the players below each node
    depth: IntArray  # int64 [n_nodes], 0 at the root
    leaf_nodes: IntArray  # int64 [n_players], the leaf of each player

    @property
    def n_nodes(self) -> int:
        """Inner nodes and leaves: 2 * n_players - 1."""
        return len(self.children)

    @property
    def n_players(self) -> int:
        """Leaves."""
        return len(self.leaf_nodes)

    @property
    def parts(self) -> BoolArray:
        """The players of the root's two children (the modalities), bool [2, n_players]; of a lone leaf, [1, 1]."""
        return self.members[1:3] if self.n_nodes > 1 else self.members

    def cut(self, depth: int) -> IntArray:
        """The nodes that partition the players at a depth: those at the depth, and the leaves above it."""
        is_leaf = self.children[:, 0] < 0
        return np.flatnonzero((self.depth == depth) | (is_leaf & (self.depth < depth)))

    def linkage(self) -> FloatArray:
        """The tree in scipy's linkage format, float64 [n_players - 1, 4]; the distance is the number of leaves."""
        inner = np.flatnonzero(self.children[:, 0] >= 0)[::-1]  # deepest first: children before their parents
        cluster = np.full(self.n_nodes, -1, dtype=np.int64)
        cluster[self.leaf_nodes] = np.arange(self.n_players)
        cluster[inner] = self.n_players + np.arange(len(inner))
        leaves = self.members[inner].sum(axis=1)
        return np.column_stack([cluster[self.children[inner]], leaves, leaves]).astype(np.float64)


def tree_from_nested(nested: Nested) -> Tree:
    """A tree from nested pairs of player numbers, for example ((0, 1), 2); each number from 0 must occur once."""
    children: list[tuple[int, int]] = []
    depths: list[int] = []
    node_of: dict[int, int] = {}  # the leaf of each player
    players: list[int] = []
    queue: deque[tuple[Nested, int]] = deque([(nested, 0)])
    while queue:
        node, depth = queue.popleft()
        depths.append(depth)
        if isinstance(node, tuple):
            after = len(children) + 1 + len(queue)
            children.append((after, after + 1))
            queue.extend((child, depth + 1) for child in node)
        else:
            node_of[node] = len(children)
            players.append(node)
            children.append((-1, -1))
    if sorted(players) != list(range(len(players))):
        raise ValueError(f"a tree's leaves must be the players 0 to {len(players) - 1}, found {players}")

    leaf_nodes = np.array([node_of[player] for player in range(len(players))], dtype=np.int64)
    members = np.zeros((len(children), len(players)), dtype=np.bool_)
    members[leaf_nodes, np.arange(len(players))] = True
    for number, (first, second) in reversed(list(enumerate(children))):  # children come after their parents
        if first >= 0:
            members[number] = members[first] | members[second]
    return Tree(nested, np.array(children, dtype=np.int64), members, np.array(depths, dtype=np.int64), leaf_nodes)


def binary_tree(n_players: int) -> Tree:
    """Players in a row, such as time segments, halved until one is left; of an odd number the first half is larger."""
    return grid_tree(1, n_players)


def grid_tree(rows: int, columns: int, height_px: int | None = None, width_px: int | None = None) -> Tree:
    """The cells of a grid, numbered row by row, halved along the longer side first (of equal sides, left | right).

    The sizes in pixels tell which side is longer; default: cells are square. With them and the grid from
    `grid_shape`, a finer grid only goes on where a coarser one stops: values of shared nodes are equal.
    """
    if rows < 1 or columns < 1:
        raise ValueError(f"a tree needs at least one player, found {rows} x {columns}")
    height = (rows if height_px is None else height_px) * columns  # of a row, times rows * columns: integers are exact
    width = (columns if width_px is None else width_px) * rows

    def halve(cells: IntArray) -> Nested:
        if cells.size == 1:
            return int(cells[0, 0])
        tall = cells.shape[1] == 1 or (cells.shape[0] > 1 and cells.shape[0] * height > cells.shape[1] * width)
        first, second = np.array_split(cells, 2, axis=0 if tall else 1)
        return halve(first), halve(second)

    return tree_from_nested(halve(np.arange(rows * columns, dtype=np.int64).reshape(rows, columns)))


def join_trees(first: Tree, second: Tree) -> Tree:
    """A root over two trees; the second one's players are numbered after the first one's."""

    def shift(nested: Nested) -> Nested:
        return (shift(nested[0]), shift(nested[1])) if isinstance(nested, tuple) else nested + first.n_players

    return tree_from_nested((first.nested, shift(second.nested)))


def modality_tree(n_image: int, n_speech: int) -> Tree:
    """The paper's tree (section 3.3): image | speech at the root (nodes 1 and 2), then each halved as a row."""
    return join_trees(binary_tree(n_image), binary_tree(n_speech))
