"""Configuration, preprocessing and weights of a network of the transformers library, by whoever takes it."""

import hashlib
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig
from transformers.utils import logging

from models.weights.repository import Repository

# What the libraries raise for a folder that does not hold what they expect.
LOADING_ERRORS = (
    OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, ImportError, SafetensorError,
    StrictDataclassError,
)  # fmt: skip


def read_config(repository: Repository, **changes: Any) -> Any:
    """The configuration of a network, with some values changed; raises one of `LOADING_ERRORS`."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    config = AutoConfig.from_pretrained(str(repository.folder), trust_remote_code=False, **changes)
    # timm writes the number of classes twice, which the wrapper of transformers does not bear.
    (getattr(config, "model_args", None) or {}).pop("num_classes", None)
    return config


def has_own_code(error: Exception) -> bool:
    """Whether the library refused a network because it would have to run code of its repository."""
    return any(words in str(error) for words in ("custom code", "trust_remote_code"))


def add_weights(digest: "hashlib._Hash", network: Any) -> None:
    """Add every weight of a network to a digest, with its name, shape and type."""
    for name, tensor in sorted(network.state_dict().items()):
        value = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode() + value.numpy().tobytes())
