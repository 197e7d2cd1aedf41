"""Shapley values of a picture's cells and its speech's segments for one answer of a network, with proof of their sum.

In   a `PairGame`
Out  `PairExplanation`: values per player, maps, what each modality is worth, how much they need each other

Sums of Shapley values telescope: they equal v(full) - v(empty) of the game that was played, right or wrong. So every
explanation is held against plain forwards which share nothing with the game: of the untouched sample, of its baselines,
of each modality alone, and of masks drawn from those that the game has answered.
"""

from typing import Literal

import numpy as np

from models.pair.explanation import PairExplanation, check_exactness
from models.pair.game import PairGame
from models.pair.players import Players
from models.shapley import exact_factored, subset_masks, tree_values, values_from_table
from models.shapley.game import BoolArray, FloatArray

Method = Literal["exact", "level", "best", "sample"]

CHECKED_MASKS = 16
# The game cuts what it is asked into batches of its own: asked for much at once, it can fill them.
_MASKS_PER_CALL = 1 << 16
_COUNTERS = ("image_encodings", "speech_encodings", "fusions", "forwards")


def explain(
    game: PairGame,
    method: Method = "exact",
    max_evals: int | None = None,
    permutations: int = 1,
    seed: int = 0,
    checked_masks: int = CHECKED_MASKS,
) -> PairExplanation:
    """The values of a game's players; what the game has encoded before is not encoded again.

    Args:
        game: see `PairGame`.
        method: `exact`: Shapley values from all subsets of at most 20 players, with interactions. `level`, `best`,
            `sample`: tree values by that order, within `max_evals` and by `permutations`, see `shapley.tree_values`.
        seed: of `sample` and of the choice of checked masks.
        checked_masks: how many of the game's masks to check against plain forwards, besides the four corners.

    Raises:
        ValueError: no such method; or see `shapley.tree_values` and `shapley.exact_values`.
        InexactError: the values do not sum to v(full) - v(empty) of plain forwards, or a checked mask differs, by more
            than 1e-4 * max(1, |v(full) - v(empty)|).
    """
    if method not in {"exact", "level", "best", "sample"}:
        raise ValueError(f"method: expected exact, level, best or sample, found {method!r}")
    before = {name: getattr(game, name) for name in _COUNTERS}
    rng = np.random.default_rng(seed)
    interactions = None
    if method == "exact":
        table = game.table()
        if min(game.players.n_image, game.players.n_speech):
            exact = exact_factored(table)
            values, interactions = exact.values, exact.interactions
        else:
            values = values_from_table(table.ravel())
        masks, answers = subset_masks(game.n_players), table.T.ravel()
    else:
        record = _Record(game)
        tree = game.players.tree()
        values = tree_values(record, tree, method, max_evals, permutations, rng, _MASKS_PER_CALL).leaf_values
        masks, answers = np.concatenate(record.masks), np.concatenate(record.answers)
    counts = {name: getattr(game, name) - old for name, old in before.items()}

    drawn = rng.choice(len(masks), size=min(checked_masks, len(masks)), replace=False)
    direct = game.direct(np.concatenate([_corners(game.players), masks[drawn]]))
    v_empty, v_image, v_speech, v_full = direct[:4].tolist()
    residual = float(values.sum()) - (v_full - v_empty)
    max_difference = float(np.abs(answers[drawn] - direct[4:]).max(initial=0))
    check_exactness(residual, max_difference, v_full - v_empty)
    image_map, speech_map = game.players.maps(values)
    both = game.players.n_image and game.players.n_speech
    return PairExplanation(
        target=game.target,
        values=values,
        image_map=image_map,
        speech_map=speech_map,
        image_value=float(values[: game.players.n_image].sum()),
        speech_value=float(values[game.players.n_image :].sum()),
        v_full=v_full,
        v_empty=v_empty,
        v_image=v_image,
        v_speech=v_speech,
        residual=residual,
        max_difference=max_difference,
        interactions=interactions,
        synergy=v_full - v_image - v_speech + v_empty if both else None,
        evaluations=len(masks),
        direct_forwards=len(direct),
        **counts,
    )


class _Record:
    """A game that keeps what it was asked and what it answered."""

    def __init__(self, game: PairGame) -> None:
        self.masks: list[BoolArray] = []
        self.answers: list[FloatArray] = []
        self._game = game

    def __call__(self, masks: BoolArray) -> FloatArray:
        answers = self._game(masks)
        self.masks.append(masks)
        self.answers.append(answers)
        return answers


def _corners(players: Players) -> BoolArray:
    """Nobody, all of the image, all of the speech, everybody: bool [4, n_players]."""
    image, speech = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.bool_).T[:, :, None]
    return np.concatenate([np.repeat(image, players.n_image, axis=1), np.repeat(speech, players.n_speech, axis=1)], 1)
