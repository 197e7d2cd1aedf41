"""The game of a network's answer: factored and plain values agree, and every mask is encoded once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from models.pair.game import PairGame
from models.pair.players import Players, grid_and_segments, halved_players
from models.parallelnet.parallelnet import ParallelNet
from models.shapley import exact_factored, exact_values, subset_masks, tree_values, values_from_table
from tests.builders_nets import KINDS, inputs, logits, tiny_net

FACTORING = ("fusion 3", "weighted")


def assert_close(found: ArrayLike, known: ArrayLike) -> None:
    """Random nets magnify rounding; in float64 what should be equal is equal to this."""
    np.testing.assert_allclose(np.asarray(found, np.float64), np.asarray(known, np.float64), rtol=0, atol=1e-9)


def net_of(kind: str = "fusion 3", seed: int = 0) -> ParallelNet:
    net: ParallelNet = tiny_net(seed, **KINDS[kind]).double()
    return net


def sample(speech_frames: int = 50) -> tuple[Tensor, Tensor]:
    """A picture [3, 32, 32] and a spectrogram [1, 32, 64] that ends in silence, float64."""
    one = inputs(1, seed=5)
    sound = one["spectrogram"][0].double()
    sound[..., speech_frames:] = 0
    return one["pixel_values"][0].double(), sound


def answer(net: ParallelNet, image: float = 1, speech: float = 1) -> Tensor:
    """Logits [classes] of the sample, of which either can be multiplied by 0."""
    pixels, sound = sample()
    return logits(net, pixel_values=image * pixels[None], spectrogram=speech * sound[None])[0]


def small_players(grid: tuple[int, int] = (1, 3), segments: int = 3) -> Players:
    return grid_and_segments(32, 64, 50, grid, segments)


def game_of(net: ParallelNet, players: Players | None = None, **options: Any) -> PairGame:
    return PairGame(net, *sample(), players or small_players(), **{"target": 1} | options)


def masked_by_hand(masks: NDArray[np.bool_], players: Players) -> dict[str, Tensor]:
    """Black and silence where players are absent, written without the code under test."""
    pixels, frames = (tensor.repeat(len(masks), 1, 1, 1) for tensor in sample())
    for row, mask in enumerate(masks):
        for player in np.flatnonzero(~mask):
            if player < players.n_image:
                pixels[row][:, torch.from_numpy(players.image == player)] = 0
            else:
                frames[row][..., torch.from_numpy(players.speech == player - players.n_image)] = 0
    return {"pixel_values": pixels, "spectrogram": frames}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "modalities" not in KINDS[kind]])
def test_values_are_logits_of_masked_inputs(kind: str) -> None:
    net = net_of(kind)
    masks = subset_masks(6)
    known = logits(net, **masked_by_hand(masks, small_players()))[:, 2].numpy()
    assert np.ptp(known) > 0.01
    game = game_of(net, target=2)
    assert game.factored == (kind in FACTORING)
    assert_close(game(masks), known)
    assert_close(game.direct(masks), known)
    assert_close(game.table(), known.reshape(8, 8).T)


@pytest.mark.parametrize("kind", FACTORING)
def test_the_factored_path_equals_the_plain_path(kind: str) -> None:
    net = net_of(kind)
    factored, plain = game_of(net), game_of(net, factored=False)
    assert_close(factored.table(), plain.table())
    tree = small_players().tree()
    for order in ("level", "best"):
        found, known = (tree_values(game, tree, order=order).node_values for game in (factored, plain))
        assert_close(found, known)
    assert plain.image_encodings == plain.speech_encodings == plain.fusions == factored.forwards == 0


@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_level_order_encodes_each_distinct_mask_once(times: int) -> None:
    game = game_of(net_of(), halved_players(times, 32, 64, 50))
    values = tree_values(game, game.players.tree())
    assert values.evaluations == game.fusions == 2 + 2 * (4 ** (times + 1) - 1) // 3
    assert game.image_encodings == game.speech_encodings == 2 + 2 * (4**times - 1) // 3
    assert (game.image_encodings, game.speech_encodings) == values.distinct_part_masks
    if times == 3:
        assert (values.evaluations, game.image_encodings, game.speech_encodings) == (172, 44, 44)
    tree_values(game, game.players.tree(), order="best")
    assert game.image_encodings == game.speech_encodings == 2 + 2 * (4**times - 1) // 3


def test_the_encoders_see_what_the_counters_say() -> None:
    class Counting(ParallelNet):
        seen: tuple[list[int], list[int]] = ([], [])

        def encode_image(self, pixel_values: Tensor) -> Any:
            self.seen[0].append(len(pixel_values))
            return super().encode_image(pixel_values)

        def encode_speech(self, spectrogram: Tensor, word_frames: Tensor | None = None) -> Any:
            self.seen[1].append(len(spectrogram))
            return super().encode_speech(spectrogram, word_frames)

    game = game_of(Counting(net_of().config).double().eval(), batch_size=3)
    game.table()
    assert Counting.seen == ([3, 3, 2], [3, 3, 2])
    assert (game.image_encodings, game.speech_encodings, game.fusions, game.forwards) == (8, 8, 64, 0)
    game.table()
    game(subset_masks(6))
    assert Counting.seen == ([3, 3, 2], [3, 3, 2])
    assert game.fusions == 3 * 64


def test_a_net_that_does_not_factor_gets_one_forward_per_mask() -> None:
    game = game_of(net_of("fusion 1"))
    game.table()
    assert (game.image_encodings, game.speech_encodings, game.fusions, game.forwards) == (0, 0, 0, 64)
    game.direct(subset_masks(6))
    assert game.forwards == 64


@pytest.mark.parametrize("output", ["logit", "probability"])
def test_exact_values_equal_brute_force(output: str) -> None:
    game = game_of(net_of(), output=output)
    found = exact_factored(game.table())
    known = exact_values(game.direct, 6)
    assert np.abs(known).min() > 1e-4
    assert_close(found.values, known)
    v_empty, v_full = game.direct(np.array([[False] * 6, [True] * 6]))
    assert found.values.sum() == pytest.approx(v_full - v_empty, abs=1e-9)


@pytest.mark.parametrize("pairs", [1, 5, 8, 20, 64])
def test_a_table_of_several_blocks_of_fusions_has_every_value_in_its_place(
    pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.pair.game.PAIRS_PER_FUSION", pairs)
    game = game_of(net_of(), small_players((1, 2), 3))
    assert_close(game.table().T.ravel(), game.direct(subset_masks(5)))
    assert_close(game(subset_masks(5)), game.direct(subset_masks(5)))
    assert game.fusions == 2 * 32


@pytest.mark.parametrize("modality", ["image", "speech"])
def test_a_net_of_one_modality_has_a_plain_game_of_its_own_players(modality: str) -> None:
    net = net_of(modality)
    players = grid_and_segments(32, 64, 50, (2, 2), 3)
    pixels, sound = sample()
    given = (pixels, None) if modality == "image" else (None, sound)
    game = PairGame(net, given[0], given[1], players, target=0)
    own = 4 if modality == "image" else 3
    assert game.n_players == own
    table = game.table()
    assert table.shape == ((16, 1) if modality == "image" else (1, 8))
    assert game.forwards == table.size
    values = values_from_table(table.ravel())
    everybody, baselines = answer(net)[0], answer(net, image=0, speech=0)[0]
    assert abs(everybody - baselines) > 1e-3
    assert values.sum() == pytest.approx(float(everybody - baselines), abs=1e-9)


def test_a_float32_net_is_given_its_own_kind_of_numbers() -> None:
    known = game_of(net_of()).table()
    found = game_of(tiny_net()).table()
    assert 0 < np.abs(found - known).max() < 1e-4 * np.ptp(known)


def test_probabilities_are_the_softmax_of_all_classes() -> None:
    net = net_of()
    masks = subset_masks(6)
    games = [game_of(net, target=target, output="probability") for target in range(4)]
    tables = np.stack([game(masks) for game in games])
    np.testing.assert_allclose(tables.sum(axis=0), 1, rtol=1e-12)
    known = logits(net, **masked_by_hand(masks, small_players())).softmax(dim=1).T.numpy()
    assert_close(tables, known)


@pytest.mark.parametrize("kind", ["fusion 3", "fusion 2"])
def test_values_do_not_depend_on_the_batch_size(kind: str) -> None:
    net = net_of(kind)
    tables = [game_of(net, batch_size=batch_size).table() for batch_size in (1, 3, 64)]
    assert_close(tables[1], tables[0])
    assert_close(tables[2], tables[0])


def test_values_do_not_depend_on_what_was_asked_before() -> None:
    net = net_of()
    masks = subset_masks(6)
    whole, by_parts = game_of(net), game_of(net)
    order = np.random.default_rng(0).permutation(64)
    values = np.empty(64)
    for part in np.array_split(order, 7):
        values[part] = by_parts(masks[part])
    assert_close(values, whole(masks))
    assert by_parts.image_encodings == whole.image_encodings == 8


@pytest.mark.parametrize(("image", "speech"), [("mean", "silence"), ("blur", "mean"), ("zero", "mean")])
def test_baselines_stand_where_players_are_absent(image: str, speech: str) -> None:
    net = net_of()
    game = game_of(net, image_baseline=image, speech_baseline=speech)
    empty = game(np.zeros((1, 6), np.bool_))
    black_and_silent = game_of(net)(np.zeros((1, 6), np.bool_))
    assert abs(float(empty[0] - black_and_silent[0])) > 1e-3
    assert game(np.ones((1, 6), np.bool_))[0] == pytest.approx(float(answer(net)[1]), abs=1e-9)


def test_the_net_is_left_as_it_was() -> None:
    net = net_of()
    before = {name: (tensor.clone(), tensor.stride()) for name, tensor in net.state_dict().items()}
    one = sample()
    copies = [tensor.clone() for tensor in one]
    PairGame(net, *one, small_players(), target=1).table()
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name][0])
        assert tensor.stride() == before[name][1]
    assert all(map(torch.equal, one, copies))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 4}, "from 0 to 3, found 4"),
        ({"target": -1}, "found -1"),
        ({"output": "score"}, "logit or probability, found 'score'"),
        ({"batch_size": 0}, "batch_size"),
        ({"image_baseline": "white"}, "zero, mean or blur"),
        ({"speech_baseline": "zero"}, "silence or mean"),
        ({"players": Players(np.full((32, 32), -1), np.full(64, -1))}, "no players"),
    ],
)
def test_impossible_games_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        game_of(net_of(), **options)


def test_nets_in_training_mode_and_forced_factoring_are_refused() -> None:
    with pytest.raises(ValueError, match="training mode"):
        game_of(net_of().train())
    with pytest.raises(ValueError, match="does not factor"):
        game_of(net_of("fusion 2"), factored=True)


def test_more_than_twenty_exact_players_are_refused_before_anything_is_encoded() -> None:
    game = game_of(net_of(), small_players((4, 4), 5))
    with pytest.raises(ValueError, match="found 21"):
        game.table()
    assert game.image_encodings == 0
    with pytest.raises(ValueError, match=r"masks \[n, 21\], found \[1, 20\]"):
        game(np.ones((1, 20), np.bool_))
