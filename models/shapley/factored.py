"""Exact Shapley values and interactions of a game that two inputs share, from its table.

A model that meets its two inputs late gives all 2^m x 2^n values for 2^m encodings of the one, 2^n of the other, and
2^(m + n) runs of what follows. From that table come the Shapley value of every part and, for every pair of an image
part and a speech part, the Shapley interaction index of Grabisch & Roubens (1999): for n players in all,

    interaction[k, l] = sum over T without k and l of |T|! (n - |T| - 2)! / (n - 1)!
                        * [v(T + k + l) - v(T + k) - v(T + l) + v(T)]

It is not halved: the joint effect of two players that nothing else touches appears whole (matrices that spread it
over the places k, l and l, k hold half of it in each).

Both depend on the table only through its signed sums over subsets of equal sizes, and those are a product of three
matrices: (sizes of image subsets)' * table * (sizes of speech subsets), taken in blocks of rows.
"""

from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.shapley.exact import check_player_count, shapley_weights
from models.shapley.game import BoolArray, FloatArray, subset_masks

# Float64 numbers in a block: 16 MB.
_BLOCK_NUMBERS = 1 << 21


@dataclass(frozen=True)
class FactoredValues:
    """Exact values of m image and n speech players."""

    values: FloatArray  # float64 [m + n], Shapley values, image players first; they sum to v_full - v_empty
    interactions: FloatArray  # float64 [m, n], the Shapley interaction of each image player with each speech player
    synergy: float  # v(image, speech) - v(image) - v(speech) + v(none): what the modalities are worth only together
    v_full: float  # the value with all players
    v_empty: float  # with none


def exact_factored(table: NDArray[np.floating[Any]]) -> FactoredValues:
    """Shapley values, cross-modal interactions and synergy from the values of all pairs of subsets of up to 20 players.

    In the table, float32 or float64 [2^m, 2^n] with m, n >= 1, table[a, b] is the value with image subset a and speech
    subset b present, little-endian: of 2 + 3 players, table[2, 5] is the value of the image player 1 and the speech
    players 0 and 2. Sums are float64 whatever the type. ValueError: another shape, or a value that is not finite.
    """
    n_image, n_speech = _player_counts(table.shape)
    if n_image < n_speech:
        # The right-hand matrix is held whole, so it belongs to the side with fewer subsets.
        sums = _sums_by_size(table.T, n_speech, n_image).T
    else:
        sums = _sums_by_size(table, n_image, n_speech)

    n_players = n_image + n_speech
    weights = shapley_weights(n_players)
    pair_weights = np.array([1 / ((n_players - 1) * comb(n_players - 2, size)) for size in range(n_players - 1)])
    image, speech = n_image**2, n_speech**2
    by_image = sums[:image, speech:].reshape(n_image, n_image, n_speech + 1)
    by_speech = sums[image:, :speech].reshape(n_image + 1, n_speech, n_speech)
    by_pair = sums[:image, :speech].reshape(n_image, n_image, n_speech, n_speech)
    corners = table[np.ix_([0, -1], [0, -1])].astype(np.float64)
    image_values = np.einsum("kab,ab->k", by_image, _by_sum(weights, n_image, n_speech + 1))
    speech_values = np.einsum("alb,ab->l", by_speech, _by_sum(weights, n_image + 1, n_speech))
    return FactoredValues(
        values=np.concatenate([image_values, speech_values]),
        interactions=np.einsum("kalb,ab->kl", by_pair, _by_sum(pair_weights, n_image, n_speech)),
        synergy=float(corners[1, 1] - corners[1, 0] - corners[0, 1] + corners[0, 0]),
        v_full=float(corners[1, 1]),
        v_empty=float(corners[0, 0]),
    )


def _player_counts(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) != 2 or any(length < 2 or length & (length - 1) for length in shape):
        raise ValueError(f"a table holds 2^m x 2^n values with m, n >= 1, found an array of {shape}")
    n_image, n_speech = (length.bit_length() - 1 for length in shape)
    check_player_count(n_image + n_speech)
    return n_image, n_speech


def _by_sum(weights: FloatArray, first: int, second: int) -> FloatArray:
    """weights[a + b] for a < first, b < second, float64 [first, second]."""
    return weights[np.add.outer(np.arange(first), np.arange(second))]


def _sums_by_size(table: NDArray[np.floating[Any]], n_rows: int, n_columns: int) -> FloatArray:
    """The table summed over subsets of equal sizes, float64 [n_rows^2 + n_rows + 1, n_columns^2 + n_columns + 1]."""
    right = _size_columns(subset_masks(n_columns))
    total = np.zeros((n_rows**2 + n_rows + 1, right.shape[1]))
    block = max(1, _BLOCK_NUMBERS // max(len(total), len(right)))
    for start in range(0, 1 << n_rows, block):
        stop = min(start + block, 1 << n_rows)
        values = table[start:stop].astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError("the table holds a value that is not finite")
        total += _size_columns(subset_masks(n_rows, start, stop)).T @ (values @ right)
    return total


def _size_columns(masks: BoolArray) -> FloatArray:
    """The columns that sum subsets by size, float64 [n_masks, n^2 + n + 1].

    Column k * n + s is +1 for subsets with player k, -1 for those without, where s other players are present, and 0
    elsewhere; the last n + 1 columns are 1 for subsets of size 0 to n.
    """
    n_masks, n_players = masks.shape
    size = masks.sum(axis=1)
    signed = np.zeros((n_masks, n_players, n_players))
    others = size[:, None] - masks
    np.put_along_axis(signed, others[:, :, None], np.where(masks, 1.0, -1.0)[:, :, None], axis=2)
    return np.concatenate([signed.reshape(n_masks, -1), np.eye(n_players + 1)[size]], axis=1)
