"""Baselines, and copies of a sample from which players are taken out."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.pair.masked_inputs import (
    ImageBaseline,
    MaskedInput,
    SpeechBaseline,
    image_baseline,
    masked_inputs,
    speech_baseline,
)
from models.pair.players import grid_and_segments
from models.parallelnet.spectrogram import log_mel, speech_frames
from models.shapley import subset_masks
from tests.builders_nets import inputs, tiny_net

FORMATS = (torch.contiguous_format, torch.channels_last)


def spoken(seconds: float = 0.7) -> torch.Tensor:
    """A spectrogram [1, 32, 64] of one second, of which noise fills the first part."""
    noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * 16_000)).astype(np.float32)
    return log_mel([noise], duration_seconds=1.0, n_mels=32, n_frames=64)[0]


def test_the_silence_baseline_is_the_feature_of_digital_silence_and_the_lowest_value() -> None:
    silence = log_mel([np.zeros(16_000, np.float32)], duration_seconds=1.0, n_mels=32, n_frames=64)[0]
    baseline = speech_baseline(spoken(), np.zeros(64, np.int64), "silence")
    assert torch.equal(baseline, silence)
    assert (baseline == 0).all()
    loud = log_mel([np.ones(16_000, np.float32)], duration_seconds=1.0, n_mels=32, n_frames=64)[0]
    assert min(spoken().min(), loud.min()) >= baseline.max()
    assert loud.max() > spoken().median() > baseline.max()


def test_the_mean_of_speech_is_of_each_band_over_the_frames_of_players() -> None:
    sound = torch.arange(12.0).view(1, 2, 6)
    baseline = speech_baseline(sound, np.array([0, 0, 1, 1, -1, -1]), "mean")
    assert baseline.shape == sound.shape
    assert baseline[0, :, 0].tolist() == [1.5, 7.5]
    assert baseline[0, :, 5].tolist() == [1.5, 7.5]


def test_image_baselines_are_black_the_mean_colour_or_a_blur_that_keeps_it() -> None:
    picture = torch.zeros(3, 21, 40)
    picture[0, :, 20:] = 1.0
    picture[2, ::2] = 0.5  # stripes a pixel wide
    assert (image_baseline(picture, "zero") == 0).all()
    mean = image_baseline(picture, "mean")
    assert mean.shape == picture.shape
    assert mean[:, 0, 0].tolist() == pytest.approx([0.5, 0.0, 0.5 * 11 / 21])
    blur = image_baseline(picture, "blur")
    assert blur.shape == picture.shape
    assert blur[0, 10, 0] < 0.05
    assert blur[0, 10, 39] > 0.95
    assert blur[0, 10, 20] == pytest.approx(0.5, abs=0.1)
    assert blur[2].std() < 0.02
    assert blur.mean() == pytest.approx(float(picture.mean()), abs=0.02)


@given(st.integers(1, 9), st.integers(1, 9))
def test_pictures_of_any_size_have_a_blur(height: int, width: int) -> None:
    blur = image_baseline(torch.ones(3, height, width), "blur")
    torch.testing.assert_close(blur, torch.ones(3, height, width))


def test_unknown_baselines_are_refused() -> None:
    with pytest.raises(ValueError, match="zero, mean or blur, found 'grey'"):
        image_baseline(torch.ones(3, 4, 4), "grey")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="silence or mean, found 'zero'"):
        speech_baseline(torch.ones(1, 4, 4), np.zeros(4, np.int64), "zero")  # type: ignore[arg-type]


@pytest.mark.parametrize("memory_format", FORMATS, ids=["contiguous", "channels last"])
@pytest.mark.parametrize("channels", [1, 3])
def test_masked_copies_hold_the_sample_where_players_are_present_and_the_baseline_elsewhere(
    memory_format: torch.memory_format, channels: int
) -> None:
    players = np.array([[0, 0, 1], [2, -1, 1]])
    sample, baseline = torch.rand(channels, 2, 3), torch.rand(channels, 2, 3)
    masks = subset_masks(3)
    copies = MaskedInput(sample, baseline, players)(masks, memory_format)
    assert copies.is_contiguous(memory_format=memory_format)
    assert copies.shape == (8, channels, 2, 3)
    for mask, copy in zip(masks, copies, strict=True):
        for row, column in np.ndindex(2, 3):
            player = players[row, column]
            source = sample if player < 0 or mask[player] else baseline
            assert torch.equal(copy[:, row, column], source[:, row, column])


def test_players_of_frames_own_all_bands() -> None:
    sound = torch.ones(1, 3, 4)
    copies = MaskedInput(sound, torch.zeros(1, 3, 4), np.array([0, 0, 1, -1]))(subset_masks(2), torch.channels_last)
    assert (copies[:, 0] == copies[:, 0, :1]).all()
    assert copies[:, 0, 0].tolist() == [[0, 0, 0, 1], [1, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]]


@pytest.mark.parametrize("of_image", get_args(ImageBaseline))
@pytest.mark.parametrize("of_speech", get_args(SpeechBaseline))
def test_everybody_present_is_the_sample_and_padding_stays_silent_under_every_baseline(
    of_image: ImageBaseline, of_speech: SpeechBaseline
) -> None:
    sound, picture = spoken(), inputs(1)["pixel_values"][0]
    players = grid_and_segments(32, 64, speech_frames(0.7, 1.0, 64), (2, 2), 4)
    masked = masked_inputs(tiny_net(), picture, sound, players, of_image, of_speech)
    for name, sample in (("pixel_values", picture), ("spectrogram", sound)):
        absent, present = masked[name](np.array([[False] * 4, [True] * 4]), torch.contiguous_format)
        assert torch.equal(present, sample)
        assert not torch.equal(absent, sample)
    silent, _ = masked["spectrogram"](np.array([[False] * 4, [True] * 4]), torch.contiguous_format)
    assert (players.speech < 0).sum() > 10
    assert (silent[..., players.speech < 0] == 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pixel_values": torch.ones(1, 32, 32)}, r"pixel_values: expected .*found \[1, 32, 32\]"),
        ({"pixel_values": torch.ones(3, 32, 31)}, r"pixel_values: .* players of \[32, 32\] pixels"),
        ({"pixel_values": torch.ones(1, 3, 32, 32)}, "pixel_values"),
        ({"pixel_values": None}, "pixel_values: this net needs it, found nothing"),
        ({"spectrogram": torch.ones(1, 32, 63)}, r"spectrogram: .* players of \[64\] frames"),
        ({"spectrogram": None}, "spectrogram: this net needs it"),
    ],
)
def test_inputs_of_another_size_than_their_players_are_refused(changes: dict[str, Any], message: str) -> None:
    given_inputs: dict[str, Any] = {name: tensor[0] for name, tensor in inputs(1).items()} | changes
    players = grid_and_segments(32, 64, 64, (2, 2), 4)
    with pytest.raises(ValueError, match=message):
        masked_inputs(tiny_net(), **given_inputs, players=players, of_image="zero", of_speech="silence")
