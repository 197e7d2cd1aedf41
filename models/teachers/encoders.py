"""Frozen pretrained encoders: what every one of them offers, and how to get one by name.

In   a batch of items: mono 16 kHz waveforms (`speech_encoder`), what was heard in them (`words_encoder`), or RGB
     pictures (`image_encoder`)
Out  float32 [n, dimensions], one vector per item, in the order of the batch

A vector depends on its item only, never on its neighbours in the batch. The encoders live in modules of their
own because only the one for pictures needs torch, whose import takes seconds.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.teachers.speech_encoder import WHISPER, WhisperEncoder
from models.teachers.tfidf_encoder import TFIDF_ENCODERS, TfidfEncoder
from models.teachers.words_encoder import WORDS_ENCODERS, WordsEncoder

HEARING_WORDS = (*WORDS_ENCODERS, *TFIDF_ENCODERS)  # encoders whose items are texts


class Encoder(Protocol):
    """What turns items (waveforms, texts or pictures) into vectors: a frozen network, or a vocabulary."""

    @property
    def name(self) -> str:
        """What `create_encoder` makes it from."""

    @property
    def digest(self) -> str:
        """sha256, hex, over the weights and everything else that decides the vectors."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    def check(self, item: Any) -> None:
        """Raises ItemError if this item cannot be encoded, so that it costs its row and not its batch."""

    def encode(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        """Vectors float32 [len(batch), dimensions]; raises ItemError for the first item that `check` refuses."""


def create_encoder(name: str, *, threads: int = 1, device: str = "cpu", weights: Path | None = None) -> Encoder:
    """The encoder called `name`: `whisper-tiny.en`, one of `WORDS_ENCODERS`, or a timm backbone such as
    `tf_efficientnet_lite0`.

    Args:
        threads: of the CPU. The last bits of a vector depend on them, so the default is the same on every machine.
            For the image encoder this is torch's setting, and so holds for the whole process.
        device: `cpu` or `cuda`.
        weights: local weights of a timm backbone that has no packaged ones.

    Raises:
        ModelError: unknown name, package not installed, weights other than the pinned ones, or no such device.
    """
    if name == WHISPER:
        _expect_device(device, ctranslate2.get_cuda_device_count())
        return WhisperEncoder(cpu_threads=threads, device=device)
    if name in WORDS_ENCODERS:
        return WordsEncoder(name)
    import torch  # noqa: PLC0415

    from models.teachers.image_encoder import TimmEncoder  # noqa: PLC0415

    _expect_device(device, torch.cuda.device_count())
    torch.set_num_threads(threads)
    return TimmEncoder(name, weights=weights, device=device)


def load_encoder(name: str, folder: Path, *, device: str = "cpu") -> Encoder:
    """The encoder of the teacher saved in `folder`, where a vocabulary lies; raises as `create_encoder` does."""
    if name in TFIDF_ENCODERS:
        return TfidfEncoder.load(name, folder)
    return create_encoder(name, device=device)


def _expect_device(device: str, cuda_devices: int) -> None:
    if device != "cpu" and not cuda_devices:
        raise ModelError(f"device {device}: none was found; use cpu (SIER_DEVICE), or install its driver")
