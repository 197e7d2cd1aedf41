"""Tiny, randomly initialised encoders of the transformers library, each in a folder as its repository of the Hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    HubertConfig,
    HubertModel,
    PreTrainedModel,
    SeamlessM4TFeatureExtractor,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    Wav2Vec2BertConfig,
    Wav2Vec2BertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForPreTraining,
    WavLMConfig,
    WavLMModel,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from tests.builders_teachers import whisper_config

TRANSFORMER = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
FRAMES = {
    **TRANSFORMER, "conv_dim": (8, 8), "conv_kernel": (10, 8), "conv_stride": (5, 64), "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
PATCHES = {**TRANSFORMER, "image_size": 32, "patch_size": 16}
WORDS = {**TRANSFORMER, "vocab_size": 16, "projection_dim": 8}
SQUARE = {"height": 32, "width": 32}


def _save(folder: Path, network: Callable[[], PreTrainedModel], preprocessor: Any, *, pickled: bool = False) -> str:
    torch.manual_seed(0)
    made = network()
    made.save_pretrained(folder)
    preprocessor.save_pretrained(folder)
    if pickled:  # as most repositories were before 2023
        torch.save(made.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    return str(folder)


def save_wav2vec2(folder: Path) -> str:
    """With the heads of its pretraining, in torch's own format."""
    config = Wav2Vec2Config(**FRAMES, num_codevectors_per_group=2, codevector_dim=4, proj_codevector_dim=4)
    return _save(folder, lambda: Wav2Vec2ForPreTraining(config), Wav2Vec2FeatureExtractor(), pickled=True)


def save_hubert(folder: Path) -> str:
    return _save(folder, lambda: HubertModel(HubertConfig(**FRAMES)), Wav2Vec2FeatureExtractor())


def save_wavlm(folder: Path) -> str:
    config = WavLMConfig(**FRAMES, num_buckets=8, max_bucket_distance=16)
    return _save(folder, lambda: WavLMModel(config), Wav2Vec2FeatureExtractor(return_attention_mask=True))


def save_w2v_bert(folder: Path) -> str:
    config = Wav2Vec2BertConfig(**TRANSFORMER, feature_projection_input_dim=160, conv_depthwise_kernel_size=3)
    return _save(folder, lambda: Wav2Vec2BertModel(config), SeamlessM4TFeatureExtractor())


def save_whisper(folder: Path) -> str:
    """As it is published: encoder and decoder; it has 50 positions, a second of sound."""
    config = whisper_config()
    config.encoder_layers = 2
    processor = WhisperFeatureExtractor(feature_size=20, chunk_length=1)
    return _save(folder, lambda: WhisperForConditionalGeneration(config), processor)


def save_clip(folder: Path) -> str:
    """Both towers."""
    config = CLIPConfig(vision_config=PATCHES, text_config=WORDS, projection_dim=8)
    size = {"shortest_edge": 32}
    return _save(folder, lambda: CLIPModel(config), CLIPImageProcessor(size=size, crop_size=SQUARE))


def save_siglip(folder: Path) -> str:
    """Both towers."""
    config = SiglipConfig(vision_config=PATCHES, text_config={**WORDS, "projection_size": 16})
    return _save(folder, lambda: SiglipModel(config), SiglipImageProcessor(size=SQUARE))


def save_dinov2(folder: Path) -> str:
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SQUARE)
    return _save(folder, lambda: Dinov2Model(Dinov2Config(**PATCHES)), processor)


SPEECH = {
    "facebook/wav2vec2-base": save_wav2vec2, "facebook/hubert-base": save_hubert, "microsoft/wavlm-base": save_wavlm,
    "facebook/w2v-bert-2.0": save_w2v_bert, "openai/whisper-base": save_whisper,
}  # fmt: skip
PICTURES = {
    "openai/clip-vit-base-patch32": save_clip, "google/siglip-base-patch16-224": save_siglip,
    "facebook/dinov2-base": save_dinov2,
}  # fmt: skip
