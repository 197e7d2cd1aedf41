"""Tiny corpora for teachers and tiny, randomly initialised networks in each library's own format."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    PreTrainedTokenizerFast,
    Siglip2Config,
    Siglip2ImageProcessor,
    Siglip2Model,
    Siglip2Tokenizer,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
    WhisperForConditionalGeneration,
)

from pipeline.engine.local import LocalEngine
from pipeline.frame.params import section
from pipeline.frame.stage import BaseParams, Context, Paths
from tests.builders_fi import build_fi
from tests.builders_iemocap import build_iemocap, plain_turns

SPEECH_LABELS = ("sad", "neu", "ang", "hap")
CONTRASTIVE_WORDS = ("<s>", "</s>", "<pad>", "<unk>", "a", "photo", "that", "shows", "anger", "rage", "joy", "sadness")
SPEECH_MAP = {"ang": "anger", "hap": "excitement", "neu": None, "sad": "sadness"}
SPEECH_CLASSES: dict[str, str | None] = {
    "ang": "anger", "exc": "excitement", "hap": "excitement", "sad": "sadness", "dis": None, "neu": None, "fru": None,
    "sur": None, "fea": None, "oth": None, "xxx": None,
}  # fmt: skip
IMAGE_LABELS = ("sadness", "anger", "cat")
IMAGE_MAP = {"sadness": "sadness", "anger": "anger", "cat": None}
IMAGE_CLASSES: dict[str, str | None] = {
    "anger": "anger", "sadness": "sadness", "excitement": None, "disgust": None, "amusement": None, "awe": None,
    "contentment": None, "fear": None,
}  # fmt: skip


def labelled(names: Sequence[str]) -> dict[str, Any]:
    """id2label and label2id; the ids are written out of order on purpose."""
    places = [*range(1, len(names)), 0]
    return {"id2label": {place: names[place] for place in places}, "label2id": {names[p]: p for p in places}}


def save_wav2vec2(folder: Path, names: Sequence[str] = SPEECH_LABELS, *, norm: str = "layer", mask: bool = True) -> str:
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8, 8),
        conv_kernel=(10, 3), conv_stride=(5, 4), num_feat_extract_layers=2, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2, feat_extract_norm=norm, classifier_proj_size=8, mask_time_length=2,
        **labelled(names),
    )  # fmt: skip
    Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=mask).save_pretrained(folder)
    return str(folder)


def whisper_config(**changes: Any) -> WhisperConfig:
    return WhisperConfig(
        d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=16, decoder_layers=1,
        decoder_attention_heads=2, decoder_ffn_dim=16, max_source_positions=50, vocab_size=10, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, classifier_proj_size=8, num_mel_bins=20, **changes,
    )  # fmt: skip


def save_whisper(folder: Path, names: Sequence[str] = SPEECH_LABELS) -> str:
    torch.manual_seed(0)
    WhisperForAudioClassification(whisper_config(**labelled(names))).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=20, chunk_length=1).save_pretrained(folder)
    return str(folder)


def save_whisper_transcriber(folder: Path) -> str:
    """As Whisper is published: no classifier, but encoder and decoder."""
    torch.manual_seed(0)
    WhisperForConditionalGeneration(whisper_config()).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=20, chunk_length=1).save_pretrained(folder)
    return str(folder)


def save_vit(folder: Path, names: Sequence[str] = IMAGE_LABELS) -> str:
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=16,
        **labelled(names),
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)


def save_timm(folder: Path, names: Sequence[str] = IMAGE_LABELS) -> str:
    """As a repository of timm on the Hub: its own config.json and model.safetensors."""
    torch.manual_seed(0)
    network = timm.create_model("test_vit")
    network.reset_classifier(len(names))
    config = {"num_classes": len(names), "label_names": list(names)}
    timm.models.save_for_hf(network, str(folder), model_config=config, safe_serialization=True)
    return str(folder)


def context(root: Path, modality: str, workers: int = 1) -> Context:
    base = section({"base": {"seed": 7, "labels": ["anger", "happy", "sad", "hate"]}}, "base", BaseParams)
    return Context(base, Paths(root), LocalEngine(workers=workers), modality, {})


def write_corpora(root: Path) -> None:
    """IEMOCAP of three sessions and FI of six pictures a class, as stage acquire leaves them."""
    corpora = root / "data" / "corpora"
    build_iemocap(corpora / "iemocap" / "files", plain_turns(("ang", "exc", "sad"), range(1, 4)))
    build_fi(corpora / "fi" / "files", per_class=6)
    for name in ("iemocap", "fi"):
        (corpora / name / "manifest.json").write_text(json.dumps({"origin": "sample"}), encoding="utf-8")


def save_contrastive(folder: Path, family: str, *, bin_only: bool = False) -> str:
    """CLIP, SigLIP or SigLIP 2 as its makers publish it: both halves, a tokenizer and preprocessing."""
    torch.manual_seed(0)
    half = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**half, "vocab_size": 40, "max_position_embeddings": 40, "bos_token_id": 0}
    text |= {"eos_token_id": 1, "pad_token_id": 2}
    square = {"image_size": 32, "patch_size": 16}
    size = {"height": 32, "width": 32}
    network: Any
    preprocessor: Any
    if family == "clip":
        network = CLIPModel(CLIPConfig(text_config=text, vision_config=half | square, projection_dim=8))
        preprocessor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size)
    elif family == "siglip":
        network = SiglipModel(SiglipConfig(text_config=text, vision_config=half | square))
        preprocessor = SiglipImageProcessor(size=size)
    else:
        network = Siglip2Model(
            Siglip2Config(text_config=text, vision_config={**half, "patch_size": 16, "num_patches": 4})
        )
        preprocessor = Siglip2ImageProcessor(patch_size=16, max_num_patches=4)
    if family != "clip":
        torch.nn.init.constant_(network.logit_scale, 1.0)
        torch.nn.init.constant_(network.logit_bias, -1.0)
    network.save_pretrained(folder)
    preprocessor.save_pretrained(folder)
    _contrastive_tokenizer(family, folder).save_pretrained(folder)
    if family == "siglip":  # as the Hub has it, whose class wants a library that is not installed
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "tokenizer_class": "SiglipTokenizer"}))
    if bin_only:
        torch.save(network.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    return str(folder)


def _contrastive_tokenizer(family: str, folder: Path) -> Any:
    if family == "siglip2":  # by letters, which are its smallest pieces
        pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *string.ascii_lowercase]
        return Siglip2Tokenizer(vocab={piece: n for n, piece in enumerate(pieces)}, merges=[], model_max_length=40)
    marks = {name: {"id": name, "ids": [place], "tokens": [name]} for place, name in enumerate(CONTRASTIVE_WORDS[:2])}
    around: list[Any] = [{"SpecialToken": {"id": name, "type_id": 0}} for name in marks]
    around.insert(1, {"Sequence": {"id": "A", "type_id": 0}})
    rules: dict[str, Any] = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"}, "decoder": None,
        "post_processor": {"type": "TemplateProcessing", "single": around, "pair": around, "special_tokens": marks},
        "model": {"type": "WordLevel", "vocab": {word: n for n, word in enumerate(CONTRASTIVE_WORDS)},
                  "unk_token": "<unk>"},
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(rules))
    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        unk_token="<unk>", model_max_length=40,
    )  # fmt: skip
