"""Frozen pretrained encoders: what every one of them offers, and how to get one by name.

In   a batch of items: mono 16 kHz waveforms (`speech_encoder`), what was heard in them (`words_encoder`), or RGB
     pictures (`image_encoder`); `pretrained_encoder` takes waveforms or pictures
Out  float32 [n, dimensions], one vector per item, in the order of the batch

A vector depends on its item only, never on its neighbours in the batch (on a GPU: but for its last bits). The encoders
live in modules of their own because not all of them need torch, whose import takes seconds.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.teachers.encoder_settings import PACKAGED, EncoderSettings, Modality
from models.teachers.speech_encoder import WHISPER, WhisperEncoder
from models.teachers.tfidf_encoder import TFIDF_ENCODERS, TfidfEncoder
from models.teachers.words_encoder import WORDS_ENCODERS, WordsEncoder

GPU_BATCH = 32  # pictures
HEARING_WORDS = (*WORDS_ENCODERS, *TFIDF_ENCODERS)  # encoders whose items are texts


class Encoder(Protocol):
    """What turns items (waveforms, texts or pictures) into vectors: a frozen network, or a vocabulary."""

    @property
    def name(self) -> str:
        """What `create_encoder` makes it from."""

    @property
    def settings(self) -> EncoderSettings:
        """Which weights it has; with `name` all that `create_encoder` needs to make it again, at the same commit."""

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


def create_encoder(
    name: str,
    settings: EncoderSettings | None = None,
    *,
    modality: Modality | None = None,
    threads: int = 1,
    device: str = "cpu",
) -> Encoder:
    """The encoder called `name`.

    Packaged: `whisper-tiny.en`, one of `WORDS_ENCODERS`, or `tf_efficientnet_lite0`. With other weights any backbone of
    timm's (see `models.weights.backbones`), or any encoder of the transformers library: the name of a repository of the
    Hub, or a name for what lies in the folder `settings.weights`.

    Args:
        settings: of an encoder of sound or pictures.
        modality: what it has to encode; None where that is known, or no matter.
        threads: of the CPU. The last bits of a vector depend on them, so the default is the same on every machine.
            For encoders that run in torch this is torch's setting, and so holds for the whole process.
        device: `cpu` or `cuda`.

    Raises:
        ModelError: unknown name, another modality, package not installed, weights that are not to be had, are not the
            pinned ones or another network's, layers that it does not have, or no such device.
    """
    settings = settings or EncoderSettings()
    packaged = settings.weights == PACKAGED
    if packaged and name == WHISPER:
        if modality == "image" or settings.layers != "last" or settings.pooling == "mean":
            raise ModelError(f"encoder {name}: hears speech, with layers last and pooling mean_std; expected that")
        _expect_device(device, ctranslate2.get_cuda_device_count())
        return WhisperEncoder(cpu_threads=threads, device=device)
    if name in WORDS_ENCODERS:
        return WordsEncoder(name)
    if packaged and modality == "speech":
        raise ModelError(f"encoder {name}: no packaged weights (only {WHISPER}); expected weights hub, or a folder")
    import torch  # noqa: PLC0415

    _expect_device(device, torch.cuda.device_count())
    torch.set_num_threads(threads)
    if packaged or (modality != "speech" and is_backbone(name)):
        from models.teachers.image_encoder import TimmEncoder  # noqa: PLC0415

        return TimmEncoder(name, settings, device=device, batch_size=1 if device == "cpu" else GPU_BATCH)
    from models.teachers.pretrained_encoder import PretrainedEncoder  # noqa: PLC0415

    return PretrainedEncoder(name, settings, modality=modality, device=device)


def is_backbone(name: str) -> bool:
    """Whether it is a backbone of timm's, or one of the cuts, and no repository of the Hub."""
    from models.parallelnet.backbone_architectures import check_backbone  # noqa: PLC0415 - seconds

    try:
        check_backbone(name)
    except ValueError:
        return False
    return True


def load_encoder(name: str, folder: Path, settings: EncoderSettings, *, device: str = "cpu") -> Encoder:
    """The encoder of the teacher saved in `folder`, where a vocabulary lies; raises as `create_encoder` does."""
    if name in TFIDF_ENCODERS:
        return TfidfEncoder.load(name, folder)
    return create_encoder(name, settings, device=device)


def _expect_device(device: str, cuda_devices: int) -> None:
    if device != "cpu" and not cuda_devices:
        raise ModelError(f"device {device}: none was found; use cpu (SIER_DEVICE), or install its driver")
