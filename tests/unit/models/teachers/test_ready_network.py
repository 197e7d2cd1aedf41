"""Ready classifiers, tiny and randomly initialised, saved in the library's own format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
)

from models.errors import ItemError, ModelError
from models.teachers.class_map import ClassMap
from models.teachers.ready_network import ReadyNetwork, digest_of

LABELS = ("sad", "neu", "ang", "hap")
MAP = {"ang": "anger", "hap": "excitement", "neu": None, "sad": "sadness"}


def save_speech(folder: Path, *, norm: str, mask: bool, rate: int = 16_000) -> str:
    torch.manual_seed(0)
    # The ids are written out of order on purpose.
    id2label = {place: LABELS[place] for place in (2, 0, 3, 1)}
    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8, 8),
        conv_kernel=(10, 3), conv_stride=(5, 2), num_feat_extract_layers=2, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2, feat_extract_norm=norm, classifier_proj_size=8,
        id2label=id2label, label2id={name: place for place, name in id2label.items()},
    )  # fmt: skip
    Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=mask, sampling_rate=rate).save_pretrained(folder)
    return str(folder)


def waveforms() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.normal(size=length).astype(np.float32) for length in (900, 400, 900, 650)]


@pytest.mark.parametrize(("norm", "mask"), [("layer", True), ("group", False)])
def test_logits_do_not_depend_on_the_batch_and_keep_the_order_of_rows(tmp_path: Path, norm: str, mask: bool) -> None:
    source = save_speech(tmp_path, norm=norm, mask=mask)
    together = ReadyNetwork.load(source, "speech", batch_size=4).logits(waveforms())
    alone = ReadyNetwork.load(source, "speech", batch_size=1)
    np.testing.assert_allclose(together, np.concatenate([alone.logits([item]) for item in waveforms()]), atol=1e-5)
    assert np.ptp(together, axis=0).max() > 1e-4


def test_labels_follow_the_outputs_not_the_order_in_the_file(tmp_path: Path) -> None:
    assert ReadyNetwork.load(save_speech(tmp_path, norm="layer", mask=True), "speech").labels == LABELS


def test_a_saved_network_is_the_same_and_a_changed_weight_changes_the_digest(tmp_path: Path) -> None:
    network = ReadyNetwork.load(save_speech(tmp_path / "a", norm="layer", mask=True), "speech")
    network.save(tmp_path / "b")
    assert {path.suffix for path in (tmp_path / "b").iterdir()} == {".json", ".safetensors"}
    again = ReadyNetwork.load(str(tmp_path / "b"), "speech")
    assert again.digest == network.digest
    np.testing.assert_array_equal(again.logits(waveforms()), network.logits(waveforms()))
    again.network.classifier.bias.data += 1
    assert digest_of(again.network, again.preprocessor) != network.digest


def test_an_utterance_without_a_frame_is_a_bad_row(tmp_path: Path) -> None:
    network = ReadyNetwork.load(save_speech(tmp_path, norm="layer", mask=True), "speech")
    with pytest.raises(ItemError):
        network.check(np.zeros(5, dtype=np.float32))
    network.check(np.zeros(100, dtype=np.float32))


def test_no_weights_another_rate_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    source = Path(save_speech(tmp_path / "bare", norm="layer", mask=True))
    (source / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"bare: has no weights .* expected model\.safetensors or pytorch_model\.bin"):
        ReadyNetwork.load(str(source), "speech")
    with pytest.raises(ModelError, match="8000 Hz"):
        ReadyNetwork.load(save_speech(tmp_path / "slow", norm="layer", mask=True, rate=8_000), "speech")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"empty: expected config.json of a network of transformers"):
        ReadyNetwork.load(str(tmp_path / "empty"), "image")


def test_a_network_without_a_head_or_with_half_a_file_is_refused(tmp_path: Path) -> None:
    """The library would give it a head of random numbers, and go on."""
    source = save_speech(tmp_path / "whole", norm="layer", mask=True)
    Wav2Vec2ForSequenceClassification.from_pretrained(source).wav2vec2.save_pretrained(tmp_path / "headless")
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "headless")
    with pytest.raises(ModelError, match=r"expected a classifier of speech, found no weights for \w+"):
        ReadyNetwork.load(str(tmp_path / "headless"), "speech")
    weights = tmp_path / "whole" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"whole: model\.safetensors is damaged"):
        ReadyNetwork.load(source, "speech")


def test_a_picture_classifier_gives_the_same_logits_in_any_batch(tmp_path: Path) -> None:
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=16,
        id2label=dict(enumerate(LABELS)), label2id={name: place for place, name in enumerate(LABELS)},
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    generator = np.random.default_rng(0)
    pictures = [Image.fromarray(generator.integers(0, 255, (40, 50, 3), dtype=np.uint8)) for _ in range(3)]
    network = ReadyNetwork.load(str(tmp_path), "image", batch_size=2)
    assert network.labels == LABELS
    alone = np.concatenate([network.logits([picture]) for picture in pictures])
    np.testing.assert_allclose(network.logits(pictures), alone, atol=1e-5)


def test_a_whisper_classifier_gives_the_same_logits_in_any_batch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=16, decoder_layers=1,
        decoder_attention_heads=2, decoder_ffn_dim=16, max_source_positions=50, vocab_size=10, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, classifier_proj_size=8, num_mel_bins=20,
        id2label=dict(enumerate(LABELS)), label2id={name: place for place, name in enumerate(LABELS)},
    )  # fmt: skip
    WhisperForAudioClassification(config).save_pretrained(tmp_path)
    WhisperFeatureExtractor(feature_size=20, chunk_length=1).save_pretrained(tmp_path)
    network = ReadyNetwork.load(str(tmp_path), "speech", batch_size=4)
    network.check(waveforms()[0])
    alone = np.concatenate([network.logits([item]) for item in waveforms()])
    np.testing.assert_allclose(network.logits(waveforms()), alone, atol=1e-5)


def test_probabilities_by_hand() -> None:
    logits = np.log(np.array([[0.2, 0.5, 0.1, 0.2]], dtype=np.float64))  # sad, neu, ang, hap
    renormalised = ClassMap.of(LABELS, MAP, "renormalise", "classes")
    assert renormalised.classes == ("anger", "excitement", "sadness")
    np.testing.assert_allclose(renormalised.probabilities(logits), [[0.2, 0.4, 0.4]], atol=1e-6)
    kept = ClassMap.of(LABELS, MAP, "keep", "classes")
    np.testing.assert_allclose(kept.probabilities(logits), [[0.1, 0.2, 0.2]], atol=1e-6)
    joined = ClassMap.of(LABELS, {**MAP, "neu": "sadness"}, "keep", "classes")
    np.testing.assert_allclose(joined.probabilities(logits), [[0.1, 0.2, 0.7]], atol=1e-6)


def test_a_row_sure_of_a_label_outside_still_gets_probabilities() -> None:
    logits = np.array([[0.0, 5000.0, 0.0, 0.0]])
    found = ClassMap.of(LABELS, MAP, "renormalise", "classes").probabilities(logits)
    np.testing.assert_allclose(found, np.full((1, 3), 1 / 3), atol=1e-6)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({**MAP, "fea": None}, "names fea.*sad, neu, ang, hap"),
        ({name: MAP[name] for name in ("sad", "neu", "ang")}, "does not name hap"),
        ({**MAP, "ang": None, "hap": None}, "two or more"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(classes: dict[str, str | None], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ClassMap.of(LABELS, classes, "keep", "train_teacher.speech.classes")


def test_code_of_a_repository_is_not_run_and_what_is_supported_is_said(tmp_path: Path) -> None:
    config = {
        "model_type": "emotion2vec",
        "auto_map": {"AutoConfig": "code.X", "AutoModelForAudioClassification": "code.X"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text("raise SystemExit('was run')")
    with pytest.raises(ModelError) as caught:
        ReadyNetwork.load(str(tmp_path), "speech")
    assert str(caught.value) == (
        f"{tmp_path}: has code of its own, which is not run; supported are networks that transformers itself has: "
        "wav2vec2, HuBERT, WavLM, Whisper; or score the items with that code, and give the table by kind: scores"
    )
