"""Best-first and sampling: the values of level order in the limit, and what they promise before it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.shapley import Game, Nested, Tree, binary_tree, grid_tree, join_trees, modality_tree, tree_values
from models.shapley.game import Evaluator
from models.shapley.permutations import leaf_ranks, marginal_contributions
from tests.unit.models.shapley.test_shapley_games import (
    Recorder,
    child_orders,
    pair_game,
    random_table,
    table_game,
    trees,
)

SEEDS = st.integers(0, 2**32 - 1)
BIG_TREE = join_trees(grid_tree(4, 8), binary_tree(32))


def localised_game(seed: int) -> Game:
    """Evidence in three neighbouring cells and two segments, seen through a sigmoid: everybody interacts."""
    rng = np.random.default_rng(seed)
    cell, segment = int(rng.integers(0, 22)), int(rng.integers(32, 62))
    players = [cell, cell + 1, cell + 8, segment, segment + 1]
    weights = rng.uniform(1, 3, size=5)

    def game(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        values: NDArray[np.float64] = 1 / (1 + np.exp(4 - masks[:, players] @ weights))
        return values

    return game


@given(tree=trees(), seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_best_first_with_enough_budget_is_level_order(tree: Tree, seed: int) -> None:
    game = Recorder(table_game(random_table(tree.n_players, seed)))
    level = tree_values(table_game(random_table(tree.n_players, seed)), tree)
    for max_evals in (None, level.evaluations):
        game.masks.clear()
        best = tree_values(game, tree, order="best", max_evals=max_evals)
        np.testing.assert_allclose(best.node_values, level.node_values, atol=1e-12)
        assert best.evaluations == level.evaluations == len(game.masks) == len(set(game.masks))
        assert best.distinct_part_masks == level.distinct_part_masks


def test_best_first_expands_all_of_a_larger_tree_in_passes_of_64_masks() -> None:
    game = Recorder(localised_game(seed=1))
    best = tree_values(game, BIG_TREE, order="best", batch_size=1 << 20)
    level = tree_values(localised_game(seed=1), BIG_TREE)
    np.testing.assert_allclose(best.node_values, level.node_values, atol=1e-13)
    assert best.evaluations == 2732
    assert max(game.calls) == 64
    assert best.passes == len(game.calls)


@given(tree=trees(min_players=3), seed=SEEDS, max_evals=st.integers(2, 30))
@settings(max_examples=40, deadline=None)
def test_best_first_keeps_to_its_budget_and_its_sums(tree: Tree, seed: int, max_evals: int) -> None:
    table = random_table(tree.n_players, seed)
    result = tree_values(table_game(table), tree, order="best", max_evals=max_evals)
    whole = tree_values(table_game(table), tree).evaluations
    assert result.evaluations == min(max_evals // 2 * 2, whole)
    assert result.leaf_values.sum() == pytest.approx(table[-1] - table[0], abs=1e-12)
    inner = np.flatnonzero(tree.children[:, 0] >= 0)
    np.testing.assert_allclose(
        result.node_values[tree.children[inner]].sum(axis=1), result.node_values[inner], atol=1e-12
    )


def plain_best_first(value: Callable[[frozenset[int]], float], nested: Nested, max_evals: int) -> dict[int, float]:
    """Best-first by its definition, on sets: 32 items at a time, the largest |effect| * weight first."""

    def players(node: Nested) -> frozenset[int]:
        return players(node[0]) | players(node[1]) if isinstance(node, tuple) else frozenset([node])

    def effect(item: tuple[Nested, frozenset[int], float]) -> float:
        node, context, weight = item
        return weight * (value(context | players(node)) - value(context))

    pending, left = [(nested, frozenset[int](), 1.0)], max_evals - 2
    values = dict.fromkeys(players(nested), 0.0)
    while True:
        pending.sort(key=lambda item: (isinstance(item[0], tuple), abs(effect(item))), reverse=True)
        chosen = [item for item in pending[: min(32, left // 2)] if isinstance(item[0], tuple)]
        if not chosen:
            break
        left -= 2 * len(chosen)
        pending = pending[len(chosen) :]
        for node, context, weight in chosen:
            assert isinstance(node, tuple)
            first, second = node
            pending += [(first, context | other, weight / 2) for other in (frozenset[int](), players(second))]
            pending += [(second, context | other, weight / 2) for other in (frozenset[int](), players(first))]
    for item in pending:
        for player in players(item[0]):
            values[player] += effect(item) / len(players(item[0]))
    return values


@pytest.mark.parametrize("max_evals", [50, 200, 300, 500])
@pytest.mark.parametrize("sign", [1, -1])
def test_best_first_expands_the_largest_weighted_effects_whatever_their_sign(max_evals: int, sign: int) -> None:
    tree = modality_tree(16, 16)
    weights = np.random.default_rng(7).normal(size=32)

    def game(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        values: NDArray[np.float64] = sign * np.exp(masks @ weights / 2)
        return values

    def value(present: frozenset[int]) -> float:
        return float(sign * np.exp(weights[sorted(present)].sum() / 2))

    known = plain_best_first(value, tree.nested, max_evals)
    found = tree_values(game, tree, order="best", max_evals=max_evals)
    assert found.evaluations == max_evals
    np.testing.assert_allclose(found.leaf_values, [known[player] for player in range(32)], atol=1e-12)


def test_best_first_does_not_depend_on_batch_size_even_within_a_budget() -> None:
    small, large = (
        tree_values(localised_game(seed=2), BIG_TREE, order="best", max_evals=300, batch_size=size) for size in (7, 999)
    )
    np.testing.assert_array_equal(small.node_values, large.node_values)
    assert (small.evaluations, small.passes) == (large.evaluations, large.passes)


def test_best_first_finds_localised_evidence_with_far_fewer_evaluations() -> None:
    errors: dict[str, list[float]] = {"level": [], "best": []}
    for seed in range(6):
        truth = tree_values(localised_game(seed), BIG_TREE, batch_size=4096).leaf_values
        for order in ("level", "best"):
            found = tree_values(localised_game(seed), BIG_TREE, order=order, max_evals=500)
            assert found.evaluations <= 500
            errors[order].append(float(np.linalg.norm(found.leaf_values - truth) / np.linalg.norm(truth)))
    assert all(best < level for best, level in zip(errors["best"], errors["level"], strict=True))
    assert np.mean(errors["best"]) < np.mean(errors["level"]) / 4


def test_ranks_are_the_orders_of_children_and_all_of_them() -> None:
    tree = modality_tree(2, 3)
    swaps = np.array(list(product([False, True], repeat=tree.n_nodes)))
    orders = {tuple(np.argsort(ranks).tolist()) for ranks in leaf_ranks(tree, swaps)}
    assert orders == set(child_orders(tree.nested))
    assert len(orders) == 2 ** (tree.n_players - 1)


@given(tree=trees(min_players=2), seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_the_mean_over_all_orders_of_children_is_the_tree_value(tree: Tree, seed: int) -> None:
    game = table_game(random_table(tree.n_players, seed))
    inner = np.flatnonzero(tree.children[:, 0] >= 0)
    swaps = np.zeros((1 << len(inner), tree.n_nodes), dtype=np.bool_)
    swaps[:, inner] = list(product([False, True], repeat=len(inner)))
    contributions, _, _ = marginal_contributions(leaf_ranks(tree, swaps), Evaluator(game, tree.parts))
    np.testing.assert_allclose(contributions.mean(axis=0), tree_values(game, tree).leaf_values, atol=1e-12)


def test_the_mean_over_many_seeds_tends_to_the_tree_value() -> None:
    game, tree = table_game(random_table(8, seed=6)), modality_tree(4, 4)
    draws = np.stack(
        [tree_values(game, tree, "sample", rng=np.random.default_rng(seed)).leaf_values for seed in range(600)]
    )
    truth = tree_values(game, tree).leaf_values
    error = np.abs(draws.mean(axis=0) - truth)
    standard_error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    assert (standard_error > 0.01).all()  # single draws differ: there is something to average
    assert (error < 4 * standard_error).all()


@given(tree=trees(), seed=SEEDS, permutations=st.integers(1, 4), batch_size=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_every_draw_sums_exactly_and_costs_what_the_formula_says(
    tree: Tree, seed: int, permutations: int, batch_size: int
) -> None:
    table = random_table(tree.n_players, seed)
    game = Recorder(table_game(table))
    needed = 2 + 2 * permutations * (tree.n_players - 1)
    result, whole = (
        tree_values(
            function,
            tree,
            order="sample",
            permutations=permutations,
            rng=np.random.default_rng(seed),
            max_evals=needed,
            batch_size=size,
        )
        for function, size in ((game, batch_size), (table_game(table), 1 << 20))
    )
    assert result.leaf_values.sum() == pytest.approx(table[-1] - table[0], abs=1e-12)
    assert (result.v_empty, result.v_full) == (table[0], table[-1])
    np.testing.assert_allclose(result.node_values, tree.members @ result.leaf_values, atol=1e-12)
    assert result.evaluations == len(game.masks) == needed
    assert result.passes == 1
    np.testing.assert_array_equal(result.leaf_values, whole.leaf_values)


def test_one_order_and_its_reverse_are_exact_where_only_pairs_interact() -> None:
    game, known = pair_game(64, seed=9)
    for seed in range(5):
        drawn = tree_values(game, BIG_TREE, order="sample", rng=np.random.default_rng(seed))
        np.testing.assert_allclose(drawn.leaf_values, known, atol=1e-11)


def test_more_permutations_come_closer() -> None:
    truth = tree_values(localised_game(3), BIG_TREE).leaf_values

    def mean_error(permutations: int) -> float:
        draws = (
            tree_values(localised_game(3), BIG_TREE, "sample", None, permutations, np.random.default_rng(seed), 4096)
            for seed in range(20)
        )
        return float(np.mean([np.linalg.norm(draw.leaf_values - truth) for draw in draws]))

    assert mean_error(16) < mean_error(1) / 2


def test_without_a_generator_the_draw_is_always_the_same() -> None:
    game = table_game(random_table(8, seed=6))
    first, second = (tree_values(game, modality_tree(4, 4), order="sample").leaf_values for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_permutations_that_do_not_fit_the_budget_are_refused() -> None:
    game, tree = table_game(random_table(8, seed=6)), modality_tree(4, 4)
    with pytest.raises(ValueError, match="2 permutations need 30 evaluations, max_evals allows 29"):
        tree_values(game, tree, order="sample", permutations=2, max_evals=29)
    with pytest.raises(ValueError, match="permutations must be at least 1, found 0"):
        tree_values(game, tree, order="sample", permutations=0)
