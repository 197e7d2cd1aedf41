"""CLIP and SigLIP: pictures and phrases as directions of one space.

In   RGB pictures; phrases
Out  float32 [n, d], rows of length 1: what is alike points the same way
"""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoTokenizer,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerFast,
    Siglip2VisionModel,
    SiglipVisionModel,
)
from transformers.utils import logging

from models.errors import ModelError
from models.teachers.repository import Repository, fetch_weights, find

Family = Literal["clip", "siglip", "siglip2"]  # as configurations call them
PICTURE_NETWORKS: dict[str, Any] = {
    "clip": CLIPVisionModelWithProjection, "siglip": SiglipVisionModel, "siglip2": Siglip2VisionModel,
}  # fmt: skip
# What the libraries raise for a folder that does not hold what they expect.
LOADING_ERRORS = (
    OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError,
)  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """Where a network came from."""

    checkpoint: str  # the name of a repository on the Hub, or of a folder without what leads to it
    commit: str | None  # of the repository


class PictureNetwork:
    """The half that looks at pictures, with its preprocessing."""

    def __init__(
        self, family: Family, network: Any, preprocessor: Any, *, device: str = "cpu", batch_size: int = 16
    ) -> None:
        self.family, self.network, self.preprocessor = family, network, preprocessor
        self.device, self.batch_size = device, batch_size
        self.network.eval().requires_grad_(False).to(device)
        self.forward = self.network

    @classmethod
    def load(cls, folder: Path, family: Family, *, device: str, batch_size: int) -> "PictureNetwork":
        """The half that `save` wrote, on one thread of the CPU; raises one of `LOADING_ERRORS`."""
        torch.set_num_threads(1)
        network = PICTURE_NETWORKS[family].from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
        )
        preprocessor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)
        return cls(family, network, preprocessor, device=device, batch_size=batch_size)

    def compile(self) -> None:
        """Let torch compile it: minutes at the first batch, then faster; the last bits change."""
        self.forward = torch.compile(self.network, dynamic=True)

    @cached_property
    def digest(self) -> str:
        """sha256 over preprocessing and every weight, hex."""
        digest = hashlib.sha256(self.preprocessor.to_json_string().encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            value = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode() + value.numpy().tobytes())
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Write weights (safetensors) and preprocessing into `folder`."""
        self.network.save_pretrained(folder)
        self.preprocessor.save_pretrained(folder)

    @torch.inference_mode()
    def directions(self, pictures: Sequence[Any]) -> NDArray[np.float32]:
        """Float32 [n, d] of RGB pictures."""
        found = [np.empty((0, 1), dtype=np.float32)] if not pictures else []
        for start in range(0, len(pictures), self.batch_size):
            batch = list(pictures[start : start + self.batch_size])
            inputs = self.preprocessor(batch, return_tensors="pt").to(self.device)
            autocast = torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.device == "cuda")
            with warnings.catch_warnings(), autocast:
                warnings.simplefilter("ignore", UserWarning)  # of what the networks' own code does
                said = self.forward(**inputs)
            found.append(_unit(said.image_embeds if self.family == "clip" else said.pooler_output))
        return np.concatenate(found)


@dataclass(frozen=True)
class ContrastiveNetwork:
    """Both halves of a pretrained network, and how it was trained to tell what belongs together."""

    pictures: PictureNetwork
    whole: Any
    tokenizer: Any
    origin: Origin
    scale: float  # what cosines are multiplied by
    bias: float | None  # what is then added, where each pair was judged on its own (SigLIP); None: by softmax (CLIP)

    @torch.inference_mode()
    def directions(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Float32 [n, d] of phrases."""
        longest = self.whole.config.text_config.max_position_embeddings
        if self.pictures.family == "clip":
            inputs = self.tokenizer(list(phrases), padding=True, truncation=True, max_length=longest)
        else:  # it was trained on small letters, and on phrases that are all padded to the same length
            small = [phrase.lower() for phrase in phrases]
            inputs = self.tokenizer(small, padding="max_length", truncation=True, max_length=longest)
        names = [name for name in ("input_ids", "attention_mask") if name in self.tokenizer.model_input_names]
        tensors = {name: torch.tensor(inputs[name], device=self.pictures.device) for name in names}
        return _unit(self.whole.get_text_features(**tensors).pooler_output)


def load(
    source: str, revision: str | None, *, device: str = "cpu", batch_size: int = 16, threads: int = 1
) -> ContrastiveNetwork:
    """From a folder or the name of a repository on the Hub, at `revision` of it; no code of the repository is run.

    The last bits of a direction depend on the CPU's threads, which are set for the whole process.

    Raises:
        ModelError: it is not there, is no CLIP or SigLIP, or lacks weights.
    """
    torch.set_num_threads(threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    repository = find(source, revision)
    folder, commit = repository.folder, repository.commit
    try:
        family = _family(repository)
        pickled = fetch_weights(repository).pickled
        whole, loaded = AutoModel.from_pretrained(
            folder, use_safetensors=not pickled, weights_only=True, trust_remote_code=False, dtype=torch.float32,
            output_loading_info=True,
        )  # fmt: skip
        tokenizer = _tokenizer(folder)
        preprocessor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)
    except LOADING_ERRORS as error:
        raise ModelError(_refusal(source, error)) from None
    if missing := sorted(loaded["missing_keys"]):
        raise ModelError(f"{source}: expected a CLIP or SigLIP network, found no weights for {missing[0]}")
    whole.eval().requires_grad_(False).to(device)
    pictures = PictureNetwork(family, _picture_half(family, whole), preprocessor, device=device, batch_size=batch_size)
    bias = None if family == "clip" else float(whole.logit_bias.item())
    name = folder.resolve().name if commit is None else source
    scale = float(whole.logit_scale.exp().item())
    return ContrastiveNetwork(pictures, whole, tokenizer, Origin(name, commit), scale, bias)


def expect_family(source: str, revision: str | None) -> None:
    """Raises ModelError unless a repository on the Hub holds a CLIP or SigLIP; its weights are not fetched."""
    try:
        _family(find(source, revision))
    except LOADING_ERRORS as error:
        raise ModelError(_refusal(source, error)) from None


def _family(repository: Repository) -> Family:
    """Which of them the configuration names; ModelError for any other, or one of `LOADING_ERRORS`."""
    found = AutoConfig.from_pretrained(repository.folder, trust_remote_code=False).model_type
    if found not in PICTURE_NETWORKS:
        raise ModelError(
            f"{repository.source}: expected a CLIP or SigLIP network, found {found}; try kind checkpoint, or probe"
        )
    family: Family = found
    return family


def _refusal(source: str, error: Exception) -> str:
    """One line about a network that cannot be loaded."""
    found = " ".join(str(error).split())[:300] or type(error).__name__
    return f"{source}: expected a CLIP or SigLIP network of transformers, found: {found}"


def _tokenizer(folder: Path) -> Any:
    # SigLIP's first tokenizer is for a library that is not installed here; repositories hold its rules as JSON, too.
    if (folder / "tokenizer.json").is_file() and '"SiglipTokenizer"' in _text(folder / "tokenizer_config.json"):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        tokenizer.model_input_names = ["input_ids"]
        return tokenizer
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _picture_half(family: Family, whole: Any) -> Any:
    if family != "clip":
        return whole.vision_model
    config = whole.config.vision_config
    config.projection_dim = whole.config.projection_dim  # which its own configuration need not know
    half = CLIPVisionModelWithProjection(config)
    half.vision_model, half.visual_projection = whole.vision_model, whole.visual_projection
    return half


def _unit(rows: Any) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = torch.nn.functional.normalize(rows.float(), dim=-1).cpu().numpy()
    return unit
