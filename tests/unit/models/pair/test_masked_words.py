"""Explanations of networks that hear words: absent segments are silenced before the recording is encoded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.pair.explain import explain
from models.pair.game import PairGame
from models.pair.masked_inputs import Recording
from models.pair.players import Players, grid_and_segments
from models.parallelnet.parallelnet_config import WHISPER, WORD_CHANNELS
from models.parallelnet.word_frames import WordEncoder, pooled, sounding
from models.weights.whisper_weights import MODEL_FILE
from tests.builders_nets import new_net
from tests.unit.models.pair.test_parallelnet_game import sample

WORD_FRAMES = 16
SAMPLES = 12_500  # 50 of 64 frames of a second


@pytest.fixture(scope="module")
def recording() -> Recording:
    waveform = np.random.default_rng(0).normal(0, 0.1, SAMPLES).astype(np.float32)
    return Recording(waveform, WordEncoder(MODEL_FILE.path().parent))


def hearing(modalities: str = "both") -> Any:
    net = new_net(speech_backbone=WHISPER, duration_seconds=1.0, n_word_frames=WORD_FRAMES, modalities=modalities)
    generator = torch.Generator().manual_seed(3)
    shapes = {"pixel_values": (3, 32, 32), "spectrogram": (1, 32, 64), "word_frames": (WORD_FRAMES, WORD_CHANNELS)}
    net(**{name: torch.rand(8, *shape, generator=generator) for name, shape in shapes.items()})
    with torch.no_grad():  # its random logits are so large that small effects would drown in rounding
        for name, head in net.named_children():
            if name.startswith("head_"):
                head[-1].weight.mul_(0.2)
    return net.eval()


def game_of(net: Any, recording: Recording | None, players: Players, **options: Any) -> PairGame:
    pixels, sound = (tensor.float() for tensor in sample())
    return PairGame(net, pixels, sound, players, target=1, recording=recording, **options)


def players() -> Players:
    return grid_and_segments(32, 64, 50, (1, 2), 3)


def by_hand(recording: Recording, masks: NDArray[np.bool_], found: Players) -> dict[str, torch.Tensor]:
    """What the network would be given if the recording had been silenced before anything was made of it."""
    pixels, sound = (tensor.float().repeat(len(masks), 1, 1, 1) for tensor in sample())
    heard = []
    for row, mask in enumerate(masks):
        waveform = recording.waveform.copy()
        for player in np.flatnonzero(~mask):
            if player < found.n_image:
                pixels[row][:, torch.from_numpy(found.image == player)] = 0
                continue
            absent = np.flatnonzero(found.speech == player - found.n_image)
            sound[row][..., torch.from_numpy(absent)] = 0
            waveform[absent[0] * 250 : (absent[-1] + 1) * 250] = 0
        heard.append(recording.encoder([waveform], duration_seconds=1.0, n_word_frames=WORD_FRAMES)[0])
    return {"pixel_values": pixels, "spectrogram": sound, "word_frames": torch.from_numpy(np.stack(heard)).float()}


@pytest.mark.parametrize("modalities", ["both", "speech"])
def test_a_mask_is_a_recording_with_silence_in_it(recording: Recording, modalities: str) -> None:
    net, of_net = hearing(modalities), players().of(modalities)
    game = game_of(net, recording, players())
    masks = np.random.default_rng(1).random((5, game.n_players)) < 0.5
    masks = np.concatenate([masks, [[True] * game.n_players, [False] * game.n_players]])
    with torch.inference_mode():
        known = net(**by_hand(recording, masks, of_net)).logits[:, 1].numpy()
    assert np.ptp(known) > 1e-3
    np.testing.assert_allclose(game(masks), known, atol=1e-5)
    np.testing.assert_allclose(game.direct(masks), known, atol=1e-5)
    assert game.factored == (modalities == "both")


@pytest.mark.parametrize("method", ["exact", "level"])
@pytest.mark.parametrize("baseline", ["silence", "mean"])
def test_values_sum_to_what_plain_forwards_say(recording: Recording, method: Any, baseline: Any) -> None:
    net = hearing()
    game = game_of(net, recording, players(), speech_baseline=baseline)
    found = explain(game, method, checked_masks=4)
    full = by_hand(recording, np.ones((1, 5), dtype=np.bool_), players())
    with torch.inference_mode():
        v_full = float(net(**full).logits[0, 1])
    assert found.v_full == pytest.approx(v_full, abs=1e-5)
    if baseline == "silence":
        with torch.inference_mode():
            nothing = net(pixel_values=torch.zeros(1, 3, 32, 32)).logits[0, 1]
        assert found.v_empty == pytest.approx(float(nothing), abs=1e-5)
    assert abs(found.v_full - found.v_empty) > 1e-3
    assert found.values.sum() == pytest.approx(found.v_full - found.v_empty, abs=1e-4)
    assert found.speech_map.sum() == pytest.approx(found.speech_value)
    assert (np.abs(found.values[2:]) > 1e-6).all()


def test_the_mean_stands_only_where_a_segment_is_absent(recording: Recording) -> None:
    found = grid_and_segments(32, 64, 50, (1, 1), 2)
    game = game_of(hearing(), recording, found, speech_baseline="mean")
    masked = game._inputs["word_frames"]
    absent, whole = masked(np.array([[False, True], [True, True]]), torch.contiguous_format)
    frames = recording.encoder.frames(recording.waveform, 1.0)
    np.testing.assert_array_equal(whole.numpy(), pooled(frames, WORD_FRAMES).astype(np.float32))
    mean = frames[sounding(recording.waveform, 1.0)].mean(axis=0)
    np.testing.assert_allclose(absent[:5].numpy(), np.tile(mean, (5, 1)), atol=2e-2)
    assert not absent[13:].any()  # after the speech


def test_without_the_recording_there_is_no_game() -> None:
    with pytest.raises(ValueError, match="recording: a net that hears words needs it, found nothing"):
        game_of(hearing(), None, players())
