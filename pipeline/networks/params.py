"""Parameters of the networks: section `train`, the same for all, and a section `models.<name>` for each network.

Each network has one stage `train@<name>`, so that a further ablation is a further entry of params.yaml.
"""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from pipeline.frame import tables
from pipeline.frame.params import STRICT, expect_network_of_sier, section
from pipeline.media.augmentation import AugmentParams

Size = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
Modality = Literal["image", "speech"]

# `models.parallelnet.parallelnet_config` has it too, and brings transformers along.
WHISPER = "whisper-tiny.en"
WORD_LIBRARIES = ("ctranslate2", "faster-whisper")  # that make word frames


@dataclass(frozen=True, config=STRICT)
class InputParams:
    """Section `train.inputs`."""

    image_size_px: Annotated[int, Field(ge=32, le=1024)]  # pictures are scaled to this width and height
    n_mels: Annotated[int, Field(ge=16, le=512)]
    n_frames: Annotated[int, Field(ge=16, le=4096)]  # of a spectrogram, whatever the duration
    duration_seconds: Annotated[float, Field(gt=0, le=60)]  # longer speech is cropped, shorter followed by silence


@dataclass(frozen=True, config=STRICT)
class BackboneParams:
    """A pretrained network, N2."""

    name: Annotated[str, Field(min_length=1)]  # see `models.parallelnet.backbone_architectures`; of speech also WHISPER
    pretrained: bool  # start from ImageNet weights; where there are none to be had, that is an error
    # A file; null takes the packaged ones, hub timm's own from the Hugging Face Hub, torchvision its own GoogLeNet's.
    weights: str | None

    @property
    def source(self) -> Path | Literal["hub", "torchvision"] | None:
        """Of the weights, as `models.weights.backbones` takes it."""
        match self.weights:
            case None | "hub" | "torchvision" as named:
                return named
            case path:
                return Path(path)

    @model_validator(mode="after")
    def _weights_are_wanted(self) -> Self:
        if self.weights is not None and not self.pretrained:
            raise ValueError("pretrained: true where weights are given")
        if self.name == WHISPER and (not self.pretrained or self.weights is not None):
            raise ValueError(f"pretrained: true and weights: null for {WHISPER}, which comes as a package")
        return self


@dataclass(frozen=True, config=STRICT)
class ModelParams:
    """Section `models.<name>`; shapes are those of `models.parallelnet.parallelnet_config.ParallelNetConfig`.

    Rows of `sier` have the dataset's labels; every row of `clean` that could be spoken the text's own sentiment, and
    B-T4SA's own splits (Table 3).
    """

    rows: Literal["sier", "clean"]
    modalities: Literal["both", "image", "speech"]
    fusion: Literal[1, 2, 3]  # section 4.3.2: criss-cross before and after N2 (1), before (2), after (3)
    fusion_op: Literal["multiply", "weighted_add"]  # how F_s and F_i become F_mul (section 3.2.1)
    image_backbone: BackboneParams
    speech_backbone: BackboneParams
    freeze_backbone: bool
    n1_channels: Annotated[tuple[Size, ...], Field(min_length=1, max_length=6)]  # of N1's pairs of convolutions
    code_size: Size  # of the dense layer that ends N1 and N2
    head_size: Size  # of both dense layers of each head
    targets: Literal["hard", "soft"] = field(default="hard", kw_only=True)  # labels, or what the teachers leave open
    learn_colours: bool = field(default=True, kw_only=True)  # else a spectrogram enters N2 as a grey picture

    @property
    def hears_words(self) -> bool:
        """Whether N2 of speech reads the frames of an encoder of words, which goes beyond the paper."""
        return self.speech_backbone.name == WHISPER and self.modalities != "image"

    @property
    def kept_features(self) -> dict[Modality, BackboneParams]:
        """Frozen N2 whose features of a row are the same in every epoch, since nothing that learns stands before it.

        Not those with random weights, which are others in every fold.
        """
        if not self.freeze_backbone or (self.modalities == "both" and self.fusion != 3):
            return {}
        found: dict[Modality, BackboneParams] = {}
        if self.modalities != "speech":
            found["image"] = self.image_backbone
        if self.modalities != "image" and not self.hears_words and not self.learn_colours:
            found["speech"] = self.speech_backbone
        return {modality: backbone for modality, backbone in found.items() if backbone.pretrained}

    @model_validator(mode="after")
    def _soft_targets_are_teachers(self) -> Self:
        if self.targets == "soft" and self.rows != "sier":
            raise ValueError("targets: hard where rows are clean, whose sentiment has no probabilities")
        return self

    @model_validator(mode="after")
    def _words_are_of_speech_and_come_late(self) -> Self:
        if self.image_backbone.name == WHISPER:
            raise ValueError(f"another image_backbone than {WHISPER}, which hears")
        if self.hears_words and self.modalities == "both" and self.fusion != 3:
            raise ValueError(f"fusion: 3 with speech_backbone {WHISPER}: nothing can be added to what it hears")
        return self


@dataclass(frozen=True, config=STRICT)
class PerformanceParams:
    """Section `train.performance`: what makes a step faster and moves no more than the last bits of its numbers."""

    tf32: bool = False  # products of float32 with 10 bits of mantissa, on a GPU that has it (Ampere or later)
    channels_last: bool = False  # order of a convolution's weights and inputs in memory
    fused_adam: bool = False  # a step of the optimiser in one kernel
    compile: bool = False  # torch.compile; needs a C++ compiler and a minute or two before the first step


@dataclass(frozen=True, config=STRICT)
class TrainParams:
    """Section `train`: the protocol of section 4.2, the same for every network.

    Each of `folds` is held out in turn, with each of `seeds`; the network that is published is that of fold 0 and of
    the first seed. Rows of `clean` have one fold, their own validation split. `balance`: the loss weighs a class by the
    inverse of its frequency (`class_weights`), or rows are drawn so that classes are even (`sampler`). `best_by`:
    figure of the validation rows that decides which epoch is kept, when the learning rate falls and when training
    stops; patience is epochs without a better one.
    """

    inputs: InputParams
    folds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    seeds: Seeds = field(default=(0,), kw_only=True)
    further_seeds: dict[str, Seeds] = field(default_factory=dict, kw_only=True)  # of networks that `models` names
    keep_networks: Literal["first", "all"] = field(
        default="all", kw_only=True
    )  # of all folds and seeds, for `evaluate`
    best_by: Literal["loss", "macro_f1", "accuracy"] = field(default="loss", kw_only=True)
    max_cut_share: Share = field(default=1.0, kw_only=True)  # of recordings longer than `inputs.duration_seconds`
    epochs: Size  # at most
    batch_size: Annotated[int, Field(ge=2)]  # rows per step over all devices
    learning_rate: Annotated[float, Field(gt=0, lt=1)]  # of Adam
    focal_weight: Annotated[float, Field(ge=0)]  # of the focal loss, beside 1 for the cross-entropy
    focal_gamma: Annotated[float, Field(ge=0)]
    focal_alpha: Annotated[float, Field(gt=0)] = field(default=1.0, kw_only=True)
    batch_norm_momentum: Annotated[float, Field(gt=0, le=1)] = field(default=0.1, kw_only=True)  # as torch means it
    batch_norm_epsilon: Annotated[float, Field(gt=0)] = field(default=1e-5, kw_only=True)
    adam_epsilon: Annotated[float, Field(gt=0)] = field(default=1e-8, kw_only=True)
    early_stopping_patience: Size  # before training stops
    plateau_patience: Size  # before the learning rate falls
    plateau_factor: Annotated[float, Field(gt=0, lt=1)]  # by which it falls
    balance: Literal["none", "class_weights", "sampler"]
    mixed_precision: Literal["bf16", "fp16"] | None  # null for float32
    performance: PerformanceParams = field(default_factory=PerformanceParams, kw_only=True)
    cache_features: bool = field(default=False, kw_only=True)  # of frozen backbones, see `pipeline.networks.features`
    augment: AugmentParams = field(default_factory=AugmentParams, kw_only=True)  # not of the frames that words are in

    @field_validator("folds")
    @classmethod
    def _with_the_fold_of_the_kept_network(cls, folds: tuple[int, ...]) -> tuple[int, ...]:
        if 0 not in folds or list(folds) != sorted(set(folds)):
            raise ValueError(
                "different folds in rising order, 0 among them, whose network is the one that is published"
            )
        return folds

    @field_validator("seeds")
    @classmethod
    def _different(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("different seeds")
        return seeds

    @model_validator(mode="after")
    def _further_seeds_are_others(self) -> Self:
        for name, seeds in self.further_seeds.items():
            if len({*self.seeds, *seeds}) < len(self.seeds) + len(seeds):
                raise ValueError(f"further_seeds.{name}: different seeds, none of them of train.seeds")
        return self

    def kept_features(self, model: ModelParams) -> dict[Modality, BackboneParams]:
        """Those of the network that are computed once: if wanted at all, and not of inputs that are augmented.

        Augmented inputs are others in each epoch.
        """
        augmented = {"image": self.augment.flip, "speech": self.augment.spec_augment is not None}
        kept = model.kept_features if self.cache_features else {}
        return {modality: backbone for modality, backbone in kept.items() if not augmented[modality]}

    def seeds_of(self, name: str) -> tuple[int, ...]:
        """Seeds of the network `name`; the first is that of the network that is published."""
        return (*self.seeds, *self.further_seeds.get(name, ()))


def _not_a_teacher(name: str) -> str:
    if name in tables.CHECKPOINTS.values():
        raise ValueError(f"another name than those of the teachers, {', '.join(tables.CHECKPOINTS.values())}")
    return name


# Names of stages and of folders in data/checkpoints, where the teachers lie too.
ModelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$"), AfterValidator(_not_a_teacher)]
Models = dict[ModelName, ModelParams]


def read_models(sections: Mapping[str, Any]) -> dict[str, ModelParams]:
    """All networks of section `models`, in its order; raises UserError as `pipeline.frame.params.section` does."""
    return section(sections, "models", Models)


def sier_model(sections: Mapping[str, Any], where: str, name: str) -> ModelParams:
    """The network that the parameter `where` names; raises UserError if there is none, or if its rows are others."""
    expect_network_of_sier(sections, where, name)
    return read_models(sections)[name]
