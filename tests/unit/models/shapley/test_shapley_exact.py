"""Exact and factored values against the definitions by permutations, and games worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.shapley import (
    exact_factored,
    exact_values,
    factored,
    modality_tree,
    subset_masks,
    tree_values,
    values_from_table,
)
from tests.unit.models.shapley.test_shapley_games import (
    Recorder,
    brute_force_interaction,
    brute_force_values,
    pair_game,
    random_table,
    table_game,
    unanimity_game,
)

SEEDS = st.integers(0, 2**32 - 1)


def flat(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """A table [2^m, 2^n] as that of one game of m + n players: the image's bits are the lower ones."""
    return np.ascontiguousarray(table.T).ravel()


def factored_table(n_image: int, n_speech: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(1 << n_image, 1 << n_speech))


def game_table(players: list[int], n_image: int, n_speech: int) -> NDArray[np.float64]:
    """The table of a unanimity game over image players first, then speech players."""
    values = unanimity_game(players)(subset_masks(n_image + n_speech))
    return values.reshape(1 << n_speech, 1 << n_image).T


@given(n_players=st.integers(1, 6), seed=SEEDS)
@settings(max_examples=30, deadline=None)
def test_exact_values_are_the_mean_over_all_permutations(n_players: int, seed: int) -> None:
    table = random_table(n_players, seed)
    np.testing.assert_allclose(exact_values(table_game(table), n_players), brute_force_values(table), atol=1e-12)


def test_exact_and_factored_values_of_eight_players_are_those_of_brute_force() -> None:
    table = factored_table(3, 5, seed=1)
    known = brute_force_values(flat(table))
    np.testing.assert_allclose(exact_values(table_game(flat(table)), 8), known, atol=1e-12)
    result = exact_factored(table)
    np.testing.assert_allclose(result.values, known, atol=1e-12)
    for image, speech in [(0, 0), (2, 1), (1, 4)]:
        effect = brute_force_interaction(flat(table), image, 3 + speech)
        assert result.interactions[image, speech] == pytest.approx(effect, abs=1e-12)


@given(n_image=st.integers(1, 4), n_speech=st.integers(1, 4), seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_factored_values_and_interactions_follow_the_definitions(n_image: int, n_speech: int, seed: int) -> None:
    if n_image + n_speech > 6:
        n_speech = 6 - n_image
    table = factored_table(n_image, n_speech, seed)
    result = exact_factored(table)
    np.testing.assert_allclose(result.values, brute_force_values(flat(table)), atol=1e-12)
    known = [
        [brute_force_interaction(flat(table), image, n_image + speech) for speech in range(n_speech)]
        for image in range(n_image)
    ]
    np.testing.assert_allclose(result.interactions, known, atol=1e-12)
    assert result.values.sum() == pytest.approx(table[-1, -1] - table[0, 0], abs=1e-12)
    assert (result.v_empty, result.v_full) == (table[0, 0], table[-1, -1])


def test_unanimity_of_three_leaves_is_shared_equally_by_shapley_unlike_by_the_tree() -> None:
    values = exact_values(unanimity_game([0, 1, 4]), 8)
    np.testing.assert_allclose(values, [1 / 3, 1 / 3, 0, 0, 1 / 3, 0, 0, 0], atol=1e-15)
    # Of a unanimity game of t players, the index of a pair among them is 1 / (t - 1): not halved.
    result = exact_factored(game_table([0, 1, 4], 4, 4))
    np.testing.assert_allclose(result.values, values, atol=1e-15)
    expected = np.zeros((4, 4))
    expected[[0, 1], 0] = 1 / 2
    np.testing.assert_allclose(result.interactions, expected, atol=1e-15)


def test_an_effect_of_one_pair_appears_whole_at_its_place() -> None:
    result = exact_factored(5 * game_table([1, 3], 2, 3))
    np.testing.assert_allclose(result.interactions, [[0, 0, 0], [0, 5, 0]], atol=1e-14)
    np.testing.assert_allclose(result.values, [0, 2.5, 0, 2.5, 0], atol=1e-14)
    assert result.synergy == 5


def test_modalities_that_only_add_up_have_neither_interactions_nor_synergy() -> None:
    image, speech = random_table(4, seed=2), random_table(3, seed=3)
    result = exact_factored(image[:, None] + speech)
    np.testing.assert_allclose(result.interactions, np.zeros((4, 3)), atol=1e-13)
    assert result.synergy == pytest.approx(0, abs=1e-13)
    np.testing.assert_allclose(result.values, [*brute_force_values(image), *brute_force_values(speech)], atol=1e-12)


def test_synergy_of_two_players_is_their_interaction() -> None:
    table = np.array([[1.0, 2.0], [4.0, 11.0]])
    result = exact_factored(table)
    assert result.synergy == 11 - 4 - 2 + 1
    np.testing.assert_allclose(result.interactions, [[6.0]])
    np.testing.assert_allclose(result.values, [6.0, 4.0])  # (3 + 9) / 2 and (1 + 7) / 2


@pytest.mark.parametrize(("n_image", "n_speech"), [(6, 6), (11, 1), (1, 11), (4, 7)])
def test_the_factored_path_equals_the_plain_path(n_image: int, n_speech: int) -> None:
    table = factored_table(n_image, n_speech, seed=n_image)
    plain = exact_values(table_game(flat(table)), n_image + n_speech, batch_size=1000)
    result = exact_factored(table)
    np.testing.assert_allclose(result.values, plain, atol=1e-12)
    # Turned round, the same players in the other order.
    turned = exact_factored(table.T)
    np.testing.assert_allclose(np.roll(turned.values, n_image), result.values, atol=1e-12)
    np.testing.assert_allclose(turned.interactions.T, result.interactions, atol=1e-12)


def test_blocks_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    table = factored_table(6, 4, seed=4)
    whole = exact_factored(table)
    monkeypatch.setattr(factored, "_BLOCK_NUMBERS", 7 * 43)  # blocks of seven rows: the last one is shorter
    blocks = exact_factored(table)
    np.testing.assert_allclose(blocks.values, whole.values, atol=1e-13)
    np.testing.assert_allclose(blocks.interactions, whole.interactions, atol=1e-13)


def test_sums_of_a_float32_table_are_float64() -> None:
    # Every value is a float32 exactly; sums of a thousand of them near 10,000 are not.
    table = (10_000 + factored_table(5, 5, seed=5)).astype(np.float32)
    single, double = exact_factored(table), exact_factored(table.astype(np.float64))
    np.testing.assert_array_equal(single.values, double.values)
    np.testing.assert_array_equal(single.interactions, double.interactions)
    without_level = values_from_table(flat(table.astype(np.float64) - 10_000))
    np.testing.assert_allclose(single.values, without_level, atol=1e-9)
    assert single.values.dtype == single.interactions.dtype == np.float64


def test_trees_and_exact_values_agree_on_games_of_pairs() -> None:
    game, known = pair_game(9, seed=6)
    np.testing.assert_allclose(exact_values(game, 9), known, atol=1e-12)
    np.testing.assert_allclose(tree_values(game, modality_tree(4, 5)).leaf_values, known, atol=1e-12)


@given(seed=SEEDS, batch_size=st.integers(1, 40))
@settings(max_examples=15, deadline=None)
def test_exact_values_ask_every_subset_once_in_calls_no_larger_than_batch_size(seed: int, batch_size: int) -> None:
    game = Recorder(table_game(random_table(5, seed)))
    values = exact_values(game, 5, batch_size)
    assert game.masks == [tuple(mask) for mask in subset_masks(5).tolist()]
    assert max(game.calls) <= batch_size
    np.testing.assert_array_equal(values, exact_values(table_game(random_table(5, seed)), 5))


def test_impossible_sizes_are_refused_before_the_game_is_asked() -> None:
    def never(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        raise AssertionError("asked")

    with pytest.raises(ValueError, match=r"1 to 20 players, found 21 \(2\^21 subsets\): use fewer parts"):
        exact_values(never, 21)
    with pytest.raises(ValueError, match="1 to 20 players, found 0"):
        exact_values(never, 0)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        exact_values(never, 3, batch_size=0)
    with pytest.raises(ValueError, match="1 to 20 players, found 21"):
        exact_factored(np.zeros((1 << 20, 2), dtype=np.float32))


@pytest.mark.parametrize("shape", [(3, 4), (4, 1), (1, 4), (0, 4), (16,), (2, 2, 2)])
def test_tables_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"2\^m x 2\^n values"):
        exact_factored(np.zeros(shape))


def test_tables_with_holes_are_refused() -> None:
    table = factored_table(3, 3, seed=7)
    table[5, 2] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        exact_factored(table)
    for length in (0, 1, 6):
        with pytest.raises(ValueError, match=r"2\^n_players values|1 to 20 players"):
            values_from_table(np.zeros(length))
