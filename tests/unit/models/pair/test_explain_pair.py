"""Explanations of pairs: planted evidence is found, sums hold, and games that lie are caught."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.pair.explain import explain
from models.pair.explanation import InexactError, PairExplanation, check_exactness
from models.pair.game import PairGame
from models.pair.players import Players, grid_and_segments, halved_players, with_speech_cells
from models.parallelnet.parallelnet import Codes, ParallelNet
from models.shapley import exact_values
from tests.builders_nets import KINDS, new_net, tiny_net
from tests.unit.models.pair.test_parallelnet_game import answer, assert_close, net_of, sample, small_players

METHODS: dict[str, dict[str, Any]] = {
    "exact": {"method": "exact"},
    "level": {"method": "level"},
    "best": {"method": "best", "max_evals": 20},
    "sample": {"method": "sample", "permutations": 3},
}


class Reader(ParallelNet):
    """Reads the mean of a box of the picture and of a stretch of speech, and says so in the logit of class 1."""

    box = (slice(0, 32), slice(0, 32))
    stretch = slice(0, 64)
    weights = (0.0, 0.0, 0.0)  # of the image, of speech, of their product

    def encode_image(self, pixel_values: Tensor) -> Codes:
        code = pixel_values[:, :, *self.box].mean(dim=(1, 2, 3))[:, None]
        return code, code

    def encode_speech(self, spectrogram: Tensor, word_frames: Tensor | None = None) -> Codes:  # noqa: ARG002
        code = spectrogram[..., self.stretch].mean(dim=(1, 2, 3))[:, None]
        return code, code

    def fuse(self, image_codes: Codes, speech_codes: Codes) -> Tensor:
        image, speech = image_codes[0], speech_codes[0]
        first, second, product = self.weights
        score = first * image + second * speech + product * image * speech
        return torch.cat([0 * score, score, 0 * score, 0 * score], dim=-1)


def reader(**planted: Any) -> Reader:
    net: Reader = Reader(tiny_net().config).double().eval()
    for name, value in planted.items():
        setattr(net, name, value)
    return net


def explain_pair(
    net: ParallelNet, pixels: Tensor, sound: Tensor, players: Players, target: int | None = None, **options: Any
) -> PairExplanation:
    return explain(PairGame(net, pixels, sound, players, target=target), **options)


def explain_sample(net: ParallelNet, players: Players | None = None, **options: Any) -> PairExplanation:
    return explain_pair(net, *sample(), players or small_players(), **options)


@pytest.mark.parametrize("options", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_values_sum_to_what_direct_forwards_say(kind: str, options: dict[str, Any]) -> None:
    net = net_of(kind)
    found = explain_sample(net, small_players((2, 2), 3), target=2, **options)
    full, empty = float(answer(net)[2]), float(answer(net, image=0, speech=0)[2])
    assert found.v_full == pytest.approx(full)
    assert found.v_empty == pytest.approx(empty)
    assert abs(full - empty) > 1e-3
    assert found.values.sum() == pytest.approx(full - empty, abs=1e-9)
    assert found.image_value + found.speech_value == pytest.approx(full - empty, abs=1e-9)
    assert found.residual == pytest.approx(float(found.values.sum()) - (found.v_full - found.v_empty))
    assert found.image_map.sum() == pytest.approx(found.image_value)
    assert found.speech_map.sum() == pytest.approx(found.speech_value)
    assert (found.speech_map[50:] == 0).all()
    assert found.max_difference < 1e-9
    assert found.direct_forwards == 4 + min(16, found.evaluations)
    counts = (found.image_encodings > 0, found.speech_encodings > 0, found.fusions > 0, found.forwards > 0)
    assert counts == ((True, True, True, False) if net.factors else (False, False, False, True))
    assert (found.interactions is not None) == (options["method"] == "exact" and net.config.modalities == "both")


@pytest.mark.parametrize("kind", ["fusion 3", "fusion 1"])
@pytest.mark.parametrize("times", [0, 1, 2])
def test_modality_sums_equal_the_formula_for_two_players(kind: str, times: int) -> None:
    net = net_of(kind)
    found = explain_sample(net, halved_players(times, 32, 64, 50), method="level", target=0)
    v = {(image, speech): float(answer(net, image, speech)[0]) for image in (0, 1) for speech in (0, 1)}
    expected_image = (v[1, 0] - v[0, 0]) / 2 + (v[1, 1] - v[0, 1]) / 2
    expected_speech = (v[0, 1] - v[0, 0]) / 2 + (v[1, 1] - v[1, 0]) / 2
    assert found.image_value == pytest.approx(expected_image, abs=1e-9)
    assert found.speech_value == pytest.approx(expected_speech, abs=1e-9)
    assert found.two_player_values == pytest.approx((expected_image, expected_speech), abs=1e-9)
    assert found.synergy == pytest.approx(v[1, 1] - v[1, 0] - v[0, 1] + v[0, 0], abs=1e-9)
    assert found.evaluations == 2 + 2 * (4 ** (times + 1) - 1) // 3
    assert len(found.values) == 2 ** (times + 1)


@pytest.mark.parametrize("options", METHODS.values(), ids=METHODS)
def test_a_net_that_reads_one_cell_gives_that_cell_everything(options: dict[str, Any]) -> None:
    players = grid_and_segments(32, 64, 50, (2, 4), 4)
    net = reader(box=(slice(17, 30), slice(9, 16)), weights=(30.0, 0.0, 0.0))
    found = explain_sample(net, players, target=1, **options | ({"max_evals": 60} if "max_evals" in options else {}))
    assert found.v_full - found.v_empty > 1
    assert np.flatnonzero(np.abs(found.values) > 1e-6).tolist() == [5]
    assert found.values[5] == pytest.approx(found.v_full - found.v_empty, abs=1e-9)
    assert (found.image_map[16:, 8:16] > 0).all()
    assert found.image_map[16:, 8:16].sum() == pytest.approx(found.values[5])
    assert np.abs(found.speech_map).max() < 1e-9


def test_a_net_that_reads_one_segment_gives_that_segment_everything() -> None:
    net = reader(stretch=slice(26, 36), weights=(0.0, -20.0, 0.0))
    for method in ("exact", "level"):
        found = explain_sample(net, grid_and_segments(32, 64, 50, (2, 2), 4), target=1, method=method)
        assert np.flatnonzero(np.abs(found.values) > 1e-6).tolist() == [6]
        assert found.values[6] == pytest.approx(found.v_full)
        assert found.v_full < -1
        assert np.flatnonzero(np.abs(found.speech_map) > 1e-9).tolist() == list(range(26, 38))


@pytest.mark.parametrize("method", ["exact", "level"])
def test_a_net_that_reads_one_cell_of_the_spectrogram_gives_that_cell_everything(method: Any) -> None:
    class Low(Reader):
        def encode_speech(self, spectrogram: Tensor, word_frames: Tensor | None = None) -> Codes:  # noqa: ARG002
            code = spectrogram[:, 0, 20:30, 26:36].mean(dim=(1, 2))[:, None]
            return code, code

    net = Low(tiny_net().config).double().eval()
    net.weights = (0.0, 20.0, 0.0)
    bands = net.config.n_mels
    players = with_speech_cells(grid_and_segments(32, 64, 50, (2, 2), 1), bands, 50, (2, 2))
    found = explain_sample(net, players, target=1, method=method)
    assert (players.n_image, players.n_speech) == (4, 4)
    assert found.v_full > 1
    owner = 4 + int(players.speech[20, 26])
    assert np.flatnonzero(np.abs(found.values) > 1e-6).tolist() == [owner] == [4 + int(players.speech[29, 35])]
    assert found.values[owner] == pytest.approx(found.v_full - found.v_empty)
    assert found.speech_map.shape == (64,)
    assert np.flatnonzero(np.abs(found.speech_map) > 1e-9).tolist() == list(range(25, 50))
    assert found.speech_map.sum() == pytest.approx(found.speech_value) == pytest.approx(found.v_full - found.v_empty)


@pytest.mark.parametrize("kind", ["fusion 3", "fusion 1"])
def test_cells_of_the_spectrogram_sum_to_what_speech_is_worth_as_segments_do(kind: str) -> None:
    net = net_of(kind)
    segments = grid_and_segments(32, 64, 50, (2, 1), 4)
    cells = with_speech_cells(segments, net.config.n_mels, 50, (2, 2))
    by_segment, by_cell = (explain_sample(net, one, method="level", target=0) for one in (segments, cells))
    assert by_cell.speech_value == pytest.approx(by_segment.speech_value, abs=1e-9)
    assert by_cell.values[2:].tolist() != pytest.approx(by_segment.values[2:].tolist(), abs=1e-6)
    assert abs(by_cell.residual) < 1e-9


@pytest.mark.parametrize("modality", ["image", "speech"])
def test_a_real_net_that_hears_or_sees_nothing_leaves_that_modality_at_0(modality: str) -> None:
    net = net_of()
    with torch.no_grad():
        for branch in (f"n1_{modality}", f"n2_{modality}"):
            getattr(net, branch).dense.weight.zero_()
    for method in ("exact", "level"):
        found = explain_sample(net, target=1, method=method)
        deaf, other = (
            (found.values[:3], found.values[3:]) if modality == "image" else (found.values[3:], found.values[:3])
        )
        assert np.abs(deaf).max() < 1e-6
        assert np.abs(other).max() > 1e-3
        assert found.synergy == pytest.approx(0, abs=1e-9)


def test_evidence_that_needs_both_is_synergy_and_interaction_of_the_planted_parts() -> None:
    net = reader(box=(slice(0, 16), slice(16, 32)), stretch=slice(0, 13), weights=(0.0, 0.0, 40.0))
    found = explain_sample(net, grid_and_segments(32, 64, 50, (2, 2), 4), target=1)
    assert found.v_image == found.v_speech == found.v_empty == 0
    assert found.v_full > 1
    assert found.synergy == pytest.approx(found.v_full)
    known = np.zeros((4, 4))
    known[1, 0] = found.v_full
    assert found.interactions is not None
    assert_close(found.interactions, known)
    assert found.values[[1, 4]].tolist() == pytest.approx([found.v_full / 2] * 2, abs=1e-9)


def test_evidence_in_the_padding_belongs_to_no_player() -> None:
    pixels, sound = sample()
    sound[..., 55:] = 0.8  # a recording longer than it was said to be
    net = reader(stretch=slice(55, 64), weights=(0.0, 20.0, 0.0))
    found = explain_pair(net, pixels, sound, small_players(), target=1)
    assert found.v_full == found.v_empty > 1
    assert np.abs(found.values).max() < 1e-6
    assert (found.speech_map[50:] == 0).all()


def test_odd_sizes_and_uneven_cells() -> None:
    odd = new_net(image_size_px=37, n_mels=33, n_frames=51).eval().double()
    pixels, sound = torch.rand(3, 37, 37), torch.rand(1, 33, 51)
    players = grid_and_segments(37, 51, 43, (3, 2), 5)
    for method in ("exact", "level"):
        found = explain_pair(odd, pixels, sound, players, method=method)
        assert found.image_map.shape == (37, 37)
        assert found.speech_map.shape == (51,)
        assert abs(found.v_full - found.v_empty) > 1e-3
        assert abs(found.residual) < 1e-9
    assert found.evaluations > 44


def test_the_default_target_is_the_predicted_class() -> None:
    net = net_of(seed=3)
    found = explain_sample(net, method="level")
    assert found.target == int(answer(net).argmax())
    assert found.v_full == pytest.approx(float(answer(net).max()))


def test_what_a_game_has_encoded_serves_the_next_explanation() -> None:
    game = PairGame(net_of(), *sample(), small_players(), target=0)
    exact = explain(game)
    assert (exact.image_encodings, exact.speech_encodings, exact.fusions, exact.evaluations) == (8, 8, 64, 64)
    level = explain(game, "level")
    assert (level.image_encodings, level.speech_encodings) == (0, 0)
    assert level.fusions == level.evaluations == 24 + 2 * 2  # a tree of 3 + 3, not of a power of two


def test_the_same_seed_gives_the_same_explanation() -> None:
    net = net_of()
    players = small_players((2, 2), 4)
    first, again, other = (explain_sample(net, players, method="sample", seed=seed, target=0) for seed in (1, 1, 3))
    assert first.values.tolist() == again.values.tolist()
    assert first.values.tolist() != other.values.tolist()


class Noisy(ParallelNet):
    def fuse(self, image_codes: Codes, speech_codes: Codes) -> Tensor:
        fused = super().fuse(image_codes, speech_codes)
        return fused + 0.01 * torch.randn(fused.shape)


@pytest.mark.parametrize("options", METHODS.values(), ids=METHODS)
def test_a_net_that_is_not_deterministic_is_caught(options: dict[str, Any]) -> None:
    net = net_of()
    noisy = Noisy(net.config).double().eval()
    noisy.load_state_dict(net.state_dict())
    with pytest.raises(InexactError, match="differs from"):
        explain_sample(noisy, target=0, **options)


@pytest.mark.parametrize("method", ["exact", "level"])
@pytest.mark.parametrize(
    ("players_present", "message"),
    [((True, True, True), "values' sum differs"), ((False, False, True), "the game differs from plain forwards")],
)
def test_a_corrupted_cache_is_caught(method: Any, players_present: tuple[bool, ...], message: str) -> None:
    game = PairGame(net_of(), *sample(), small_players(), target=0)
    explain(game, method)
    assert game._caches is not None
    cache = game._caches[0]
    with torch.inference_mode():
        row = cache.rows(np.array([players_present]))[0]
        assert cache._codes is not None
        cache._codes[0][row] += 0.5
    with pytest.raises(InexactError, match=message):
        explain(game, method, checked_masks=64)


@pytest.mark.parametrize(
    ("residual", "difference", "effect", "passes"),
    [
        (0.9e-4, 0.0, 0.1, True),
        (-1.1e-4, 0.0, 0.1, False),
        (4.9e-4, 4.9e-4, -5.0, True),
        (0.0, 5.1e-4, -5.0, False),
        (float("nan"), 0.0, 1.0, False),
        (0.0, float("nan"), 1.0, False),
    ],
)
def test_errors_are_measured_beside_the_effect(residual: float, difference: float, effect: float, passes: bool) -> None:
    if passes:
        check_exactness(residual, difference, effect)
    else:
        with pytest.raises(InexactError):
            check_exactness(residual, difference, effect)


def test_impossible_explanations_are_refused() -> None:
    with pytest.raises(ValueError, match="exact, level, best or sample, found 'shap'"):
        explain_sample(net_of(), method="shap", target=0)
    with pytest.raises(ValueError, match="found 21"):
        explain_sample(net_of(), small_players((4, 4), 5), target=0)
    with pytest.raises(ValueError, match="max_evals"):
        explain_sample(net_of(), method="best", max_evals=1, target=0)


def test_values_equal_those_of_captum_on_two_inputs_with_feature_masks() -> None:
    captum_attr = pytest.importorskip("captum.attr")
    net = net_of()
    players = small_players((2, 1), 3)
    image, speech = (tensor[None] for tensor in sample())
    # captum has no places without a player; in the padding the input is its baseline, so that any player may own it.
    owners = np.where(players.speech < 0, 2, players.speech)
    with torch.inference_mode():
        attributions = captum_attr.ShapleyValues(lambda pixels, sound: net(pixels, sound).logits[:, 3]).attribute(
            (image, speech),
            baselines=(torch.zeros_like(image), torch.zeros_like(speech)),
            feature_mask=(torch.from_numpy(players.image)[None, None], torch.from_numpy(2 + owners)[None, None, None]),
            perturbations_per_eval=5,
        )
    # captum gives each pixel and frame the whole value of its player, and adds up in float32.
    known = np.zeros(5)
    known[players.image] = attributions[0][0, 0].numpy()
    known[2 + owners] = attributions[1][0, 0, 0].numpy()
    assert np.abs(known).min() > 1e-4
    found = explain_pair(net, image[0], speech[0], players, target=3)
    np.testing.assert_allclose(found.values, known, atol=5e-6)
    brute = PairGame(net, image[0], speech[0], players, target=3, factored=False)
    np.testing.assert_allclose(exact_values(brute, 5), known, atol=5e-6)
