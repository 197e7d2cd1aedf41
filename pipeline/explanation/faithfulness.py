"""Does a map point at what the network uses? Deletion and insertion curves (Petsiuk et al. 2018), against controls.

In   a game (see `models.shapley`), the players of one modality and scores by which to order them
Out  curves: the game's value while the players of a modality go, or come, best first; their areas

While the players of one modality go or come, those of the other are present. Areas are differences from the curve's
begin, in the unit of the output: a good map makes the output fall fast (deletion: low) and rise fast (insertion:
high). What both ends add to an area does not depend on the order, so that orders can be compared row by row. Two
orders are controls that know nothing of the network: a random one, and edges of a picture or loudness of speech.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from models.shapley import Game
from pipeline.explanation.maps import Floats

KINDS = ("deletion", "insertion")

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Curve:
    """What the output does along an order of players."""

    shares: Floats  # [steps + 1], of the modality's players that have gone or come, from 0 to 1
    values: Floats  # [steps + 1], of the game

    @property
    def area(self) -> float:
        """Mean of the values along the shares, as a difference from the first."""
        return float(np.trapezoid(self.values - self.values[0], self.shares))


def curves(
    game: Game, n_players: int, members: Ints, scores: Mapping[str, Floats], steps: int
) -> dict[tuple[str, str], Curve]:
    """Both curves for each order, by (kind, name of the order), from one call of the game with each mask once.

    `members` are the modality's players. An order's scores [n] say who is first: the largest, among equals the earlier
    player. Players go and come in so many groups (`steps`) that have at least one player each.
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
    distinct, index = np.unique(np.stack(masks), axis=0, return_inverse=True)
    answers = game(distinct)[index.reshape(-1)].reshape(len(scores), len(KINDS), steps + 1)
    return {
        (kind, name): Curve(gone / len(members), answers[row, column])
        for row, name in enumerate(scores)
        for column, kind in enumerate(KINDS)
    }


def edge_scores(pixels: NDArray[np.floating], players: Ints) -> Floats:
    """How much is to be seen in each cell of a picture [3, h, w]: the mean strength of its edges (Sobel)."""
    grey = pixels.mean(axis=0, dtype=np.float64)
    return _means(np.hypot(ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1)), players)


def loudness_scores(spectrogram: NDArray[np.floating], players: Ints) -> Floats:
    """How loud each segment or cell of speech is: the mean of its spectrogram [n_mels, n_frames], which is in dB."""
    places = spectrogram.mean(axis=0, dtype=np.float64) if players.ndim == 1 else spectrogram.astype(np.float64)
    return _means(places, players)


def random_scores(generator: Generator, n: int) -> Floats:
    """A random order of n players."""
    return generator.permutation(n).astype(np.float64)


def generator_of(seed: int, identity: str) -> Generator:
    """Random numbers of a row's own, whichever rows are explained beside it."""
    return np.random.default_rng([seed, int(hashlib.sha256(identity.encode()).hexdigest()[:16], 16)])


def _means(values: Floats, players: Ints) -> Floats:
    """The mean of each player's places; a player of -1 is none."""
    return np.asarray(ndimage.mean(values, labels=players, index=np.arange(players.max() + 1)), dtype=np.float64)
