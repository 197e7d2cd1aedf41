"""Players of a picture and a recording: who owns which pixel and which frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.pair.players import Players, grid_and_segments, halved_players, with_speech_cells, word_segments


def test_uneven_cells_and_segments_are_numbered_row_by_row_and_padding_is_no_player() -> None:
    players = grid_and_segments((5, 4), n_frames=9, speech_frames=7, grid=(2, 3), segments=3)
    assert players.image.tolist() == [[0, 0, 1, 2]] * 3 + [[3, 3, 4, 5]] * 2
    assert players.speech.tolist() == [0, 0, 0, 1, 1, 2, 2, -1, -1]
    assert (players.n_image, players.n_speech) == (6, 3)


@pytest.mark.parametrize("times", [0, 1, 2, 3, 4])
def test_the_papers_players_are_halved_along_the_longer_side_first(times: int) -> None:
    players = halved_players(times, (10, 33), n_frames=40, speech_frames=31)
    assert players.n_image == players.n_speech == 2**times
    assert players.grid == [(1, 1), (1, 2), (1, 4), (2, 4), (2, 8)][times]
    tree = players.tree()
    assert tree.n_players == 2 ** (times + 1)
    assert tree.parts.tolist() == [[True] * 2**times + [False] * 2**times, [False] * 2**times + [True] * 2**times]
    assert tree.depth.max() == times + 1


def test_the_tree_halves_a_grid_as_a_rectangle_and_other_players_as_a_row() -> None:
    grid = grid_and_segments(8, n_frames=4, speech_frames=4, grid=(2, 2), segments=2)
    assert grid.tree().nested == (((0, 2), (1, 3)), (4, 5))
    assert Players(grid.image, grid.speech).tree().nested == (((0, 1), (2, 3)), (4, 5))


@pytest.mark.parametrize(
    ("grid", "segments", "speech_frames", "message"),
    [
        ((6, 1), 1, 7, "rows of cells"),
        ((1, 5), 1, 7, "columns of cells"),
        ((1, 1), 8, 7, "segments"),
        ((0, 1), 1, 7, "rows of cells"),
        ((1, 1), 1, 0, "0 frames of sound"),
        ((1, 1), 1, 10, "do not fit"),
    ],
)
def test_more_cells_than_pixels_or_segments_than_frames_are_refused(
    grid: tuple[int, int], segments: int, speech_frames: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        grid_and_segments((5, 4), 9, speech_frames, grid, segments)


def test_more_halvings_than_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="cells"):
        halved_players(7, 8, n_frames=128, speech_frames=128)


def test_words_are_players_and_silence_after_them_is_not() -> None:
    assert word_segments([5, 2, 5, 0, 9, 30], n_frames=9, speech_frames=7).tolist() == [0, 0, 1, 1, 1, 2, 2, -1, -1]
    assert word_segments([], n_frames=3, speech_frames=2).tolist() == [0, 0, -1]


def test_words_share_players_evenly_and_cuts_stay_between_words() -> None:
    boundaries = [1, 2, 4, 5, 8]  # six words
    assert word_segments(boundaries, 10, 9, segments=3).tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2, -1]
    assert word_segments(boundaries, 10, 9, segments=1).tolist() == [0] * 9 + [-1]
    assert word_segments(boundaries, 10, 9, segments=40).max() == 5


@given(st.lists(st.integers(-3, 30), max_size=12), st.integers(1, 24), st.integers(0, 5), st.integers(1, 14))
def test_word_players_are_consecutive_and_change_at_boundaries_only(
    boundaries: list[int], speech_frames: int, padding: int, segments: int
) -> None:
    players = word_segments(boundaries, speech_frames + padding, speech_frames, segments)
    spoken, rest = np.split(players, [speech_frames])
    assert (rest == -1).all()
    assert spoken[0] == 0
    assert set(np.diff(spoken)) <= {0, 1}
    changes = np.flatnonzero(np.diff(spoken)) + 1
    assert set(changes) <= set(boundaries)
    words = 1 + len({cut for cut in boundaries if 0 < cut < speech_frames})
    assert spoken[-1] + 1 == min(words, segments)


@pytest.mark.parametrize(("speech_frames", "segments"), [(0, None), (6, None), (3, 0)])
def test_words_without_frames_or_segments_are_refused(speech_frames: int, segments: int | None) -> None:
    with pytest.raises(ValueError, match=r"must number|do not fit"):
        word_segments([1], n_frames=5, speech_frames=speech_frames, segments=segments)


def test_maps_sum_to_the_values_of_their_modality_and_leave_padding_at_0() -> None:
    players = grid_and_segments((5, 7), n_frames=9, speech_frames=7, grid=(2, 3), segments=2)
    values = np.arange(1.0, 9.0)
    image, speech = players.maps(values)
    assert image.shape == (5, 7)
    assert image[0, 0] == pytest.approx(1 / 9)
    assert image.sum() == pytest.approx(21)
    assert speech.tolist() == pytest.approx([7 / 4] * 4 + [8 / 3] * 3 + [0, 0])


def with_cells(grid: tuple[int, int] = (2, 2), n_mels: int = 3, speech_frames: int = 5) -> Players:
    return with_speech_cells(grid_and_segments(4, 7, speech_frames, (1, 1), 1), n_mels, speech_frames, grid)


def test_cells_of_a_spectrogram_are_numbered_band_by_band_and_padding_is_no_player() -> None:
    players = with_cells()
    assert players.speech.tolist() == [[0, 0, 0, 1, 1, -1, -1]] * 2 + [[2, 2, 2, 3, 3, -1, -1]]
    assert players.speech_columns.tolist() == [0, 0, 0, 1, 1, -1, -1]
    assert (players.n_image, players.n_speech) == (1, 4)
    # 3 mel bands in 2 and 7 frames in 2: a cell is longer in time, so that time is halved first.
    assert players.tree().nested == (0, ((1, 3), (2, 4)))
    assert players.of("speech").tree().nested == ((0, 2), (1, 3))
    assert (players.of("image").n_speech, players.of("image").tree().n_players) == (0, 1)


def test_cells_are_summed_over_frequency_and_their_mean_is_the_papers() -> None:
    players = with_cells()
    _, speech = players.maps(np.array([10.0, 6.0, 4.0, -3.0, 1.0]))
    # Two of three mel bands and three frames: 6 / 6 in each place of the first cell, 4 / 4, -3 / 3, 1 / 2.
    assert speech.tolist() == pytest.approx([2 * 1 - 1] * 3 + [2 * 1 + 0.5] * 2 + [0, 0])
    assert speech.sum() == pytest.approx(6 + 4 - 3 + 1)
    by_hand = np.array([[1.0, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0, 0], [-1, -1, -1, 0.5, 0.5, 0, 0]])
    averaged = by_hand.mean(axis=0)  # the paper's reduction to the axis of time
    assert (speech / 3).tolist() == pytest.approx(averaged.tolist())
    assert 3 * averaged.sum() == pytest.approx(8)  # of averages, the sum is what speech is worth over n_mels


def test_one_band_of_cells_is_segments_of_time() -> None:
    cells, segments = with_cells((1, 3)), grid_and_segments(4, 7, 5, (1, 1), 3)
    assert cells.speech_columns.tolist() == segments.speech.tolist()
    values = np.array([1.0, 2.0, 3.0, 4.0])
    assert cells.maps(values)[1].tolist() == pytest.approx(segments.maps(values)[1].tolist())
    assert cells.tree().nested == segments.tree().nested


@pytest.mark.parametrize(("grid", "message"), [((4, 1), "rows of cells"), ((1, 6), "columns of cells")])
def test_more_bands_than_mel_bands_or_columns_than_frames_are_refused(grid: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_cells(grid)


@pytest.mark.parametrize(("modality", "sizes"), [("image", (4, 0)), ("speech", (0, 3)), ("both", (4, 3))])
def test_a_net_of_one_modality_has_players_of_that_only(modality: str, sizes: tuple[int, int]) -> None:
    players = grid_and_segments(6, n_frames=8, speech_frames=8, grid=(2, 2), segments=3).of(modality)
    assert (players.n_image, players.n_speech) == sizes
    assert players.tree().n_players == sum(sizes)
    image, speech = players.maps(np.ones(sum(sizes)))
    assert (image.shape, speech.shape) == ((6, 6), (8,))
    assert (image.sum(), speech.sum()) == pytest.approx(sizes)
