"""Section `train_teacher.<modality>`: one dataclass for each kind of teacher, told apart by the key `kind`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from models.teachers.class_map import OutsideClasses
from models.teachers.teacher import Normalise
from pipeline.frame.params import STRICT

Name = Annotated[str, Field(min_length=1)]
ClassMapping = dict[str, str | None]


@dataclass(frozen=True, config=STRICT)
class ProbeParams:
    """A frozen encoder and a logistic regression on its vectors.

    Attributes:
        kind: of teacher.
        encoder: see `models.teachers.encoders.create_encoder`.
        classes: label of the corpus -> class of the teacher, or null to leave it out; every label must be named.
        normalise: see `models.teachers.probe.Probe`.
        regularisation: values of scikit-learn's C to choose from on validation rows.
        calibrate: whether to fit a temperature on validation rows.
    """

    kind: Literal["probe"]
    encoder: Name
    classes: ClassMapping
    normalise: Normalise
    regularisation: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
    calibrate: bool


@dataclass(frozen=True, config=STRICT)
class CheckpointParams:
    """A ready classifier of the transformers library, which is measured on the corpus and not trained.

    Attributes:
        kind: of teacher.
        checkpoint: a folder, or the name of a repository of the Hub; it must hold safetensors.
        label_classes: label of the checkpoint -> class of the teacher, or null; every label must be named.
        outside_classes: what becomes of probability on labels that map to null, see `models.teachers.class_map.ClassMap`.
        classes: label of the corpus -> class of the teacher, or null to leave it out; every label must be named.
        normalise: `voice`: logits are standardised per speaker of the corpus, and per voice in scoring.
        batch_size: items at once.
        calibrate: whether to fit a temperature on validation rows, which the figures then leave out.
    """

    kind: Literal["checkpoint"]
    checkpoint: Name
    label_classes: ClassMapping
    outside_classes: OutsideClasses
    classes: ClassMapping
    normalise: Normalise
    batch_size: Annotated[int, Field(ge=1)]
    calibrate: bool


@dataclass(frozen=True, config=STRICT)
class FinetuneParams:
    """A pretrained network of the transformers library or of timm, trained on the corpus.

    Attributes:
        kind: of teacher.
        checkpoint: a folder, or the name of a repository of the Hub; it must hold safetensors.
        classes: label of the corpus -> class of the teacher, or null to leave it out; every label must be named.
        normalise: `voice`: logits are standardised per speaker of the corpus, and per voice in scoring.
        held_out_sessions: of speech, how many are left out in turn, a training each; null: all. Pictures: null.
        epochs: at most; validation rows choose which of them is kept.
        learning_rate: at its highest.
        batch_size: items at once.
        mixed_precision: of training.
        class_weights: whether rare classes weigh more.
        calibrate: whether to fit a temperature on validation rows.
    """

    kind: Literal["finetune"]
    checkpoint: Name
    classes: ClassMapping
    normalise: Normalise
    held_out_sessions: Annotated[int, Field(ge=1)] | None
    epochs: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    batch_size: Annotated[int, Field(ge=1)]
    mixed_precision: Literal["bf16", "fp16"] | None
    class_weights: bool
    calibrate: bool


TeacherParams = Annotated[ProbeParams | CheckpointParams | FinetuneParams, Field(discriminator="kind")]

# What `pipeline.frame.params.section` reads; no class, and so of no type that a checker knows.
SECTION: Any = TeacherParams
