"""Which part of a picture and of a recording each player of a pair's game owns.

In   sizes in pixels and frames, or word boundaries in frames
Out  `Players`: their numbers per pixel and per frame, the tree over them, and their values as maps

Image players are cells of a grid. Speech players are segments of time over all mel bands, or cells of a grid over the
spectrogram. Frames after the speech are padding and no players.
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
    speech: IntArray  # int64 [n_frames], or [n_mels, n_frames] where they are cells
    # Rows and columns, where image players are cells numbered row by row; else they are halved as a row.
    grid: tuple[int, int] | None = None
    # Bands, from the lowest, and columns, where speech players are cells numbered band by band.
    speech_grid: tuple[int, int] | None = None

    @property
    def n_image(self) -> int:
        """Image players, which come first in masks and values."""
        return int(self.image.max(initial=-1)) + 1

    @property
    def n_speech(self) -> int:
        """Speech players."""
        return int(self.speech.max(initial=-1)) + 1

    @property
    def speech_columns(self) -> IntArray:
        """Which stretch of time each frame lies in, int64 [n_frames]: its segment, or its column of cells."""
        return self.speech if self.speech.ndim == 1 else self.speech[0]

    def of(self, modalities: str) -> Self:
        """The players that a net of `both`, `image` or `speech` has; places of the others get -1."""
        if modalities == "image":
            return replace(self, speech=np.full_like(self.speech, -1), speech_grid=None)
        if modalities == "speech":
            return replace(self, image=np.full_like(self.image, -1), grid=None)
        return self

    def tree(self) -> Tree:
        """Image | speech, then each halved: grids along their longer side first, segments in time."""
        if not self.n_image:
            return self._speech_tree()
        image = grid_tree(*self.grid, *self.image.shape) if self.grid else binary_tree(self.n_image)
        return join_trees(image, self._speech_tree()) if self.n_speech else image

    def _speech_tree(self) -> Tree:
        return grid_tree(*self.speech_grid, *self.speech.shape) if self.speech_grid else binary_tree(self.n_speech)

    def maps(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values [n_image + n_speech] spread evenly over pixels [h, w] and frames [n_frames]; the sums stay.

        Of cells of the spectrogram, a frame has the sum over its mel bands. Over n_mels, that is the average over
        frequency of the paper (section 3.3), of which only the sum adds up to what speech is worth.
        """
        image, speech = np.split(values, [self.n_image])
        spread = spread_values(speech, self.speech)
        return spread_values(image, self.image), spread if spread.ndim == 1 else spread.sum(axis=0)


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


def with_speech_cells(players: Players, n_mels: int, speech_frames: int, grid: tuple[int, int]) -> Players:
    """The same image players, and in the place of segments cells of the spectrogram: bands and columns of equal size.

    They differ by at most a mel band and a frame, and cover the speech_frames before the padding. ValueError: more
    bands than mel bands, or more columns than frames.
    """
    padding = players.speech.shape[-1] - speech_frames
    cells = np.pad(grid_players(n_mels, speech_frames, *grid), ((0, 0), (0, padding)), constant_values=-1)
    return replace(players, speech=cells, speech_grid=grid)


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
