"""The same values as shap's PartitionExplainer on the same tree, and as captum's ShapleyValues on a small network.

Both are skipped where the peer is not installed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.shapley import (
    Game,
    Tree,
    binary_tree,
    exact_factored,
    exact_values,
    grid_players,
    grid_tree,
    join_trees,
    modality_tree,
    segment_players,
    subset_masks,
    tree_values,
)
from tests.unit.models.shapley.test_shapley_games import random_table, table_game

Floats = NDArray[np.float64]


def partition_explainer_values(shap: Any, game: Game, tree: Tree, max_evals: int) -> Floats:
    """Inputs are 1 where a player is present and 0 elsewhere, so that shap's masked inputs are our masks."""
    masker = shap.maskers.Partition(np.zeros((1, tree.n_players)), clustering=tree.linkage())
    explainer = shap.explainers.Partition(lambda inputs: game(inputs > 0.5), masker)
    found = explainer(np.ones((1, tree.n_players)), max_evals=max_evals, batch_size=64, silent=True)
    values: Floats = found.values[0]
    return values


@pytest.mark.parametrize(
    "tree",
    [binary_tree(8), modality_tree(3, 5), join_trees(grid_tree(2, 3), binary_tree(4))],
    ids=["binary", "modalities", "grid"],
)
def test_values_equal_those_of_shap_on_the_same_tree(tree: Tree) -> None:
    shap = pytest.importorskip("shap")
    game = table_game(random_table(tree.n_players, seed=1))
    known = partition_explainer_values(shap, game, tree, max_evals=100_000)
    for order in ("level", "best"):
        np.testing.assert_allclose(tree_values(game, tree, order=order).leaf_values, known, atol=1e-12)


@pytest.mark.parametrize("max_evals", [4, 40, 130, 300])
def test_best_first_equals_shap_within_a_budget(max_evals: int) -> None:
    shap = pytest.importorskip("shap")
    tree = modality_tree(16, 16)
    weights = np.random.default_rng(2).normal(size=32)

    def game(masks: NDArray[np.bool_]) -> Floats:
        values: Floats = np.tanh(masks @ weights)
        return values

    known = partition_explainer_values(shap, game, tree, max_evals)
    found = tree_values(game, tree, order="best", max_evals=max_evals)
    assert found.evaluations == max_evals
    np.testing.assert_allclose(found.leaf_values, known, atol=1e-12)


def test_values_equal_those_of_captum_on_two_inputs_with_feature_masks() -> None:
    captum_attr = pytest.importorskip("captum.attr")
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    image = torch.from_numpy(rng.normal(size=(1, 5, 4)))
    speech = torch.from_numpy(rng.normal(size=(1, 7)))
    image_weights, speech_weights = (torch.from_numpy(rng.normal(size=shape)) for shape in [(20, 6), (7, 6)])
    baselines = (-0.3, 0.2)  # neither is zero: that a part is absent must not mean that it is zero

    def network(pixels: Any, frames: Any) -> Any:
        return (torch.tanh(pixels.flatten(1) @ image_weights) * torch.tanh(frames @ speech_weights)).sum(dim=1)

    cells, segments = grid_players(5, 4, 3, 1), segment_players(7, 2)

    def game(masks: NDArray[np.bool_]) -> Floats:
        pixels = torch.where(torch.from_numpy(masks[:, cells]), image, baselines[0])
        frames = torch.where(torch.from_numpy(masks[:, 3 + segments]), speech, baselines[1])
        values: Floats = network(pixels, frames).numpy()
        return values

    attributions = captum_attr.ShapleyValues(network).attribute(
        (image, speech),
        baselines=baselines,
        feature_mask=(torch.from_numpy(cells)[None], torch.from_numpy(3 + segments)[None]),
        perturbations_per_eval=5,
    )
    # captum gives each pixel and frame the whole value of its player, and adds up in float32.
    known = np.zeros(5)
    known[cells] = attributions[0][0].numpy()
    known[3 + segments] = attributions[1][0].numpy()
    assert np.abs(known).min() > 0.01
    np.testing.assert_allclose(exact_values(game, 5), known, atol=2e-6)

    table = game(subset_masks(5)).reshape(1 << 2, 1 << 3).T
    np.testing.assert_allclose(exact_factored(table).values, known, atol=2e-6)
