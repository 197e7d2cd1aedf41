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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from models.errors import ModelError
from models.teachers.encoder_settings import EncoderSettings, Modality
from models.teachers.ready_network import digest_of
from models.teachers.speech_encoder import SAMPLING_RATE_HZ, check_waveform
from models.teachers.towers import find_encoder, load_encoder_preprocessor, load_tower, modality_of
from models.weights.onnx_graph import Run, on_cpu
from models.weights.whisper_weights import MAX_SECONDS

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
        repository = find_encoder(name, settings)
        settings = replace(settings, revision=repository.commit)
        self._tower = load_tower(name, repository)
        self.modality = modality_of(name, self._tower, modality)
        self.name, self.settings, self._device = name, settings, device
        self._preprocessor = load_encoder_preprocessor(name, repository, self.modality)
        facts = [_RECIPE, settings.revision, settings.layers, settings.pooling]
        weights = digest_of(self._tower, self._preprocessor)
        self.digest = hashlib.sha256(json.dumps([*facts, weights]).encode()).hexdigest()
        self._positions: Tensor | None = None  # of Whisper
        if self._tower.config.model_type == "whisper":
            self._positions = self._tower.embed_positions.weight.detach().clone().to(device)
        self._tower.eval().requires_grad_(False).to(device)
        self._graph: _Graph | None = None  # of pictures on a CPU, once there is one to be made by
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
            found = self._by_graph(together[0]) if self._device == "cpu" and self.modality == "image" else None
            found = self._vectors(together) if found is None else found
            if not np.isfinite(found).all():
                raise ModelError(f"encoder {self.name}: gives numbers that are not finite; its weights are damaged")
            vectors[start : start + len(found)] = self.settings.rounded(found)
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of what the networks' own code does
            output = self._tower(**inputs, output_hidden_states=self.settings.layers != "last")
        found: NDArray[np.float32] = self._pooled(output, inputs.get("attention_mask")).float().cpu().numpy()
        return found

    def _pooled(self, output: Any, mask: Tensor | None) -> Tensor:
        layers, pooling = self.settings.layers, self.settings.pooling
        speech = self.modality == "speech"
        own: Tensor | None = getattr(output, "pooler_output", None)
        if pooling == "own" and layers == "last" and not speech and own is not None:
            return own.flatten(1)
        states = _positions_last(output.last_hidden_state) if layers == "last" else _mean(output, layers)
        if speech and mask is not None and mask.shape[1] == states.shape[1]:
            states = states[:, : int(mask[0].sum())]  # w2v-BERT: the last frame may be padding
        if pooling == "mean_std" or (pooling == "own" and speech):
            return torch.cat([states.mean(dim=1), states.std(dim=1, correction=0)], dim=1)
        return states.mean(dim=1)

    def _by_graph(self, inputs: dict[str, Tensor]) -> NDArray[np.float32] | None:
        """The vector of a picture, [1, dimensions], twice as fast as by torch; None where there is no graph for it."""
        if list(inputs) != ["pixel_values"]:
            return None
        pixels = inputs["pixel_values"].float()
        if self._graph is None:
            self._graph = _Graph(self, pixels)
        return self._graph(pixels)


class _Graph:
    """A tower of pictures as a graph of ONNX Runtime, for pictures of one size; used if it gives what torch gives."""

    def __init__(self, encoder: PretrainedEncoder, pixels: Tensor) -> None:
        self._shape = pixels.shape
        self._run: Run | None = on_cpu(_Traced(encoder), pixels)
        expected = encoder._vectors([{"pixel_values": pixels}])
        if self._run and not np.allclose(self._run(pixels.numpy()), expected, rtol=1e-3, atol=1e-3):
            self._run = None

    def __call__(self, pixels: Tensor) -> NDArray[np.float32] | None:
        return self._run(pixels.numpy()) if self._run and pixels.shape == self._shape else None


class _Traced(nn.Module):
    def __init__(self, encoder: PretrainedEncoder) -> None:
        super().__init__()
        self.tower = encoder._tower
        self._encoder = encoder

    def forward(self, pixels: Tensor) -> Tensor:
        output = self.tower(pixel_values=pixels, output_hidden_states=self._encoder.settings.layers != "last")
        return self._encoder._pooled(output, None)


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
