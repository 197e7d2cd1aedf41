"""The commands of a network that hears words: the same answer as in training, and its explanation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.parallelnet.parallelnet import ParallelNet
from models.parallelnet.parallelnet_config import WHISPER, ParallelNetConfig
from pipeline.commands import predict
from pipeline.commands.explain import explain_pair
from pipeline.networks.inputs import collate, open_inputs
from tests.builders_sier import INPUTS, context_at, write_sier


def test_a_row_gets_the_probabilities_of_its_inputs_and_an_explanation_of_them(tmp_path: Path) -> None:
    torch.manual_seed(3)
    config = ParallelNetConfig(
        image_backbone="test_resnet", speech_backbone=WHISPER, n1_channels=[4, 4], code_size=8, head_size=8,
        image_size_px=32, n_mels=24, n_frames=20, duration_seconds=1.0,
    )  # fmt: skip
    net = ParallelNet(config)
    with torch.no_grad():
        for head in (net.head_speech, net.head_image, net.head_mul):
            list(head.modules())[-1].weight.mul_(0.02)  # type: ignore[operator]
    net.save_pretrained(tmp_path / "net")
    row = write_sier(tmp_path)[12]
    picture, speech = tmp_path / "row.jpg", tmp_path / "row.flac"
    picture.write_bytes(row["image"]["bytes"])
    speech.write_bytes(row["audio"]["bytes"])
    item = open_inputs("sier_test", INPUTS, context_at(tmp_path), words=True).select([0])[0]
    batch = {name: tensor for name, tensor in collate([item]).items() if name != "labels"}
    with torch.inference_mode():
        expected = net.eval()(**batch).logits.softmax(-1)[0]
    answer = predict.predict(picture, speech, tmp_path / "net")
    assert list(answer.probabilities.values()) == expected.tolist()
    found = explain_pair(picture, speech, tmp_path / "net").content
    assert found.predicted == answer.label
    assert found.score == pytest.approx(float(expected.max()), abs=1e-6)
    assert sum(found.modality_values.values()) == pytest.approx(found.v_full - found.v_empty, abs=1e-4)
    assert found.modality_values["speech"] != 0
