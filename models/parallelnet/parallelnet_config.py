"""Shape of a ParallelNet: what goes in, how the branches are built and how they meet.

Published beside the weights as `config.json`; the defaults are the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from transformers import PreTrainedConfig

EMOTIONS = ("anger", "happy", "hate", "sad")
CHOICES: Mapping[str, tuple[object, ...]] = {
    "fusion": (1, 2, 3),
    "modalities": ("both", "image", "speech"),
    "fusion_op": ("multiply", "weighted_add"),
}
_SIZES = ("code_size", "head_size", "image_size_px", "n_mels", "n_frames", "sampling_rate_hz")


class ParallelNetConfig(PreTrainedConfig):  # type: ignore[misc]
    """Configuration of `ParallelNet`.

    Attributes:
        fusion: where the two modalities cross (section 4.3.2): 1 before and after N2, 2 before it, 3 after it. Means
            nothing for one modality.
        modalities: `both`, or one of `image` (IER only) and `speech` (SER only).
        fusion_op: how F_speech and F_image become F_mul (section 3.2.1): `multiply` (Eq. 1) or `weighted_add`.
        image_backbone: N2 of pictures, see `backbone_architectures`.
        speech_backbone: N2 of spectrograms.
        freeze_backbone: backbones are not trained, and their batch-norm statistics stay as they are.
        n1_channels: of N1's blocks; each is two 3 x 3 convolutions and a halving of height and width.
        code_size: of the dense layer that ends N1 and N2.
        head_size: of the two dense layers of each head.
        image_size_px: width and height of a picture.
        n_mels: mel bands of a spectrogram.
        n_frames: frames of a spectrogram.
        duration_seconds: of speech that a spectrogram shows.
        sampling_rate_hz: of that speech.
        focal_weight: of the focal loss, beside 1 for the cross-entropy (section 4.2).
        focal_gamma: exponent of the focal loss.
        id2label: names of the classes by id, 0 and up; the paper's four emotions if neither it nor num_labels is given.

    Raises:
        ValueError: an impossible value; names the field, what was expected and what was found.
    """

    model_type = "parallelnet"

    fusion: int = 3
    modalities: str = "both"
    fusion_op: str = "multiply"
    image_backbone: str = "vgg19"
    speech_backbone: str = "vgg16"
    freeze_backbone: bool = False
    n1_channels: list[int] = field(default_factory=lambda: [64, 128, 256])
    code_size: int = 512
    head_size: int = 1024
    image_size_px: int = 128
    n_mels: int = 128
    n_frames: int = 128
    duration_seconds: float = 10.0
    sampling_rate_hz: int = 16_000
    focal_weight: float = 0.5
    focal_gamma: float = 2.0
    id2label: dict[int, str] | None = None
    label2id: dict[str, int] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if self.id2label is None and kwargs.get("num_labels") is None:
            self.id2label = dict(enumerate(EMOTIONS))
        super().__post_init__(**kwargs)
        names: dict[int, str] = dict(sorted((self.id2label or {}).items()))  # JSON sorts 10 before 2
        self.id2label = names
        self.label2id = {name: number for number, name in names.items()}
        self._check()
        _expect(
            "id2label",
            "two or more different names for 0, 1, 2 ...",
            names,
            len(names) > 1 and list(names) == list(range(len(names))) and len(self.label2id) == len(names),
        )

    def _check(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            _expect(name, "one of " + ", ".join(map(str, choices)), value, value in choices and value is not True)
        for name in _SIZES:
            value = getattr(self, name)
            _expect(name, "a whole number from 1", value, _is_size(value))
        _expect("freeze_backbone", "true or false", self.freeze_backbone, isinstance(self.freeze_backbone, bool))
        for name in ("image_backbone", "speech_backbone"):
            value = getattr(self, name)
            _expect(name, "a name", value, isinstance(value, str) and value)
        channels = self.n1_channels
        _expect(
            "n1_channels",
            "a list of whole numbers from 1",
            channels,
            isinstance(channels, list | tuple) and channels and all(map(_is_size, channels)),
        )
        smallest = min(self.image_size_px, self.n_mels, self.n_frames)
        _expect(
            "n1_channels",
            f"at most {smallest.bit_length() - 1} blocks, each of which halves the input ({smallest})",
            channels,
            smallest >> len(channels),
        )
        _expect("duration_seconds", "a number above 0", self.duration_seconds, _is_number(self.duration_seconds, 1e-9))
        for name in ("focal_weight", "focal_gamma"):
            _expect(name, "a number from 0", getattr(self, name), _is_number(getattr(self, name), 0))


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: object, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value < float("inf")


def _expect(name: str, expected: str, found: object, holds: object) -> None:
    if not holds:
        raise ValueError(f"{name}: expected {expected}, found {found!r}")
