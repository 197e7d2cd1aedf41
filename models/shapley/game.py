"""Games, subsets as numbers, and the counter that stands between an estimator and a game.

A game takes masks, bool [n_masks, n_players] (True = the player is present), and returns one value per mask,
float64 [n_masks]. It must give a mask the same value whichever masks come with it, and leave the masks as they are.

Where subsets are numbered, the numbers are little-endian: bit k stands for player k. Of three players, subset 5 =
0b101 holds the players 0 and 2, and row 5 of `subset_masks(3)` is [True, False, True].
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

BoolArray: TypeAlias = NDArray[np.bool_]
FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
Game: TypeAlias = Callable[[BoolArray], FloatArray]

# Small enough for the activations of a VGG on an ordinary machine.
DEFAULT_BATCH_SIZE = 64


def subset_masks(n_players: int, start: int = 0, stop: int | None = None) -> BoolArray:
    """The subsets numbered start to stop - 1 (default: all of them) as masks, bool [stop - start, n_players]."""
    numbers = np.arange(start, 1 << n_players if stop is None else stop, dtype=np.int64)
    return ((numbers[:, None] >> np.arange(n_players)) & 1).astype(np.bool_)


class Evaluator:
    """Asks a game in chunks of batch_size, checks what comes back, and counts.

    Distinct masks are counted within each of `parts`, bool [n_parts, n_players], because a game that meets its inputs
    late encodes a picture once per distinct image mask.
    """

    def __init__(self, game: Game, parts: BoolArray, batch_size: int = DEFAULT_BATCH_SIZE) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, found {batch_size}")
        self.evaluations = 0  # masks asked for so far
        self.passes = 0  # calls of this object so far
        self._game = game
        self._batch_size = batch_size
        self._parts = parts
        self._seen: list[set[bytes]] = [set() for _ in parts]

    @property
    def distinct_part_masks(self) -> tuple[int, ...]:
        """How many different masks each part has been asked with."""
        return tuple(len(seen) for seen in self._seen)

    def __call__(self, masks: BoolArray) -> FloatArray:
        """Values float64 [n_masks] of masks, bool [n_masks, n_players]; ValueError if the game returns others."""
        self.passes += 1
        self.evaluations += len(masks)
        for part, seen in zip(self._parts, self._seen, strict=True):
            seen.update(map(bytes, np.packbits(masks[:, part], axis=1)))
        starts = range(0, len(masks), self._batch_size)
        return np.concatenate([self._ask(masks[start : start + self._batch_size]) for start in starts])

    def _ask(self, masks: BoolArray) -> FloatArray:
        values = np.asarray(self._game(masks), dtype=np.float64)
        if values.shape != (len(masks),):
            raise ValueError(f"the game was asked for {len(masks)} values and returned an array of {values.shape}")
        if not np.isfinite(values).all():
            present = np.flatnonzero(masks[np.flatnonzero(~np.isfinite(values))[0]]).tolist()
            raise ValueError(f"the game returned a value that is not finite, with the players {present} present")
        return values
