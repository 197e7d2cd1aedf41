"""Trees, grids and segments: shapes known beforehand, and partitions that must stay partitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import is_valid_linkage, leaves_list

from models.shapley import (
    Nested,
    Tree,
    binary_tree,
    grid_players,
    grid_shape,
    grid_tree,
    join_trees,
    modality_tree,
    segment_players,
    spread_values,
    tree_from_nested,
)
from tests.unit.models.shapley.test_shapley_games import trees


def test_players_in_a_row_are_halved_and_odd_numbers_give_the_first_half_one_more() -> None:
    assert binary_tree(1).nested == 0
    assert binary_tree(4).nested == ((0, 1), (2, 3))
    assert binary_tree(5).nested == (((0, 1), 2), (3, 4))


def test_modalities_are_the_root_s_children_and_speech_is_numbered_after_image() -> None:
    tree = modality_tree(2, 3)
    assert tree.nested == ((0, 1), ((2, 3), 4))
    assert tree.members[1].tolist() == [True, True, False, False, False]
    np.testing.assert_array_equal(tree.members[2], ~tree.members[1])
    np.testing.assert_array_equal(tree.parts, tree.members[1:3])
    assert (tree.n_players, tree.n_nodes) == (5, 9)


def test_a_grid_is_halved_along_its_longer_side_first() -> None:
    # 0 1 2 3 over 4 5 6 7: left | right, then, of square halves, left | right again.
    assert grid_tree(2, 4).nested == (((0, 4), (1, 5)), ((2, 6), (3, 7)))
    # Twice as high as wide: top | bottom first.
    assert grid_tree(4, 2).nested == (((0, 2), (1, 3)), ((4, 6), (5, 7)))
    # The same cells over a square picture are 64 x 32 pixels: once it is halved, the halves are higher than wide.
    assert grid_tree(2, 4, height_px=128, width_px=128).nested == (((0, 1), (4, 5)), ((2, 3), (6, 7)))
    assert grid_tree(3, 1).nested == ((0, 1), 2)


@given(times=st.integers(0, 5), height_px=st.integers(40, 300), width_px=st.integers(40, 300))
@settings(max_examples=25, deadline=None)
def test_a_finer_grid_goes_on_where_the_coarser_one_stops(times: int, height_px: int, width_px: int) -> None:
    def pixel_groups(times_made: int, depth: int) -> set[frozenset[tuple[float, float]]]:
        rows, columns = grid_shape(times_made, height_px, width_px)
        tree = grid_tree(rows, columns, height_px, width_px)
        # Cell corners as fractions of the sides, on the finest grid of all: unevenness by a pixel plays no part.
        scale = 32
        cells = {
            cell: [
                (y, x)
                for y in range(cell // columns * scale // rows, (cell // columns + 1) * scale // rows)
                for x in range(cell % columns * scale // columns, (cell % columns + 1) * scale // columns)
            ]
            for cell in range(rows * columns)
        }
        return {
            frozenset(place for cell in np.flatnonzero(tree.members[node]) for place in cells[int(cell)])
            for node in tree.cut(depth)
        }

    assert pixel_groups(times, times) == pixel_groups(5, times)


@given(tree=trees(max_players=9))
@settings(max_examples=40, deadline=None)
def test_every_cut_partitions_the_players_and_children_follow_their_parents(tree: Tree) -> None:
    for depth in range(int(tree.depth.max()) + 2):
        assert (tree.members[tree.cut(depth)].sum(axis=0) == 1).all()
    inner = np.flatnonzero(tree.children[:, 0] >= 0)
    assert (tree.children[inner] > inner[:, None]).all()
    assert (np.diff(tree.depth) >= 0).all()
    np.testing.assert_array_equal(tree.members[inner], tree.members[tree.children[inner]].any(axis=1))
    np.testing.assert_array_equal(tree.members[tree.leaf_nodes], np.eye(tree.n_players, dtype=np.bool_))
    assert tree.cut(int(tree.depth.max())).tolist() == sorted(tree.leaf_nodes.tolist())


@given(tree=trees(min_players=2, max_players=9))
@settings(max_examples=40, deadline=None)
def test_linkage_is_one_that_scipy_accepts_and_names_the_same_groups(tree: Tree) -> None:
    linkage = tree.linkage()
    assert is_valid_linkage(linkage)

    def leaves(nested: Nested) -> tuple[int, ...]:
        return leaves(nested[0]) + leaves(nested[1]) if isinstance(nested, tuple) else (nested,)

    assert leaves_list(linkage).tolist() == list(leaves(tree.nested))


@pytest.mark.parametrize("nested", [(0, 0), (0, 2), ((0, 1), (1, 2)), 1])
def test_leaves_that_are_not_the_players_once_each_are_refused(nested: Nested) -> None:
    with pytest.raises(ValueError, match="leaves must be the players 0 to"):
        tree_from_nested(nested)


def test_trees_without_players_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one player, found 1 x 0"):
        binary_tree(0)
    with pytest.raises(ValueError, match="at least one player, found 0 x 3"):
        grid_tree(0, 3)
    with pytest.raises(ValueError, match="at least one player"):
        modality_tree(4, 0)


def test_joining_keeps_both_trees_whole() -> None:
    joined = join_trees(grid_tree(2, 2), binary_tree(3))
    assert joined.nested == (((0, 2), (1, 3)), ((4, 5), 6))


def test_a_grid_halves_the_longer_side_and_equal_sides_left_and_right() -> None:
    assert [grid_shape(times, 128, 128) for times in range(5)] == [(1, 1), (1, 2), (2, 2), (2, 4), (4, 4)]
    assert grid_shape(2, 400, 100) == (4, 1)
    with pytest.raises(ValueError, match="rows of cells must number between 1 and the 3 rows of pixels, found 4"):
        grid_shape(4, 3, 3)
    with pytest.raises(ValueError, match="0 or more times, found -1"):
        grid_shape(-1, 3, 3)


def test_pixels_of_an_uneven_grid_worked_by_hand() -> None:
    assert grid_players(3, 5, 2, 2).tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [2, 2, 2, 3, 3]]
    with pytest.raises(ValueError, match="columns of cells must number between 1 and the 5 columns of pixels, found 6"):
        grid_players(3, 5, 2, 6)


def test_padded_frames_belong_to_no_player() -> None:
    assert segment_players(5, 2, n_frames_padded=7).tolist() == [0, 0, 0, 1, 1, -1, -1]
    assert segment_players(2, 2).tolist() == [0, 1]
    with pytest.raises(ValueError, match="segments must number between 1 and the 2 frames of sound, found 3"):
        segment_players(2, 3, n_frames_padded=8)
    with pytest.raises(ValueError, match="segments must number between 1 and the 0 frames of sound, found 1"):
        segment_players(0, 1)
    with pytest.raises(ValueError, match="9 frames of sound do not fit in 8 frames"):
        segment_players(9, 2, n_frames_padded=8)


@given(height_px=st.integers(1, 20), width_px=st.integers(1, 20), rows=st.integers(1, 20), columns=st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_a_map_sums_to_the_values_it_shows(height_px: int, width_px: int, rows: int, columns: int) -> None:
    rows, columns = min(rows, height_px), min(columns, width_px)
    players = grid_players(height_px, width_px, rows, columns)
    sizes = np.bincount(players.ravel())
    assert len(sizes) == rows * columns
    assert sizes.min() >= 1
    values = np.random.default_rng(height_px).normal(size=rows * columns)
    spread = spread_values(values, players)
    np.testing.assert_allclose([spread[players == player].sum() for player in range(len(values))], values)


def test_places_without_a_player_get_nothing_and_values_without_a_place_are_refused() -> None:
    np.testing.assert_array_equal(spread_values(np.array([3.0, -2.0]), segment_players(5, 2, 6)), [1, 1, 1, -1, -1, 0])
    for players in ([0, 0, 1], [0, 1, 2, 3]):
        with pytest.raises(ValueError, match="3 values cannot be spread"):
            spread_values(np.ones(3), np.array(players))
