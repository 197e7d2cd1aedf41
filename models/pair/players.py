"""Which part of a picture and of a recording each player of a pair's game owns.

In   sizes in pixels and frames, or word boundaries in frames
Out  `Players`: their numbers per pixel and per frame, the tree over them, and their values as maps

Image players are cells of a grid, speech players segments of time over all mel bands. Frames after the speech are
padding and no players.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.shapley import (
    Tree,
    binary_tree,
    grid_players,
    grid_shape,
    grid_tree,
    join_trees,
    segment_players,
    spread_values,
)


@dataclass(frozen=True, eq=False)
class Players:
    """Numbers of the players of each pixel and each frame, from 0 within each modality; -1 = no player.

    Attributes:
        image: int64 [h, w].
        speech: int64 [n_frames].
        grid: rows and columns, where image players are cells numbered row by row; else they are halved as a row.
    """

    image: NDArray[np.int64]
    speech: NDArray[np.int64]
    grid: tuple[int, int] | None = None

    @property
    def n_image(self) -> int:
        """Image players, which come first in masks and values."""
        return int(self.image.max(initial=-1)) + 1

    @property
    def n_speech(self) -> int:
        """Speech players."""
        return int(self.speech.max(initial=-1)) + 1

    def of(self, modalities: str) -> Players:
        """The players that a net of `both`, `image` or `speech` has; places of the others get -1."""
        if modalities == "image":
            return replace(self, speech=np.full_like(self.speech, -1))
        if modalities == "speech":
            return replace(self, image=np.full_like(self.image, -1), grid=None)
        return self

    def tree(self) -> Tree:
        """Image | speech, then each halved: the picture along its longer side first, the speech in time.

        Raises:
            ValueError: there are no players.
        """
        if not self.n_image:
            return binary_tree(self.n_speech)
        image = grid_tree(*self.grid, *self.image.shape) if self.grid else binary_tree(self.n_image)
        return join_trees(image, binary_tree(self.n_speech)) if self.n_speech else image

    def maps(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values [n_image + n_speech] spread evenly over pixels [h, w] and frames [n_frames]; the sums stay."""
        image, speech = np.split(values, [self.n_image])
        return spread_values(image, self.image), spread_values(speech, self.speech)


def grid_and_segments(
    image_size_px: int | tuple[int, int], n_frames: int, speech_frames: int, grid: tuple[int, int], segments: int
) -> Players:
    """Cells of a grid and segments of equal length, to a pixel and a frame.

    Args:
        image_size_px: side, or height and width.
        n_frames: with padding.
        speech_frames: before padding; see `spectrogram.speech_frames`.
        grid: rows and columns.
        segments: of the speech.

    Raises:
        ValueError: more cells than pixels, or more segments than frames of speech; or none.
    """
    height, width = (image_size_px, image_size_px) if isinstance(image_size_px, int) else image_size_px
    return Players(grid_players(height, width, *grid), segment_players(speech_frames, segments, n_frames), grid)


def halved_players(times: int, image_size_px: int | tuple[int, int], n_frames: int, speech_frames: int) -> Players:
    """The paper's players: picture and speech halved `times` times each (Algorithm 1); 0 leaves them whole.

    Raises:
        ValueError: see `grid_and_segments`; or times is negative.
    """
    height, width = (image_size_px, image_size_px) if isinstance(image_size_px, int) else image_size_px
    return grid_and_segments((height, width), n_frames, speech_frames, grid_shape(times, height, width), 2**times)


def word_segments(
    boundaries_in_frames: Sequence[int], n_frames: int, speech_frames: int, segments: int | None = None
) -> NDArray[np.int64]:
    """The player of each frame, int64 [n_frames], if speech is cut between words; see `Players.speech`.

    Args:
        boundaries_in_frames: first frame of each word but the first, in any order; what lies outside the speech cuts
            nothing.
        n_frames: with padding.
        speech_frames: before padding.
        segments: the most players; neighbouring words share one, as evenly as their number allows. Default: a player
            per word.

    Raises:
        ValueError: no frames of speech, more of them than n_frames, or fewer than one segment.
    """
    if segments is not None and segments < 1:
        raise ValueError(f"segments must number at least 1, found {segments}")
    players = segment_players(speech_frames, 1, n_frames)
    cuts = np.unique(np.asarray(boundaries_in_frames, dtype=np.int64))
    cuts = cuts[(cuts > 0) & (cuts < speech_frames)]
    if segments is not None and segments <= len(cuts):
        first_words = [words[0] for words in np.array_split(np.arange(len(cuts) + 1), segments)]
        cuts = cuts[np.array(first_words[1:], dtype=np.int64) - 1]
    players[:speech_frames] = np.searchsorted(cuts, np.arange(speech_frames), side="right")
    return players
