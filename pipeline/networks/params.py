"""Parameters of the networks: what goes in, how each is built and trained.

Section `train`, the same for all, and sections `models.<name>`: one network and one stage `train@<name>` each, so that
a further ablation is a further entry of params.yaml.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from pipeline.frame import tables
from pipeline.frame.params import STRICT, section

if TYPE_CHECKING:
    pass

Size = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config=STRICT)
class InputParams:
    """Section `train.inputs`.

    Attributes:
        image_size_px: pictures are scaled to this width and height.
        n_mels: mel bands of a spectrogram.
        n_frames: its frames, whatever the duration.
        duration_seconds: of speech that a spectrogram shows; longer speech is cropped, shorter is followed by silence.
    """

    image_size_px: Annotated[int, Field(ge=32, le=1024)]
    n_mels: Annotated[int, Field(ge=16, le=512)]
    n_frames: Annotated[int, Field(ge=16, le=4096)]
    duration_seconds: Annotated[float, Field(gt=0, le=60)]


@dataclass(frozen=True, config=STRICT)
class BackboneParams:
    """A pretrained network, N2.

    Attributes:
        name: of timm, such as vgg19; see `models.parallelnet.backbone_architectures`.
        pretrained: start from ImageNet weights; where there are none to be had, that is an error.
        weights: file with those weights; null takes the packaged ones, hub timm's own from the Hugging Face Hub.
    """

    name: Annotated[str, Field(min_length=1)]
    pretrained: bool
    weights: str | None

    @property
    def source(self) -> Path | Literal["hub"] | None:
        """Of the weights, as `models.weights.backbones` takes it."""
        if self.weights is None:
            return None
        return "hub" if self.weights == "hub" else Path(self.weights)

    @model_validator(mode="after")
    def _weights_are_wanted(self) -> BackboneParams:
        if self.weights is not None and not self.pretrained:
            raise ValueError("pretrained: true where weights are given")
        return self


@dataclass(frozen=True, config=STRICT)
class ModelParams:
    """Section `models.<name>`; the shapes are those of `models.parallelnet.parallelnet_config.ParallelNetConfig`.

    Attributes:
        rows: `sier`: the dataset's labels; `clean`: the texts' own sentiment for every row that could be spoken, with
            B-T4SA's own splits (Table 3).
        modalities: which inputs the network sees.
        fusion: configuration of section 4.3.2: criss-cross before and after N2 (1), before (2), after (3).
        fusion_op: how F_s and F_i become F_mul (section 3.2.1).
        image_backbone: N2 of pictures.
        speech_backbone: N2 of spectrograms.
        freeze_backbone: keep N2's pretrained weights as they are.
        n1_channels: of N1's three pairs of convolutions.
        code_size: of the dense layer that ends N1 and N2.
        head_size: of both dense layers of each head.
    """

    rows: Literal["sier", "clean"]
    modalities: Literal["both", "image", "speech"]
    fusion: Literal[1, 2, 3]
    fusion_op: Literal["multiply", "weighted_add"]
    image_backbone: BackboneParams
    speech_backbone: BackboneParams
    freeze_backbone: bool
    n1_channels: Annotated[tuple[Size, ...], Field(min_length=1, max_length=6)]
    code_size: Size
    head_size: Size


@dataclass(frozen=True, config=STRICT)
class TrainParams:
    """Section `train`: the protocol of section 4.2, the same for every network.

    Attributes:
        inputs: what the networks see.
        folds: which of the dataset's folds are held out in turn. The network that is kept is that of fold 0. Rows of
            `clean` have one fold, their own validation split.
        epochs: at most.
        batch_size: rows per step over all devices.
        learning_rate: of Adam.
        focal_weight: of the focal loss, beside 1 for the cross-entropy.
        focal_gamma: its exponent.
        early_stopping_patience: epochs without a lower validation loss before training stops.
        plateau_patience: epochs without a lower validation loss before the learning rate falls.
        plateau_factor: by which it falls.
        balance: none; `class_weights`: the loss weighs a class by the inverse of its frequency; `sampler`: rows are
            drawn so that classes are even.
        mixed_precision: null for float32; or bf16 or fp16.
    """

    inputs: InputParams
    folds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    epochs: Size
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    focal_weight: Annotated[float, Field(ge=0)]
    focal_gamma: Annotated[float, Field(ge=0)]
    early_stopping_patience: Size
    plateau_patience: Annotated[int, Field(ge=0)]
    plateau_factor: Annotated[float, Field(gt=0, lt=1)]
    balance: Literal["none", "class_weights", "sampler"]
    mixed_precision: Literal["bf16", "fp16"] | None

    @field_validator("folds")
    @classmethod
    def _with_the_fold_of_the_kept_network(cls, folds: tuple[int, ...]) -> tuple[int, ...]:
        if 0 not in folds or list(folds) != sorted(set(folds)):
            raise ValueError("different folds in rising order, 0 among them, whose network is the one that is kept")
        return folds


def _not_a_teacher(name: str) -> str:
    if name in tables.CHECKPOINTS.values():
        raise ValueError(f"another name than those of the teachers, {', '.join(tables.CHECKPOINTS.values())}")
    return name


# Names of stages and of folders in data/checkpoints, where the teachers lie too.
ModelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$"), AfterValidator(_not_a_teacher)]
Models = dict[ModelName, ModelParams]


def read_models(sections: dict[str, Any]) -> dict[str, ModelParams]:
    """All networks of section `models`, in its order.

    Raises:
        UserError: see `pipeline.frame.params.section`.
    """
    return section(sections, "models", Models)
