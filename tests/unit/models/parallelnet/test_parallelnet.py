"""ParallelNet: what it takes and refuses, and what missing inputs mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.parallelnet.losses import CombinedLoss
from models.parallelnet.parallelnet_config import ParallelNetConfig
from models.parallelnet.spectrogram import log_mel
from pipeline.errors import UserError
from pipeline.networks.build import create_parallelnet
from tests.builders_nets import TINY, inputs, logits, tiny_net


@pytest.mark.parametrize("fusion", [1, 2, 3])
def test_missing_input_is_black_or_silent(fusion: int) -> None:
    net = tiny_net(fusion=fusion)
    x = inputs(2)
    for missing, tensor in x.items():
        baseline = logits(net, **x | {missing: torch.zeros_like(tensor)})
        assert torch.equal(logits(net, **x | {missing: None}), baseline)
        assert not torch.equal(logits(net, **x), baseline)


@pytest.mark.parametrize(("modality", "seen"), [("image", "pixel_values"), ("speech", "spectrogram")])
def test_net_of_one_modality_ignores_the_other(modality: str, seen: str) -> None:
    net = tiny_net(modalities=modality)
    x = inputs(2)
    alone = logits(net, **{seen: x[seen]})
    assert torch.equal(logits(net, **x), alone)
    assert not torch.equal(logits(net, **{seen: x[seen].flip(0)}), alone)
    with pytest.raises(ValueError, match=f"{seen}: expected floating point .*found nothing"):
        net(**x | {seen: None})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"pixel_values": torch.zeros(2, 3, 16, 32)},
            r"pixel_values: expected floating point \[n, 3, 32, 32\], found .*16",
        ),
        ({"pixel_values": torch.zeros(3, 32, 32)}, "pixel_values: expected"),
        ({"pixel_values": torch.zeros(2, 3, 32, 32, dtype=torch.uint8)}, "found torch.uint8"),
        ({"spectrogram": torch.zeros(2, 3, 32, 64)}, r"spectrogram: expected floating point \[n, 1, 32, 64\]"),
        ({"spectrogram": torch.zeros(3, 1, 32, 64)}, "as many pictures as spectrograms, found 2, 3"),
        ({"pixel_values": None, "spectrogram": None}, "found neither"),
    ],
)
def test_wrong_input_is_one_line(wrong: dict[str, Tensor | None], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        tiny_net()(**inputs(2) | wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changes", [{"fusion": 1}, {"fusion": 2}, {"modalities": "image"}, {"modalities": "speech"}])
def test_net_that_does_not_factor_says_so(changes: dict[str, Any]) -> None:
    net = tiny_net(**changes)
    assert not net.factors
    x = inputs()
    code = torch.zeros(2, 8)
    with pytest.raises(ValueError, match="encode_image needs a net of both modalities that meet after N2"):
        net.encode_image(x["pixel_values"])
    with pytest.raises(ValueError, match="encode_speech needs"):
        net.encode_speech(x["spectrogram"])
    with pytest.raises(ValueError, match="fuse needs"):
        net.fuse((code, code), (code, code))


def test_fusion_weights_of_a_net_of_one_modality_do_not_exist() -> None:
    with pytest.raises(ValueError, match="image only has no fusion weights"):
        _ = tiny_net(modalities="image").fusion_weights


def test_log_mel_follows_the_configuration() -> None:
    net = tiny_net(duration_seconds=0.5, sampling_rate_hz=8_000)
    waveform = np.sin(np.arange(3_000) / 9)
    expected = log_mel([waveform], duration_seconds=0.5, n_mels=32, n_frames=64, sampling_rate_hz=8_000)
    assert torch.equal(net.log_mel([waveform]), expected)
    assert logits(net, spectrogram=expected).shape == (1, 4)


def test_defaults_are_the_papers_four_emotions() -> None:
    config = ParallelNetConfig()
    assert config.id2label == {0: "anger", 1: "happy", 2: "hate", 3: "sad"}
    assert config.label2id == {"anger": 0, "happy": 1, "hate": 2, "sad": 3}
    assert ParallelNetConfig(num_labels=3).num_labels == 3
    assert ParallelNetConfig(id2label={str(n): f"c{n}" for n in range(11)[::-1]}).label2id == {
        f"c{n}": n for n in range(11)
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fusion": 4}, "fusion: expected one of 1, 2, 3, found 4"),
        ({"fusion": True}, "fusion: expected one of 1, 2, 3, found True"),
        ({"modalities": "text"}, "modalities: expected one of both, image, speech, found 'text'"),
        ({"fusion_op": "concat"}, "fusion_op: expected one of multiply, weighted_add"),
        ({"code_size": 0}, "code_size: expected a whole number from 1, found 0"),
        ({"head_size": 2.5}, "head_size: expected a whole number"),
        ({"n1_channels": []}, "n1_channels: expected a list"),
        ({"n1_channels": [8, -1]}, "n1_channels: expected a list"),
        ({"n1_channels": [4] * 6}, r"n1_channels: expected at most 5 blocks, .* \(32\)"),
        ({"image_backbone": ""}, "image_backbone: expected a name"),
        ({"freeze_backbone": "yes"}, "freeze_backbone: expected true or false"),
        ({"duration_seconds": 0}, "duration_seconds: expected a number above 0"),
        ({"focal_gamma": float("nan")}, "focal_gamma: expected a number from 0, found nan"),
        ({"focal_weight": -1}, "focal_weight: expected a number from 0"),
        ({"id2label": {0: "sad"}}, "id2label: expected two or more"),
        ({"id2label": {0: "sad", 1: "sad"}}, "id2label: expected two or more different names"),
        ({"id2label": {1: "sad", 2: "happy"}}, "id2label: expected two or more"),
        ({"image_backbone": "vgg_19"}, "did you mean vgg19"),
        ({"image_backbone": "inception_v3"}, "inception_v3 cannot take 32 x 32 pixels"),
    ],
)
def test_impossible_network_is_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        create_parallelnet(**TINY | changes)
    assert "\n" not in str(caught.value)


def test_loss_is_the_combined_one_of_the_configuration() -> None:
    net = tiny_net(focal_weight=0.7, focal_gamma=3.0)
    labels = torch.tensor([2, 0])
    output = net(**inputs(), labels=labels)
    assert torch.equal(output.loss, CombinedLoss(0.7, 3.0)(output.logits, labels))


def test_mixed_precision_gives_a_finite_float32_loss() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = tiny_net()(**inputs(), labels=torch.tensor([1, 3]))
    assert output.loss.dtype == torch.float32
    assert bool(output.loss.isfinite())
