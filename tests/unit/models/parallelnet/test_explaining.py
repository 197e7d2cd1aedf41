"""What a published network's processor explains is what the pipeline's own estimators find, by other code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.pair.explain import explain
from models.pair.game import PairGame
from models.parallelnet.explaining_parallelnet import Explanation
from models.parallelnet.parallelnet import ParallelNet
from models.parallelnet.parallelnet_config import WHISPER
from models.parallelnet.processing_parallelnet import ParallelNetProcessor
from pipeline.explanation.preparation import players_of, sample_of
from pipeline.publishing.packages import processor_config
from tests.builders_nets import new_net, tiny_net

RATE = 16_000
PICTURE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 70, 3), dtype=np.uint8))
# A little shorter than what the network hears: the last frames are no players.
SPEECH = (np.random.default_rng(2).uniform(-0.3, 0.3, 12_000) * np.linspace(0, 1, 12_000)).astype(np.float32)
KINDS: dict[str, dict[str, Any]] = {
    "late": {}, "early": {"fusion": 1}, "image": {"modalities": "image"}, "speech": {"modalities": "speech"},
    "words": {"modalities": "speech", "speech_backbone": WHISPER},
}  # fmt: skip


def explained(net: ParallelNet, **given: Any) -> Explanation:
    settings = processor_config(net.config.to_dict())
    del settings["auto_map"], settings["processor_class"]
    return ParallelNetProcessor(**settings).explain(net, sampling_rate=RATE, **given)


def network(kind: str) -> ParallelNet:
    changes = {"duration_seconds": 1.0, **KINDS[kind]}
    return new_net(**changes).eval() if kind == "words" else tiny_net(**changes)


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_those_of_the_pipelines_estimators(kind: str) -> None:
    net = network(kind)
    found = explained(net, images=PICTURE, audio=SPEECH)
    sample = sample_of(PICTURE, SPEECH, net.config)
    players = players_of(sample, net.config, times=2 if kind == "early" else 3)
    game = PairGame(net, sample.pixel_values, sample.spectrogram, players, recording=sample.recording)
    expected = explain(game)
    values = [*np.ravel(found.cells or []), *(found.segments or [])]
    np.testing.assert_allclose(values, expected.values, atol=1e-5 * max(1.0, abs(expected.v_full - expected.v_empty)))
    assert np.abs(values).max() > 1e-3
    assert np.shape(found.cells or []) == (game.players.grid or (0,))
    assert found.v_full - found.v_empty == pytest.approx(sum(found.modalities.values()), abs=1e-3)
    assert found.label == (net.config.id2label or {})[expected.target]
    if found.borders_seconds is not None:
        starts = [int(np.argmax(players.speech_columns == n)) for n in range(game.players.n_speech)]
        assert found.borders_seconds[:-1] == pytest.approx(np.array(starts) * sample.seconds_per_frame)
        assert found.borders_seconds[-1] == pytest.approx(sample.speech_frames * sample.seconds_per_frame)


def test_what_cannot_be_explained_is_said() -> None:
    net = network("late")
    for given, message in (
        ({"images": PICTURE}, "spectrogram: expected that of one sample, found 0"),
        ({"images": PICTURE, "audio": SPEECH[:200]}, "expected speech of 8 frames or more, found 4"),
        ({"images": [PICTURE, PICTURE], "audio": SPEECH}, "pixel_values: expected that of one sample, found 2"),
    ):
        with pytest.raises(ValueError, match=message):
            explained(net, **given)


def test_values_that_do_not_add_up_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network("late")
    fuse = net.fuse
    monkeypatch.setattr(net, "fuse", lambda *codes: fuse(*codes) * (1 + (codes[0][0].ndim == 3)))  # not of forwards
    with pytest.raises(ArithmeticError, match="the values' sum differs"):
        explained(net, images=PICTURE, audio=SPEECH)
