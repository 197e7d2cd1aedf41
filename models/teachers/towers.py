"""Encoders of the transformers library: the part of a network that encodes, with all its weights, or one line why not.

In   the name of a repository of the Hub, or a folder; no code of either is run
Out  a module of transformers, frozen by whoever uses it, and what prepares its inputs
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoFeatureExtractor, AutoImageProcessor, AutoModel
from transformers.utils import logging

from models.errors import ModelError
from models.teachers.encoder_settings import HUB, EncoderSettings, Modality
from models.teachers.repository import Repository, fetch_weights, find
from models.teachers.speech_encoder import SAMPLING_RATE_HZ

# What the library raises for a folder that does not hold what it expects.
LOADING_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, SafetensorError)

INPUTS: dict[str, Modality] = {"input_values": "speech", "input_features": "speech", "pixel_values": "image"}
# Names in which a family is told, and what the library calls it; "clip" is no part of "siglip".
FAMILIES = {
    "w2v-bert": "wav2vec2-bert", "wav2vec2": "wav2vec2", "hubert": "hubert", "wavlm": "wavlm", "whisper": "whisper",
    "siglip": "siglip", "dinov2": "dinov2", "clip": "clip",
}  # fmt: skip
UNUSED_WEIGHTS = ("masked_spec_embed", "mask_token")  # some files lack them, and only pretraining needs them


def check_repository(name: str, settings: EncoderSettings, modality: Modality) -> None:
    """Raises ModelError where a repository of the Hub is no encoder that can be had; its weights are not fetched."""
    repository = find_encoder(name, settings)
    _config(name, repository)
    load_encoder_preprocessor(name, repository, modality)


def find_encoder(name: str, settings: EncoderSettings) -> Repository:
    """Where an encoder's small files lie; ModelError if that is nowhere."""
    try:
        if settings.weights == HUB:
            return find(name, settings.revision)
        if not Path(settings.weights).is_dir():
            raise ModelError(f"weights {settings.weights}: no such folder; expected one of the transformers library")
        return find(settings.weights)
    except ModelError as error:
        raise ModelError(f"encoder {name}: {error}") from None


def _config(name: str, repository: Repository) -> Any:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(str(repository.folder), trust_remote_code=False)
    except LOADING_ERRORS as error:
        raise ModelError(_refusal(name, repository, error)) from None
    # timm writes the number of classes twice, which the wrapper of transformers does not bear.
    (getattr(config, "model_args", None) or {}).pop("num_classes", None)
    return config


def load_encoder_preprocessor(name: str, repository: Repository, modality: Modality) -> Any:
    """What makes an encoder's inputs; ModelError if there is none, or for another sampling rate."""
    kind = AutoFeatureExtractor if modality == "speech" else AutoImageProcessor
    try:
        preprocessor = kind.from_pretrained(str(repository.folder), trust_remote_code=False)
    except LOADING_ERRORS as error:
        raise ModelError(_refusal(name, repository, error)) from None
    rate = getattr(preprocessor, "sampling_rate", SAMPLING_RATE_HZ)
    if rate != SAMPLING_RATE_HZ:
        raise ModelError(f"encoder {name}: hears {rate} Hz, expected {SAMPLING_RATE_HZ}; choose another one")
    return preprocessor


def load_tower(name: str, repository: Repository) -> Any:
    """The part of a network that encodes, with all its weights."""
    config = _config(name, repository)
    kind = config.model_type
    family = next((family for family in FAMILIES if family in name.lower()), None)
    if repository.commit is None and family is not None and FAMILIES[family] not in kind:
        where = f"weights {repository.source}"
        raise ModelError(f"encoder {name}: {where} are those of a {kind} network, expected {family}")
    try:
        pickled = fetch_weights(repository).pickled
    except ModelError as error:
        raise ModelError(f"encoder {name}: {error}") from None
    try:
        network, loaded = AutoModel.from_pretrained(
            str(repository.folder), config=config, use_safetensors=not pickled, trust_remote_code=False,
            dtype=torch.float32, output_loading_info=True,
        )  # fmt: skip
    except LOADING_ERRORS as error:
        raise ModelError(_refusal(name, repository, error)) from None
    part = "encoder" if kind == "whisper" else "vision_model"
    within = f"{part}." if hasattr(network, part) else ""
    missing = [key for key in sorted(loaded["missing_keys"]) if key.startswith(within)]
    if lost := [key for key in missing if not key.endswith(UNUSED_WEIGHTS)]:
        where = f"{repository.source}: found no weights for {lost[0]}"
        raise ModelError(f"encoder {name}: {where}; they are another network's")
    return getattr(network, part) if within else network


def modality_of(name: str, tower: Any, modality: Modality | None) -> Modality:
    """What a network encodes; ModelError if that is something else."""
    found = INPUTS.get(tower.main_input_name)
    if found is None or modality not in {None, found}:
        expected = {"speech": "waveforms", "image": "pictures", None: "waveforms or pictures"}[modality]
        kind = tower.config.model_type
        raise ModelError(f"encoder {name}: a {kind} network, which takes {tower.main_input_name}; expected {expected}")
    return found


def _refusal(name: str, repository: Repository, error: Exception) -> str:
    found = " ".join(str(error).split())[:300]
    if "custom code" in found or "trust_remote_code" in found:
        what = "has code of its own, which is not run; expected a network that transformers itself has"
        return f"encoder {name}: {repository.source}: {what}"
    return f"encoder {name}: {repository.source}: expected a network of the transformers library, found: {found}"
