"""Curves on games whose areas are known; controls on inputs whose strongest part is planted."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.explanation import faithfulness
from pipeline.explanation.faithfulness import (
    curves,
    edge_scores,
    generator_of,
    loudness_scores,
    random_scores,
)

WORTH = np.array([4.0, 1.0, 2.0, 10.0, 20.0])  # of 3 image players and 2 of speech


class Additive:
    def __init__(self) -> None:
        self.calls: list[NDArray[np.bool_]] = []

    def __call__(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        self.calls.append(masks)
        values: NDArray[np.float64] = 3 + masks @ WORTH
        return values


def area(order: NDArray[np.float64], kind: str, steps: int = 3) -> float:
    return curves(Additive(), 5, np.arange(3), {"x": order}, steps)[kind, "x"].area


def test_players_of_one_modality_go_and_come_best_first_while_the_other_is_present() -> None:
    found = curves(Additive(), 5, np.arange(3), {"x": np.array([4.0, 1.0, 2.0])}, steps=3)
    assert found["deletion", "x"].values.tolist() == [40, 36, 34, 33]
    assert found["insertion", "x"].values.tolist() == [33, 37, 39, 40]
    assert found["deletion", "x"].shares.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert found["deletion", "x"].area == pytest.approx(-(4 / 2 + (4 + 6) / 2 + (6 + 7) / 2) / 3)
    speech = curves(Additive(), 5, np.array([3, 4]), {"x": np.array([0.0, 1.0])}, steps=9)
    assert speech["deletion", "x"].values.tolist() == [40, 20, 10]


def test_no_order_beats_that_of_the_true_values() -> None:
    best = {kind: area(WORTH[:3], kind) for kind in faithfulness.KINDS}
    for order in permutations([0.0, 1.0, 2.0]):
        assert area(np.array(order), "deletion") >= best["deletion"] - 1e-12
        assert area(np.array(order), "insertion") <= best["insertion"] + 1e-12


def test_the_game_is_asked_once_and_for_each_mask_once() -> None:
    game = Additive()
    scores = {"x": np.array([3.0, 2, 1]), "same": np.array([9.0, 5, 0]), "reverse": np.array([1.0, 2, 3])}
    found = curves(game, 5, np.arange(3), scores, steps=3)
    assert len(game.calls) == 1
    assert len(np.unique(game.calls[0], axis=0)) == len(game.calls[0]) == 6  # none, all, the ends of each order
    assert found["deletion", "x"].values.tolist() == found["deletion", "same"].values.tolist()


def test_equal_scores_keep_the_players_order_and_groups_are_cut_evenly() -> None:
    found = curves(Additive(), 5, np.arange(5), {"x": np.zeros(5)}, steps=2)
    assert found["insertion", "x"].shares.tolist() == [0, 3 / 5, 1]
    assert found["insertion", "x"].values.tolist() == [3, 10, 40]


def test_edges_are_strongest_where_something_is_to_be_seen() -> None:
    pixels = np.zeros((3, 8, 8), dtype=np.float32)
    pixels[:, 5:7, 1:3] = 1
    players = np.repeat(np.repeat(np.array([[0, 1], [2, 3]]), 4, axis=0), 4, axis=1)
    scores = edge_scores(pixels, players)
    assert scores.argmax() == 2
    assert scores[1] == 0


def test_loudness_leaves_out_the_padding() -> None:
    spectrogram = np.array([[0.2, 0.2, 0.8, 0.4, 1.0], [0.0, 0.2, 0.8, 0.4, 1.0]], dtype=np.float32)
    assert loudness_scores(spectrogram, np.array([0, 0, 1, 1, -1])) == pytest.approx([0.15, 0.6])


def test_a_rows_random_order_is_its_own() -> None:
    first, again, other, seed = (
        random_scores(generator_of(*key), 50).tolist() for key in ((7, "a"), (7, "a"), (7, "b"), (8, "a"))
    )
    assert first == again
    assert sorted(first) == sorted(other) == list(range(50))
    assert first != other
    assert first != seed
