"""Stand-ins for published classifiers: tiny, random, in the layout of files, tensors and configuration of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    BeitConfig,
    BeitForImageClassification,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
    BitImageProcessor,
    CLIPConfig,
    CLIPModel,
    ConvNextConfig,
    ConvNextForImageClassification,
    DeiTConfig,
    DeiTForImageClassification,
    EfficientNetConfig,
    EfficientNetForImageClassification,
    HubertConfig,
    HubertForSequenceClassification,
    HubertModel,
    ResNetConfig,
    ResNetForImageClassification,
    SiglipConfig,
    SiglipForImageClassification,
    SiglipModel,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMForSequenceClassification,
)

from tests import builders_teachers as tiny

SUPERB = ("neu", "hap", "ang", "sad")
DIMENSIONS = ("arousal", "dominance", "valence")
FACES = ("sad", "angry", "happy")
_SPEECH: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "conv_dim": (8, 8),
    "conv_kernel": (10, 3), "conv_stride": (5, 4), "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8,
}  # fmt: skip
_TOWER = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
_EYES = {**_TOWER, "image_size": 32, "patch_size": 16}
OLD = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}


def named(names: Sequence[str]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(names)), "label2id": {name: place for place, name in enumerate(names)}}


def pickle_weights(folder: Path, renames: Mapping[str, str] | None = None, *, parts: int = 1) -> None:
    """Let safetensors become what was published before them: pytorch_model.bin, whole or in parts with an index."""
    renames = OLD if renames is None else renames
    state = load_file(folder / "model.safetensors")
    for theirs, ours in renames.items():
        state = {name.replace(theirs, ours): tensor for name, tensor in state.items()}
    (folder / "model.safetensors").unlink()
    if parts == 1:
        torch.save(state, folder / "pytorch_model.bin")
        return
    names = [f"pytorch_model-{part + 1:05d}-of-{parts:05d}.bin" for part in range(parts)]
    place = {name: names[number % parts] for number, name in enumerate(state)}
    for part in names:
        torch.save({name: state[name] for name in state if place[name] == part}, folder / part)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": place}))


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}))


def _speech(network: Any, folder: Path) -> None:
    network.save_pretrained(folder)
    # The norm over all frames of a layer bears no padding, which a mask would bring.
    masked = network.config.feat_extract_norm == "layer"
    Wav2Vec2FeatureExtractor(return_attention_mask=masked).save_pretrained(folder)


def superb_wav2vec2(folder: Path) -> None:
    config = Wav2Vec2Config(**_SPEECH, **named(SUPERB), use_weighted_layer_sum=True)
    _speech(Wav2Vec2ForSequenceClassification(config), folder)
    pickle_weights(folder)


def superb_hubert(folder: Path) -> None:
    config = HubertConfig(**_SPEECH, **named(SUPERB), use_weighted_layer_sum=True, feat_extract_norm="layer")
    _speech(HubertForSequenceClassification(config), folder)
    pickle_weights(folder, parts=2)


def stock_wav2vec2(folder: Path) -> None:
    _speech(Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**_SPEECH, **named(SUPERB))), folder)


def stock_wavlm(folder: Path) -> None:
    _speech(WavLMForSequenceClassification(WavLMConfig(**_SPEECH, **named(SUPERB))), folder)


def two_layers(
    folder: Path, names: Sequence[str], problem: str, last: str = "out_proj", kind: str = "wav2vec2"
) -> None:
    """An encoder, and a head of the layers dense and `last` on the mean of its frames."""
    made: Any = {"wav2vec2": (Wav2Vec2Config, Wav2Vec2Model), "hubert": (HubertConfig, HubertModel)}[kind]
    config = made[0](**_SPEECH, **named(names), feat_extract_norm="layer", problem_type=problem)
    _speech(made[1](config), folder)
    state = {f"{kind}.{name}": tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    size = config.hidden_size
    for layer, module in (("dense", nn.Linear(size, size)), (last, nn.Linear(size, len(names)))):
        state |= {f"classifier.{layer}.{name}": tensor.detach() for name, tensor in module.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    change_config(folder, architectures=["Wav2Vec2ForSpeechClassification"])
    pickle_weights(folder)


def audeering(folder: Path) -> None:
    two_layers(folder, DIMENSIONS, "regression")


def harshit345(folder: Path) -> None:
    two_layers(folder, SUPERB, "single_label_classification")
    change_config(folder, pooling_mode="mean", finetuning_task="wav2vec2_clf")


def ehcalabres(folder: Path) -> None:
    two_layers(folder, SUPERB, "single_label_classification", "output")
    change_config(folder, architectures=["Wav2Vec2ForSequenceClassification"])


def whisper(folder: Path) -> None:
    tiny.save_whisper(folder, SUPERB)


def speechbrain(folder: Path) -> None:
    (folder / "hyperparams.yaml").write_text("modules: {}")
    (folder / "config.json").write_text(json.dumps({"speechbrain_interface": "CustomEncoderWav2vec2Classifier"}))
    torch.save({}, folder / "model.ckpt")


def emotion2vec(folder: Path) -> None:
    (folder / "config.yaml").write_text("model: Emotion2vec")
    (folder / "configuration.json").write_text(json.dumps({"framework": "pytorch"}))
    torch.save({}, folder / "model.pt")


def own_code(folder: Path) -> None:
    auto = {"AutoConfig": "code.X", "AutoModelForAudioClassification": "code.X"}
    (folder / "config.json").write_text(json.dumps({"model_type": "ser", "auto_map": auto}))
    (folder / "code.py").write_text("raise SystemExit('was run')")


def _picture(network: Any, folder: Path, processor: Any = None) -> None:
    network.save_pretrained(folder)
    (processor or ViTImageProcessor(size={"height": 32, "width": 32})).save_pretrained(folder)


def _resnet(folder: Path) -> None:
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", **named(FACES))
    sides = BitImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    _picture(ResNetForImageClassification(config), folder, sides)


def _efficientnet(folder: Path) -> None:
    config = EfficientNetConfig(
        image_size=32, width_coefficient=0.1, depth_coefficient=0.1, hidden_dim=128, **named(FACES)
    )
    network = EfficientNetForImageClassification(config)
    for weights in network.parameters():  # as it is drawn it sees nothing
        nn.init.normal_(weights, std=0.7)
    _picture(network, folder)


def _swin(folder: Path) -> None:
    config = SwinConfig(
        image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4, **named(FACES)
    )
    _picture(SwinForImageClassification(config), folder)


def _convnext(folder: Path) -> None:
    config = ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], **named(FACES))
    _picture(ConvNextForImageClassification(config), folder)


def _vit(folder: Path) -> None:
    _picture(ViTForImageClassification(ViTConfig(**_EYES, **named(FACES))), folder)


def _vit_pickled(folder: Path) -> None:
    _vit(folder)
    pickle_weights(folder)


def _deit(folder: Path) -> None:
    _picture(DeiTForImageClassification(DeiTConfig(**_EYES, **named(FACES))), folder)


def _beit(folder: Path) -> None:
    _picture(BeitForImageClassification(BeitConfig(**_EYES, out_indices=[1], **named(FACES))), folder)


def _towers() -> dict[str, Any]:
    return {"text_config": {**_TOWER, "vocab_size": 10}, "vision_config": _EYES}


def _siglip_classifier(folder: Path) -> None:
    _picture(SiglipForImageClassification(SiglipConfig(**_towers(), **named(FACES))), folder)


def _siglip(folder: Path) -> None:
    _picture(SiglipModel(SiglipConfig(**_towers())), folder)


def _clip(folder: Path) -> None:
    _picture(CLIPModel(CLIPConfig(**_towers(), projection_dim=8)), folder)


def _timm(folder: Path) -> None:
    tiny.save_timm(folder, FACES)


def _timm_pickled(folder: Path) -> None:
    tiny.save_timm(folder, FACES)
    pickle_weights(folder, {})


def _bert(folder: Path, names: Sequence[str], **changes: Any) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "i", "am", "so", "angry"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(vocab_size=len(words), **_TOWER, **named(names))
    BertForSequenceClassification(config).save_pretrained(folder)
    change_config(folder, **changes)


def go_emotions(folder: Path) -> None:
    _bert(folder, FACES, problem_type="multi_label_classification")


def old_go_emotions(folder: Path) -> None:
    _bert(folder, FACES, architectures=["BertForMultiLabelClassification"])


def emotion_texts(folder: Path) -> None:
    _bert(folder, FACES)


Write = Callable[[Path], None]
# Folder-writers, and the head that a configuration tells of.
SPEECH: dict[str, tuple[Write, str]] = {
    "superb/wav2vec2": (superb_wav2vec2, "exclusive"), "superb/hubert": (superb_hubert, "exclusive"),
    "wav2vec2": (stock_wav2vec2, "exclusive"), "wavlm": (stock_wavlm, "exclusive"), "whisper": (whisper, "exclusive"),
    "harshit345": (harshit345, "exclusive"), "audeering": (audeering, "regression"),
}  # fmt: skip
WORDS: dict[str, tuple[Write, str]] = {
    "go_emotions": (go_emotions, "independent"), "go_emotions, old": (old_go_emotions, "independent"),
    "emotion texts": (emotion_texts, "exclusive"),
}  # fmt: skip
IMAGE: dict[str, tuple[Write, str]] = {
    "vit": (_vit, "exclusive"), "vit.bin": (_vit_pickled, "exclusive"), "deit": (_deit, "exclusive"),
    "beit": (_beit, "exclusive"), "swin": (_swin, "exclusive"), "convnext": (_convnext, "exclusive"),
    "resnet": (_resnet, "exclusive"), "efficientnet": (_efficientnet, "exclusive"),
    "siglip classifier": (_siglip_classifier, "exclusive"), "timm": (_timm, "exclusive"),
    "timm.bin": (_timm_pickled, "exclusive"),
}  # fmt: skip
REFUSED: dict[str, tuple[Write, str, str]] = {
    "ehcalabres": (ehcalabres, "speech", r"layers dense and output, and nothing in it says .* kind: scores"),
    "speechbrain": (speechbrain, "speech", r"package SpeechBrain \(hyperparams.yaml\).* kind: scores"),
    "emotion2vec": (emotion2vec, "speech", r"package FunASR .* kind: scores"),
    "own code": (own_code, "speech", r"has code of its own, which is not run; .* kind: scores"),
    "clip": (_clip, "image", r"is a clip that compares pictures with texts.* kind: zero_shot"),
    "siglip": (_siglip, "image", r"is a siglip that compares pictures with texts.* kind: zero_shot"),
}
