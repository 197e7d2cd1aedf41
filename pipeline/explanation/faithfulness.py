"""Does a map point at what the network uses? Deletion and insertion curves (Petsiuk et al. 2018), against controls.

In   a game (see `models.shapley`), the players of one modality and scores by which to order them
Out  curves: the game's value while the players of a modality go, or come, best first; their areas; bootstrap intervals

While the players of one modality go or come, those of the other are present. Areas are differences from the curve's
begin, in the unit of the output: a good map makes the output fall fast (deletion: low) and rise fast (insertion:
high). What both ends add to an area does not depend on the order, so that orders can be compared row by row. Two
orders are controls that know nothing of the network: a random one, and edges of a picture or loudness of speech.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage, stats

from models.shapley import Game

KINDS = ("deletion", "insertion")
LEVEL = 0.95

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Curve:
    """What the output does along an order of players.

    Attributes:
        shares: of the modality's players that have gone or come, float64 [steps + 1], from 0 to 1.
        values: of the game, float64 [steps + 1].
    """

    shares: Floats
    values: Floats

    @property
    def area(self) -> float:
        """Mean of the values along the shares, as a difference from the first."""
        return float(np.trapezoid(self.values - self.values[0], self.shares))


def curves(
    game: Game, n_players: int, members: Ints, scores: Mapping[str, Floats], steps: int
) -> dict[tuple[str, str], Curve]:
    """Both curves for each order, from one call of the game with each mask once.

    Args:
        game: v(masks: bool [n_masks, n_players]).
        n_players: of the game.
        members: the modality's players, int64 [n].
        scores: float64 [n] by name of the order; largest first, earlier players first among equals.
        steps: in how many groups players go and come; at most one player each.

    Returns:
        by (kind, name of the order).
    """
    steps = min(steps, len(members))
    sizes = [len(part) for part in np.array_split(members, steps)]
    gone = np.cumsum([0, *sizes])
    masks = []
    for values in scores.values():
        order = members[np.argsort(-values, kind="stable")]
        for kind in KINDS:
            for count in gone:
                mask = np.ones(n_players, dtype=np.bool_)
                mask[order[:count] if kind == "deletion" else order[count:]] = False
                masks.append(mask)
    distinct, place = np.unique(np.stack(masks), axis=0, return_inverse=True)
    found = game(distinct)[place.reshape(-1)].reshape(len(scores), len(KINDS), steps + 1)
    return {
        (kind, name): Curve(gone / len(members), found[row, column])
        for row, name in enumerate(scores)
        for column, kind in enumerate(KINDS)
    }


def edge_scores(pixels: NDArray[np.floating], players: Ints) -> Floats:
    """How much is to be seen in each cell of a picture: the mean strength of its edges (Sobel), float64 [n].

    Args:
        pixels: [3, h, w].
        players: [h, w], the player of each pixel; -1 for none.
    """
    grey = pixels.mean(axis=0, dtype=np.float64)
    return _means(np.hypot(ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1)), players)


def loudness_scores(spectrogram: NDArray[np.floating], players: Ints) -> Floats:
    """How loud each segment of speech is: the mean of its spectrogram, which is in dB, float64 [n].

    Args:
        spectrogram: [n_mels, n_frames].
        players: [n_frames], the player of each frame; -1 for none.
    """
    return _means(spectrogram.mean(axis=0, dtype=np.float64), players)


def random_scores(generator: Generator, n: int) -> Floats:
    """A random order of n players."""
    return generator.permutation(n).astype(np.float64)


def generator_of(seed: int, identity: str) -> Generator:
    """Random numbers of a row's own, whichever rows are explained beside it."""
    return np.random.default_rng([seed, int(hashlib.sha256(identity.encode()).hexdigest()[:16], 16)])


def mean_with_interval(values: Floats, samples: int, seed: int) -> dict[str, float | int | None]:
    """Mean of rows with its bootstrap percentile interval of 95 %: rows, mean, low, high.

    None where there are no rows, and for the interval of a single one. Rows count as independent.
    """
    if not len(values):
        return {"rows": 0, "mean": None, "low": None, "high": None}
    low: float | None = None
    high: float | None = None
    if len(values) > 1:
        interval = stats.bootstrap(
            (values,), np.mean, n_resamples=samples, batch=100, confidence_level=LEVEL, method="percentile",
            rng=np.random.default_rng(seed),
        ).confidence_interval  # fmt: skip
        low, high = float(interval.low), float(interval.high)
    return {"rows": len(values), "mean": float(values.mean()), "low": low, "high": high}


def _means(values: Floats, players: Ints) -> Floats:
    return np.asarray(ndimage.mean(values, labels=players, index=np.arange(players.max() + 1)), dtype=np.float64)
