"""Which player each pixel and each frame belongs to, and players' values spread over them.

Cells and segments differ by at most one pixel or frame in length (`np.array_split`). Player numbers count from 0
within the input; -1 marks a place that belongs to no player.
"""

import numpy as np

from models.shapley.game import FloatArray, IntArray


def grid_shape(times: int, height_px: int, width_px: int) -> tuple[int, int]:
    """Rows and columns of the grid that `times` halvings along the longer side make (of equal sides, left | right)."""
    if times < 0:
        raise ValueError(f"a picture can be halved 0 or more times, found {times}")
    rows = columns = 1
    for _ in range(times):
        if height_px * columns > width_px * rows:
            rows *= 2
        else:
            columns *= 2
    _check_lengths(rows, height_px, "rows of cells", "rows of pixels")
    _check_lengths(columns, width_px, "columns of cells", "columns of pixels")
    return rows, columns


def grid_players(height_px: int, width_px: int, rows: int, columns: int) -> IntArray:
    """The player of each pixel, int64 [height_px, width_px]; cells are numbered row by row, as in `grid_tree`."""
    _check_lengths(rows, height_px, "rows of cells", "rows of pixels")
    _check_lengths(columns, width_px, "columns of cells", "columns of pixels")
    return _split(height_px, rows)[:, None] * columns + _split(width_px, columns)


def segment_players(n_frames: int, n_segments: int, n_frames_padded: int | None = None) -> IntArray:
    """The player of each frame, int64 [n_frames_padded]: -1 in the padding that follows the n_frames of sound."""
    _check_lengths(n_segments, n_frames, "segments", "frames of sound")
    padding = 0 if n_frames_padded is None else n_frames_padded - n_frames
    if padding < 0:
        raise ValueError(f"{n_frames} frames of sound do not fit in {n_frames_padded} frames")
    return np.pad(_split(n_frames, n_segments), (0, padding), constant_values=-1)


def spread_values(values: FloatArray, players: IntArray) -> FloatArray:
    """A map that sums to the players' values: each place gets its player's value / the player's number of places.

    `players` is int64 of any shape, the player of each place; -1 gets 0. Each player must have a place.
    """
    owned = players >= 0
    places = np.bincount(players[owned], minlength=len(values))
    if len(places) != len(values) or not places.all():
        raise ValueError(f"{len(values)} values cannot be spread over a map of the players {np.unique(players[owned])}")
    spread = np.zeros(players.shape)
    spread[owned] = (values / places)[players[owned]]
    return spread


def _split(length: int, parts: int) -> IntArray:
    """The part of each of `length` places, int64 [length], by `np.array_split`."""
    return np.repeat(np.arange(parts), [len(part) for part in np.array_split(np.arange(length), parts)])


def _check_lengths(parts: int, places: int, parts_name: str, places_name: str) -> None:
    if not 1 <= parts <= places:
        raise ValueError(f"{parts_name} must number between 1 and the {places} {places_name}, found {parts}")
