"""Shape of a ParallelNet: what goes in, how the branches are built and how they meet.

Published beside the weights as `config.json`; the defaults are the paper's.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from transformers import PreTrainedConfig

EMOTIONS = ("anger", "happy", "hate", "sad")
WHISPER = "whisper-tiny.en"  # speech backbone that hears words: its frames come from outside, see `word_frames`
WORD_FRAMES = 1  # of 532 spoken texts, more frames than the mean were learnt by heart (see docs/how-to/networks.md)
WORD_CHANNELS = 384


class ParallelNetConfig(PreTrainedConfig):  # type: ignore[misc]
    """Configuration of `ParallelNet`; ValueError for an impossible value says what was expected and what was found."""

    model_type = "parallelnet"

    # Where the modalities cross (section 4.3.2): 1 before and after N2, 2 before it, 3 after it; of one, no matter.
    fusion: int = 3
    modalities: str = "both"  # or one of `image` (IER only) and `speech` (SER only)
    fusion_op: str = "multiply"  # how F_speech and F_image become F_mul (section 3.2.1); or `weighted_add`
    image_backbone: str = "vgg19"  # N2 of pictures, see `backbone_architectures`
    speech_backbone: str = "vgg16"  # N2 of spectrograms; or `WHISPER`, N2 of word frames
    freeze_backbone: bool = False  # backbones are not trained, and their batch-norm statistics stay as they are
    learn_colours: bool = True  # the 1 x 1 convolution before N2 of speech; else a spectrogram stays a grey picture
    # Of N1's blocks; each is two 3 x 3 convolutions and a halving of height and width.
    n1_channels: list[int] = field(default_factory=lambda: [64, 128, 256])
    code_size: int = 512  # of the dense layer that ends N1 and N2
    head_size: int = 1024  # of the two dense layers of each head
    image_size_px: int = 128  # width and height of a picture
    n_mels: int = 128  # bands of a spectrogram
    n_frames: int = 128
    n_word_frames: int = WORD_FRAMES  # of the same duration; of a net that hears words
    duration_seconds: float = 10.0  # of speech that a spectrogram shows
    sampling_rate_hz: int = 16_000  # of that speech
    focal_weight: float = 0.5  # of the focal loss, beside 1 for the cross-entropy (section 4.2)
    focal_gamma: float = 2.0  # exponent of the focal loss
    focal_alpha: float = 1.0  # its factor
    batch_norm_momentum: float = 0.1  # of N1 and after N2: share of a batch in the running statistics
    batch_norm_epsilon: float = 1e-5  # added to the variance
    id2label: dict[int, str] | None = None  # 0 and up; the paper's four emotions without it and without num_labels
    label2id: dict[str, int] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if self.id2label is None and kwargs.get("num_labels") is None:
            self.id2label = dict(enumerate(EMOTIONS))
        super().__post_init__(**kwargs)
        names: dict[int, str] = dict(sorted((self.id2label or {}).items()))  # JSON sorts 10 before 2
        self.id2label = names
        self.label2id = {name: number for number, name in names.items()}
        for name, (expected, holds) in _RULES.items():
            _expect(name, expected, getattr(self, name), holds(getattr(self, name)))
        late = self.fusion == 3 or self.modalities != "both"  # nothing can be added to word frames
        _expect("fusion", f"3 with speech_backbone {WHISPER}", self.fusion, late or not self.hears_words)
        smallest = min(self.image_size_px, self.n_mels, self.n_frames)
        blocks = f"at most {smallest.bit_length() - 1} blocks, each of which halves the input ({smallest})"
        _expect("n1_channels", blocks, self.n1_channels, smallest >> len(self.n1_channels))
        numbered = len(names) > 1 and list(names) == list(range(len(names))) and len(self.label2id) == len(names)
        _expect("id2label", "two or more different names for 0, 1, 2 ...", names, numbered)

    @property
    def hears_words(self) -> bool:
        """Whether N2 of speech reads word frames."""
        return self.speech_backbone == WHISPER and self.modalities != "image"

    @property
    def fixed_features(self) -> tuple[str, ...]:
        """Modalities whose backbone is frozen with nothing that learns before it: its features never change."""
        if not self.freeze_backbone or (self.modalities == "both" and self.fusion != 3):
            return ()
        speech = self.modalities != "image" and not self.hears_words and not self.learn_colours
        return ("image",) * (self.modalities != "speech") + ("speech",) * speech


def _expect(name: str, expected: str, found: object, holds: object) -> None:
    if not holds:
        raise ValueError(f"{name}: expected {expected}, found {found!r}")


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: object, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value < float("inf")


Rule = tuple[str, Callable[[Any], object]]  # what is expected, and whether a value is that


def _one_of(*choices: object) -> Rule:
    return f"one of {', '.join(map(str, choices))}", lambda value: value in choices and value is not True


_NAME: Rule = "a name", lambda value: isinstance(value, str) and value
_SIZE: Rule = "a whole number from 1", _is_size
_RULES: Mapping[str, Rule] = {
    "fusion": _one_of(1, 2, 3),
    "modalities": _one_of("both", "image", "speech"),
    "fusion_op": _one_of("multiply", "weighted_add"),
    "image_backbone": _NAME,
    "speech_backbone": _NAME,
    **dict.fromkeys(("freeze_backbone", "learn_colours"), ("true or false", lambda value: isinstance(value, bool))),
    "n1_channels": (
        "a list of whole numbers from 1",
        lambda value: isinstance(value, list | tuple) and value and all(map(_is_size, value)),
    ),
    **dict.fromkeys(("code_size", "head_size", "image_size_px", "n_mels", "n_frames"), _SIZE),
    **dict.fromkeys(("n_word_frames", "sampling_rate_hz"), _SIZE),
    "duration_seconds": ("a number above 0", lambda value: _is_number(value, 1e-9)),
    **dict.fromkeys(
        ("focal_weight", "focal_gamma", "focal_alpha", "batch_norm_epsilon"),
        ("a number from 0", lambda value: _is_number(value, 0)),
    ),
    "batch_norm_momentum": ("a number from 0 to 1", lambda value: _is_number(value, 0) and value <= 1),
}
