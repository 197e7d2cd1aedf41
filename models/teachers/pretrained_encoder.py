"""Utterances or pictures to vectors: a frozen encoder of the transformers library, from a folder or the Hub.

In   waveforms: float32 [samples], mono, 16 kHz; or `PIL.Image.Image`, RGB
Out  float32 [n, dimensions], each number one of float16, so that kept vectors take half the space and lose nothing

Speech: wav2vec2, HuBERT, WavLM, w2v-BERT, the encoder of Whisper, and their like. Pictures: the towers of CLIP and
SigLIP, DINOv2, and their like. An utterance is heard at its own length, also by Whisper, whose 30 s of padding would
make up most of a mean; the first 30 s count. On a CPU items go through one by one, which keeps a vector from changing
in its last bits with its neighbours; on a GPU those of one shape go together.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoFeatureExtractor, AutoImageProcessor, AutoModel
from transformers.utils import logging

from models.errors import ModelError
from models.teachers.encoder_settings import HUB, EncoderSettings, Modality
from models.teachers.ready_network import digest_of
from models.teachers.repository import Repository, fetch_weights, find
from models.teachers.speech_encoder import SAMPLING_RATE_HZ, check_waveform
from models.weights.whisper_weights import MAX_SECONDS

# What the library raises for a folder that does not hold what it expects.
LOADING_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, SafetensorError)

INPUTS: dict[str, Modality] = {"input_values": "speech", "input_features": "speech", "pixel_values": "image"}
# Names in which a family is told, and what the library calls it; "clip" is no part of "siglip".
FAMILIES = {
    "w2v-bert": "wav2vec2-bert", "wav2vec2": "wav2vec2", "hubert": "hubert", "wavlm": "wavlm", "whisper": "whisper",
    "siglip": "siglip", "dinov2": "dinov2", "clip": "clip",
}  # fmt: skip
UNUSED_WEIGHTS = ("masked_spec_embed", "mask_token")  # some files lack them, and only pretraining needs them
WHISPER_FRAME_SAMPLES = 320
GPU_BATCH = 32

# Changed by hand whenever the way from item to vector changes, so that old scores are not taken for new ones.
_RECIPE = "own length, 30 s, float32, rounded to float16, version 1"


class PretrainedEncoder:
    """`name`: a repository of the Hub, or what cards call the network that lies in the folder `settings.weights`."""

    def __init__(
        self, name: str, settings: EncoderSettings, *, modality: Modality | None = None, device: str = "cpu"
    ) -> None:
        """Raises ModelError: see `models.teachers.encoders.create_encoder`."""
        repository = _found(name, settings)
        settings = replace(settings, revision=repository.commit)
        self._tower = _load(name, repository)
        self.modality = _expect(name, self._tower, modality)
        self.name, self.settings, self._device = name, settings, device
        self._preprocessor = _preprocessor(name, repository, self.modality)
        facts = [_RECIPE, settings.revision, settings.layers, settings.pooling]
        weights = digest_of(self._tower, self._preprocessor)
        self.digest = hashlib.sha256(json.dumps([*facts, weights]).encode()).hexdigest()
        self._positions: Tensor | None = None  # of Whisper
        if self._tower.config.model_type == "whisper":
            self._positions = self._tower.embed_positions.weight.detach().clone().to(device)
        self._tower.eval().requires_grad_(False).to(device)
        blank = Image.new("RGB", (64, 64)) if self.modality == "image" else np.zeros(SAMPLING_RATE_HZ // 2, np.float32)
        try:
            self.dimensions = self._vectors([self._prepared(blank)]).shape[1]
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            found = " ".join(str(error).split())[:200]
            where = f"encoder {name} with layers {settings.layers}, pooling {settings.pooling}"
            raise ModelError(f"{where}: gives no vector, but: {found}") from None

    def check(self, item: Any) -> None:
        """Raises ItemError if an utterance is too short or not finite; a picture that is not RGB is a ValueError."""
        if self.modality == "speech":
            check_waveform(item)
        elif item.mode != "RGB":
            raise ValueError(f"expected an RGB picture, found mode {item.mode}")

    def encode(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        """Vectors float32 [n, dimensions]; ItemError: see `check`."""
        vectors = np.empty((len(batch), self.dimensions), dtype=np.float32)
        start = 0
        for together in self._batches(batch):
            found = self._vectors(together)
            if not np.isfinite(found).all():
                raise ModelError(f"encoder {self.name}: gives numbers that are not finite; its weights are damaged")
            vectors[start : start + len(found)] = found
            start += len(found)
        return vectors

    def _batches(self, batch: Sequence[Any]) -> Iterator[list[dict[str, Tensor]]]:
        """What the network takes of each item; neighbours of one shape together, on a GPU."""
        most = 1 if self._device == "cpu" else GPU_BATCH
        together: list[dict[str, Tensor]] = []
        for item in batch:
            self.check(item)
            inputs = self._prepared(item)
            if together and (len(together) == most or _kind(inputs) != _kind(together[0])):
                yield together
                together = []
            together.append(inputs)
        if together:
            yield together

    def _prepared(self, item: Any) -> dict[str, Tensor]:
        if self.modality == "image":
            return dict(self._preprocessor([item], return_tensors="pt"))
        heard, options = item[: MAX_SECONDS * SAMPLING_RATE_HZ], {}
        if self._positions is not None:
            heard = heard[: len(self._positions) * WHISPER_FRAME_SAMPLES]
            options = {"pad_to_multiple_of": WHISPER_FRAME_SAMPLES, "return_attention_mask": False}
        return dict(
            self._preprocessor([heard], sampling_rate=SAMPLING_RATE_HZ, return_tensors="pt", padding=True, **options)
        )

    @torch.inference_mode()
    def _vectors(self, together: Sequence[dict[str, Tensor]]) -> NDArray[np.float32]:
        inputs = {name: torch.cat([one[name] for one in together]).to(self._device) for name in together[0]}
        if self._positions is not None:
            frames = inputs["input_features"].shape[-1] // 2
            shorter = nn.Embedding.from_pretrained(self._positions[:frames])  # type: ignore[no-untyped-call]
            self._tower.embed_positions = shorter
            self._tower.config.max_source_positions = frames
        layers, pooling = self.settings.layers, self.settings.pooling
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of what the networks' own code does
            output = self._tower(**inputs, output_hidden_states=layers != "last")
        pooled = getattr(output, "pooler_output", None)
        if pooling == "own" and layers == "last" and self.modality == "image" and pooled is not None:
            vectors = pooled.flatten(1)
        else:
            states = _positions_last(output.last_hidden_state) if layers == "last" else _mean(output, layers)
            mask = inputs.get("attention_mask")
            if self.modality == "speech" and mask is not None and mask.shape[1] == states.shape[1]:
                states = states[:, : int(mask[0].sum())]  # w2v-BERT: the last frame may be padding
            vectors = states.mean(dim=1)
            if pooling == "mean_std" or (pooling == "own" and self.modality == "speech"):
                vectors = torch.cat([vectors, states.std(dim=1, correction=0)], dim=1)
        return self.settings.rounded(vectors.float().cpu().numpy())


def check_repository(name: str, settings: EncoderSettings, modality: Modality) -> None:
    """Raises ModelError where a repository of the Hub is no encoder that can be had; its weights are not fetched."""
    repository = _found(name, settings)
    _config(name, repository)
    _preprocessor(name, repository, modality)


def _found(name: str, settings: EncoderSettings) -> Repository:
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


def _preprocessor(name: str, repository: Repository, modality: Modality) -> Any:
    kind = AutoFeatureExtractor if modality == "speech" else AutoImageProcessor
    try:
        preprocessor = kind.from_pretrained(str(repository.folder), trust_remote_code=False)
    except LOADING_ERRORS as error:
        raise ModelError(_refusal(name, repository, error)) from None
    rate = getattr(preprocessor, "sampling_rate", SAMPLING_RATE_HZ)
    if rate != SAMPLING_RATE_HZ:
        raise ModelError(f"encoder {name}: hears {rate} Hz, expected {SAMPLING_RATE_HZ}; choose another one")
    return preprocessor


def _load(name: str, repository: Repository) -> Any:
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


def _expect(name: str, tower: Any, modality: Modality | None) -> Modality:
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


def _mean(output: Any, layers: Any) -> Tensor:
    """Mean [n, positions, width] of layers; 0 is what enters the first one."""
    every = output.hidden_states
    if layers != "all" and max(layers) >= len(every):
        raise ValueError(f"it has layers 0 to {len(every) - 1}")
    chosen = every if layers == "all" else [every[layer] for layer in layers]
    return torch.stack([_positions_last(states) for states in chosen]).mean(dim=0)


def _positions_last(states: Tensor) -> Tensor:
    """[n, positions, width], also of feature maps [n, width, height, width]."""
    return states.flatten(2).transpose(1, 2) if states.ndim == 4 else states


def _kind(inputs: dict[str, Tensor]) -> list[object]:
    """The same for items that can go through the network together."""
    padded = inputs.get("attention_mask")
    return [None if padded is None else int(padded.sum()), *(tensor.shape for tensor in inputs.values())]
