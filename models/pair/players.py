"""Which part of a picture and of a recording each player of a pair's game owns.

In   sizes in pixels and frames, or word boundaries in frames
Out  `Players`: their numbers per pixel and per frame, the tree over them, and their values as maps

Image players are cells of a grid, speech players segments of time over all mel bands. Frames after the speech are
padding and no players.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from models.shapley.cells import grid_players, grid_shape, segment_players, spread_values
from models.shapley.game import FloatArray, IntArray
from models.shapley.trees import Tree, binary_tree, grid_tree, join_trees


@dataclass(frozen=True, eq=False)
class Players:
    """Numbers of the players of each pixel and each frame, from 0 within each modality; -1 = no player."""

    image: IntArray  # int64 [h, w]
    speech: IntArray  # int64 [n_frames]
    # Rows and columns, where image players are cells numbered row by row; else they are halved as a row.
    grid: tuple[int, int] | None = None

    @property
    def n_image(self) -> int:
        """Image players, which come first in masks and values."""
        return int(self.image.max(initial=-1)) + 1

    @property
    def n_speech(self) -> int:
        """Speech players."""
        return int(self.speech.max(initial=-1)) + 1

    def of(self, modalities: str) -> Self:
        """The players that a net of `both`, `image` or `speech` has; places of the others get -1."""
        if modalities == "image":
            return replace(self, speech=np.full_like(self.speech, -1))
        if modalities == "speech":
            return replace(self, image=np.full_like(self.image, -1), grid=None)
        return self

    def tree(self) -> Tree:
        """Image | speech, then each halved: the picture along its longer side first, the speech in time."""
        if not self.n_image:
            return binary_tree(self.n_speech)
        image = grid_tree(*self.grid, *self.image.shape) if self.grid else binary_tree(self.n_image)
        return join_trees(image, binary_tree(self.n_speech)) if self.n_speech else image

    def maps(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values [n_image + n_speech] spread evenly over pixels [h, w] and frames [n_frames]; the sums stay."""
        image, speech = np.split(values, [self.n_image])
        return spread_values(image, self.image), spread_values(speech, self.speech)


def grid_and_segments(
    image_size_px: int | tuple[int, int], n_frames: int, speech_frames: int, grid: tuple[int, int], segments: int
) -> Players:
    """Cells of a grid (rows, columns) and segments of equal length, to a pixel and a frame; n_frames counts padding."""
    height, width = (image_size_px, image_size_px) if isinstance(image_size_px, int) else image_size_px
    return Players(grid_players(height, width, *grid), segment_players(speech_frames, segments, n_frames), grid)


def halved_players(times: int, image_size_px: int | tuple[int, int], n_frames: int, speech_frames: int) -> Players:
    """The paper's players: picture and speech halved `times` times each (Algorithm 1); 0 leaves them whole."""
    height, width = (image_size_px, image_size_px) if isinstance(image_size_px, int) else image_size_px
    return grid_and_segments((height, width), n_frames, speech_frames, grid_shape(times, height, width), 2**times)


def word_segments(
    boundaries_in_frames: Sequence[int], n_frames: int, speech_frames: int, segments: int | None = None
) -> IntArray:
    """The player of each frame, int64 [n_frames] with padding, if speech is cut between words.

    Boundaries are the first frame of each word but the first, in any order; what lies outside the speech cuts nothing.
    With more words than `segments`, neighbours share a player, as evenly as their number allows. Default: one per word.
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
