"""Level order: the axioms at every level, games whose values are known, and costs that equal the formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.shapley import Tree, binary_tree, modality_tree, tree_from_nested, tree_values
from tests.unit.models.shapley.test_shapley_games import (
    Recorder,
    brute_force_tree_values,
    brute_force_values,
    pair_game,
    random_table,
    table_game,
    trees,
    unanimity_game,
)

SEEDS = st.integers(0, 2**32 - 1)


@given(tree=trees(), seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_every_level_sums_to_full_minus_empty_and_children_sum_to_their_parent(tree: Tree, seed: int) -> None:
    table = random_table(tree.n_players, seed)
    result = tree_values(table_game(table), tree)
    assert (result.v_empty, result.v_full) == (table[0], table[-1])
    for depth in range(int(tree.depth.max()) + 1):
        assert result.node_values[tree.cut(depth)].sum() == pytest.approx(table[-1] - table[0], abs=1e-12)
    inner = np.flatnonzero(tree.children[:, 0] >= 0)
    np.testing.assert_allclose(
        result.node_values[tree.children[inner]].sum(axis=1), result.node_values[inner], atol=1e-12
    )
    np.testing.assert_array_equal(result.leaf_values, result.node_values[tree.leaf_nodes])


@given(tree=trees(), seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_values_are_the_mean_over_all_orders_of_children(tree: Tree, seed: int) -> None:
    table = random_table(tree.n_players, seed)
    result = tree_values(table_game(table), tree)
    np.testing.assert_allclose(result.leaf_values, brute_force_tree_values(table, tree.nested), atol=1e-12)


@given(tree=trees(min_players=2), seed=SEEDS, data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_player_that_changes_nothing_gets_nothing(tree: Tree, seed: int, data: st.DataObject) -> None:
    null = data.draw(st.integers(0, tree.n_players - 1))
    subsets = np.arange(1 << tree.n_players)
    table = random_table(tree.n_players, seed)[subsets & ~(1 << null)]
    values = tree_values(table_game(table), tree).leaf_values
    assert values[null] == 0
    assert np.abs(np.delete(values, null)).max() > 0


@pytest.mark.parametrize("modality", [0, 1])
def test_a_game_that_reads_one_modality_leaves_the_other_nothing(modality: int) -> None:
    own = slice(0, 4) if modality == 0 else slice(4, 8)
    read = table_game(random_table(4, seed=3))
    result = tree_values(lambda masks: read(masks[:, own]), modality_tree(4, 4))
    assert result.node_values[2 - modality] == 0
    assert result.node_values[1 + modality] == pytest.approx(result.v_full - result.v_empty)
    np.testing.assert_array_equal(np.delete(result.leaf_values, np.r_[own]), np.zeros(4))


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_siblings_that_are_alike_get_the_same(seed: int) -> None:
    # The table is made blind to which of the siblings 2 and 3 is present, and to nothing else.
    subsets = np.arange(1 << 6)
    swapped = (subsets & ~0b1100) | ((subsets & 0b0100) << 1) | ((subsets & 0b1000) >> 1)
    table = random_table(6, seed)
    values = tree_values(table_game(table + table[swapped]), modality_tree(4, 2)).leaf_values
    assert values[2] == pytest.approx(values[3], abs=1e-12)
    assert values[0] != pytest.approx(values[1], abs=1e-6)


@given(tree=trees(), seed=SEEDS, factor=st.floats(-3, 3))
@settings(max_examples=25, deadline=None)
def test_values_are_linear_in_the_game(tree: Tree, seed: int, factor: float) -> None:
    one, other = random_table(tree.n_players, seed), random_table(tree.n_players, seed + 1)
    both = tree_values(table_game(one + factor * other), tree).node_values
    apart = [tree_values(table_game(table), tree).node_values for table in (one, other)]
    np.testing.assert_allclose(both, apart[0] + factor * apart[1], atol=1e-11)


def test_additive_games_are_exact() -> None:
    worth = np.random.default_rng(5).normal(size=13)
    result = tree_values(lambda masks: 4.0 + masks @ worth, modality_tree(6, 7))
    np.testing.assert_allclose(result.leaf_values, worth, atol=1e-12)
    assert result.v_empty == 4.0


@given(tree=trees(), seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_games_of_pairs_have_their_shapley_values(tree: Tree, seed: int) -> None:
    game, known = pair_game(tree.n_players, seed)
    np.testing.assert_allclose(tree_values(game, tree).leaf_values, known, atol=1e-12)


def test_the_known_values_of_a_game_of_pairs_are_those_of_brute_force() -> None:
    game, known = pair_game(6, seed=8)
    table = game((np.arange(64)[:, None] >> np.arange(6) & 1).astype(np.bool_))
    np.testing.assert_allclose(brute_force_values(table), known, atol=1e-12)


def test_unanimity_of_three_leaves_as_worked_by_hand() -> None:
    # 0 and 1 share a pair and so half of the root's two halves; 4 stands alone in the other half.
    values = tree_values(unanimity_game([0, 1, 4]), binary_tree(8)).leaf_values
    np.testing.assert_allclose(values, [1 / 4, 1 / 4, 0, 0, 1 / 2, 0, 0, 0], atol=1e-15)


@given(n_image=st.integers(1, 4), n_speech=st.integers(1, 4), seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_modalities_get_what_the_formula_for_two_players_says(n_image: int, n_speech: int, seed: int) -> None:
    table = random_table(n_image + n_speech, seed)
    result = tree_values(table_game(table), modality_tree(n_image, n_speech))
    image_only, speech_only = (1 << n_image) - 1, ((1 << n_speech) - 1) << n_image
    empty, full = table[0], table[-1]
    image = (table[image_only] - empty) / 2 + (full - table[speech_only]) / 2
    speech = (table[speech_only] - empty) / 2 + (full - table[image_only]) / 2
    np.testing.assert_allclose(result.node_values[1:3], [image, speech], atol=1e-12)
    assert result.leaf_values[:n_image].sum() == pytest.approx(image)
    assert result.leaf_values[n_image:].sum() == pytest.approx(speech)


@pytest.mark.parametrize(("times", "evaluations"), list(enumerate([4, 12, 44, 172, 684, 2732])))
def test_costs_equal_the_formulas_and_no_mask_is_evaluated_twice(times: int, evaluations: int) -> None:
    game = Recorder(pair_game(2 << times, seed=1)[0])
    result = tree_values(game, modality_tree(1 << times, 1 << times), batch_size=1 << 20)
    assert result.evaluations == evaluations == 2 + 2 * (4 ** (times + 1) - 1) // 3
    assert result.passes == times + 2
    assert len(game.masks) == len(set(game.masks)) == evaluations
    assert game.calls == [2, *(2 * 4**level for level in range(times + 1))]
    # Image and speech encodings: one modality's masks form a tree of their own, `times` deep.
    assert result.distinct_part_masks == (2 + 2 * (4**times - 1) // 3,) * 2


def test_image_and_speech_masks_are_counted_apart() -> None:
    tree = modality_tree(5, 2)
    game = Recorder(pair_game(7, seed=2)[0])
    result = tree_values(game, tree)
    assert result.distinct_part_masks == (len({m[:5] for m in game.masks}), len({m[5:] for m in game.masks}))
    assert len(game.masks) == len(set(game.masks)) == result.evaluations


@given(tree=trees(), seed=SEEDS, batch_size=st.integers(1, 50))
@settings(max_examples=25, deadline=None)
def test_batch_size_changes_calls_and_nothing_else(tree: Tree, seed: int, batch_size: int) -> None:
    game = Recorder(table_game(random_table(tree.n_players, seed)))
    small = tree_values(game, tree, batch_size=batch_size)
    whole = tree_values(table_game(random_table(tree.n_players, seed)), tree, batch_size=1 << 20)
    assert max(game.calls) <= batch_size
    np.testing.assert_array_equal(small.node_values, whole.node_values)
    assert (small.evaluations, small.passes) == (whole.evaluations, whole.passes)


def test_a_single_player_gets_all_of_it() -> None:
    result = tree_values(table_game(np.array([1.0, 3.5])), tree_from_nested(0))
    assert result.leaf_values.tolist() == result.node_values.tolist() == [2.5]
    assert (result.evaluations, result.passes, result.distinct_part_masks) == (2, 1, (2,))


def test_a_budget_stops_before_a_level_it_cannot_finish_and_shares_out_equally() -> None:
    game, tree = table_game(random_table(8, seed=4)), modality_tree(4, 4)
    for max_evals, fits in [(2, 2), (3, 2), (4, 4), (11, 4), (12, 12), (43, 12), (44, 44), (1000, 44)]:
        assert tree_values(game, tree, max_evals=max_evals).evaluations == fits
    cut, whole = tree_values(game, tree, max_evals=12), tree_values(game, tree)
    np.testing.assert_array_equal(cut.node_values[:7], whole.node_values[:7])
    np.testing.assert_allclose(cut.leaf_values, np.repeat(whole.node_values[3:7] / 2, 2), atol=1e-12)
    np.testing.assert_allclose(
        tree_values(game, modality_tree(3, 5), max_evals=4).leaf_values[3:],
        np.full(5, tree_values(game, modality_tree(3, 5)).node_values[2] / 5),
    )


def test_arguments_that_make_no_sense_are_refused() -> None:
    game, tree = table_game(np.zeros(4)), modality_tree(1, 1)
    with pytest.raises(ValueError, match="max_evals must be at least 2"):
        tree_values(game, tree, max_evals=1)
    with pytest.raises(ValueError, match="order must be level, best or sample, found 'random'"):
        tree_values(game, tree, order="random")  # type: ignore[arg-type]
