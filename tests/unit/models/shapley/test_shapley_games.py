"""Games and oracles for the tests of models.shapley, checked on games that are worked by hand.

The oracles follow the definitions by permutations and share no code with the estimators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.shapley import Game, Nested, Tree, subset_masks, tree_from_nested
from models.shapley.game import Evaluator

Floats = NDArray[np.float64]
Value = Callable[[frozenset[int]], float]


def table_game(table: Floats) -> Game:
    """The game whose subset number s (little-endian) is worth table[s]."""

    def game(masks: NDArray[np.bool_]) -> Floats:
        values: Floats = table[(masks * (1 << np.arange(masks.shape[1]))).sum(axis=1)]
        return values

    return game


def random_table(n_players: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=1 << n_players)


def pair_game(n_players: int, seed: int) -> tuple[Game, Floats]:
    """A game in which at most two players interact, and its Shapley values: own effect + half of each pair's."""
    rng = np.random.default_rng(seed)
    single = rng.normal(size=n_players)
    pairs = np.triu(rng.normal(size=(n_players, n_players)), 1)

    def game(masks: NDArray[np.bool_]) -> Floats:
        present = masks.astype(np.float64)
        values: Floats = 0.7 + present @ single + ((present @ pairs) * present).sum(axis=1)
        return values

    return game, single + (pairs.sum(axis=0) + pairs.sum(axis=1)) / 2


def unanimity_game(players: list[int]) -> Game:
    """1 if all of the players are present, otherwise 0."""

    def game(masks: NDArray[np.bool_]) -> Floats:
        return np.asarray(masks[:, players].all(axis=1), dtype=np.float64)

    return game


class Recorder:
    """A game that remembers every mask and the size of every call."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self.masks: list[tuple[bool, ...]] = []
        self.calls: list[int] = []

    def __call__(self, masks: NDArray[np.bool_]) -> Floats:
        self.masks += [tuple(mask) for mask in masks.tolist()]
        self.calls.append(len(masks))
        return self._game(masks)


def _value(table: Floats) -> Value:
    return lambda present: float(table[sum(1 << player for player in present)])


def _mean_contributions(orders: Iterator[tuple[int, ...]], n_players: int, value: Value) -> Floats:
    total, n_orders = np.zeros(n_players), 0
    for order in orders:
        n_orders += 1
        for place, player in enumerate(order):
            total[player] += value(frozenset(order[: place + 1])) - value(frozenset(order[:place]))
    return total / n_orders


def brute_force_values(table: Floats) -> Floats:
    """Shapley values: the mean contribution over all n! orders of the players."""
    n_players = int(np.log2(len(table)))
    return _mean_contributions(permutations(range(n_players)), n_players, _value(table))


def brute_force_interaction(table: Floats, one: int, other: int) -> float:
    """Shapley interaction: the mean joint effect over all orders in which the two players stand together."""
    value, both = _value(table), frozenset([one, other])
    others = [player for player in range(int(np.log2(len(table)))) if player not in both]
    effects = []
    for order in permutations([-1, *others]):  # -1 stands for the two
        before = frozenset(order[: order.index(-1)])
        effects.append(value(before | both) - value(before | {one}) - value(before | {other}) + value(before))
    return float(np.mean(effects))


def child_orders(nested: Nested) -> Iterator[tuple[int, ...]]:
    """All orders of the leaves in which every node's leaves stand together."""
    if isinstance(nested, tuple):
        for first in child_orders(nested[0]):
            for second in child_orders(nested[1]):
                yield first + second
                yield second + first
    else:
        yield (nested,)


def brute_force_tree_values(table: Floats, nested: Nested) -> Floats:
    """Nested Owen values: the mean contribution over all orders of children."""
    return _mean_contributions(child_orders(nested), int(np.log2(len(table))), _value(table))


@st.composite
def trees(draw: st.DrawFn, min_players: int = 1, max_players: int = 6) -> Tree:
    """Trees of any shape over shuffled players."""

    def grow(players: list[int]) -> Nested:
        if len(players) == 1:
            return players[0]
        cut = draw(st.integers(1, len(players) - 1))
        return grow(players[:cut]), grow(players[cut:])

    n_players = draw(st.integers(min_players, max_players))
    return tree_from_nested(grow(draw(st.permutations(range(n_players)))))


def test_the_oracles_solve_the_glove_game_as_worked_by_hand() -> None:
    # Player 0 has a left glove, 1 and 2 a right one each; a pair is worth 1. Player 0 comes after a right glove in 4 of
    # 6 orders; 1 makes the pair only in the order 0, 1, 2.
    table = np.array([0, 0, 0, 1, 0, 1, 0, 1], dtype=np.float64)
    np.testing.assert_allclose(brute_force_values(table), [4 / 6, 1 / 6, 1 / 6])
    # 0 and 1 alone make a pair (+1); once 2 is there, 0 needs nobody: 1 - 1 - 0 + 0 = 0. The mean of both.
    assert brute_force_interaction(table, 0, 1) == pytest.approx(1 / 2)
    # 1 and 2 replace each other once 0 is there: 1 - 1 - 1 + 0.
    assert brute_force_interaction(table, 1, 2) == pytest.approx(-1 / 2)
    # In the tree ((0, 1), 2) the orders are 012, 102, 201, 210.
    np.testing.assert_allclose(brute_force_tree_values(table, ((0, 1), 2)), [3 / 4, 1 / 4, 0])


def test_subsets_are_numbered_little_endian() -> None:
    masks = subset_masks(3)
    assert masks.shape == (8, 3)
    assert masks[5].tolist() == [True, False, True]
    assert masks[1].tolist() == [True, False, False]
    np.testing.assert_array_equal(subset_masks(5, 7, 21), subset_masks(5)[7:21])


def test_the_evaluator_cuts_calls_and_counts_evaluations_passes_and_distinct_parts() -> None:
    game = Recorder(lambda masks: masks.sum(axis=1).astype(np.float64))
    parts = np.array([[True, True, False], [False, False, True]])
    evaluate = Evaluator(game, parts, batch_size=3)
    np.testing.assert_array_equal(evaluate(subset_masks(3)), [0, 1, 1, 2, 1, 2, 2, 3])
    evaluate(subset_masks(3)[:1])
    assert game.calls == [3, 3, 2, 1]
    assert (evaluate.evaluations, evaluate.passes, evaluate.distinct_part_masks) == (9, 2, (4, 2))


def test_a_game_that_returns_nonsense_is_refused_with_the_players_that_were_present() -> None:
    parts = np.ones((1, 3), dtype=np.bool_)
    with pytest.raises(ValueError, match=r"not finite, with the players \[0, 2\] present"):
        Evaluator(lambda masks: np.where(masks @ [1, 2, 4] == 5, np.nan, 0.0), parts)(subset_masks(3))
    with pytest.raises(ValueError, match=r"asked for 8 values and returned an array of \(8, 1\)"):
        Evaluator(lambda masks: np.zeros((len(masks), 1)), parts)(subset_masks(3))
    with pytest.raises(ValueError, match="batch_size must be at least 1, found 0"):
        Evaluator(lambda masks: np.zeros(len(masks)), parts, batch_size=0)
