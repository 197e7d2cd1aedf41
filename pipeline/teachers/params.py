"""Sections `train_teacher.<modality>`, one dataclass for each `kind` of teacher, and `score.<modality>`."""

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from models.teachers.class_map import OutsideClasses
from models.teachers.teacher import Features, Normalise
from pipeline.errors import UserError
from pipeline.frame.params import PARAMS_FILE, STRICT
from pipeline.media.augmentation import AugmentParams

Name = Annotated[str, Field(min_length=1)]
# Label of a corpus or a checkpoint -> class of the teacher, or null to leave it out; every label must be named.
ClassMapping = dict[str, str | None]
Strengths = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]  # of regularisation
Calibrate = Literal["none", "held_out"]  # whether to fit a temperature on rows that the model has not seen


@dataclass(frozen=True, config=STRICT)
class WordsParams:
    """A logistic regression on the words that a recogniser heard, learnt from the corpus and from emotion texts."""

    encoder: Name  # one of `models.teachers.encoders.HEARING_WORDS`
    classes: ClassMapping  # of the labels of emotion_texts; all null: only the corpus's utterances teach
    regularisation: Strengths
    class_weights: bool  # whether all classes weigh the same


@dataclass(frozen=True, config=STRICT)
class ProbeParams:
    """A frozen encoder and a logistic regression on its vectors."""

    kind: Literal["probe"]
    encoder: Name  # see `models.teachers.encoders.create_encoder`
    classes: ClassMapping
    normalise: Normalise  # see `models.teachers.probe.Probe`
    regularisation: Strengths  # C, chosen by validation
    calibrate: Calibrate
    features: Features = "acoustic"  # of speech; `acoustic` is the encoder's, `linguistic` section words', `fused` both
    words: WordsParams | None = None


@dataclass(frozen=True, config=STRICT)
class CheckpointParams:
    """A ready classifier of the transformers library, which is measured on the corpus and not trained."""

    kind: Literal["checkpoint"]
    checkpoint: Name  # a folder, or the name of a repository of the Hub; it must hold safetensors
    label_classes: ClassMapping  # of the labels of the checkpoint
    outside_classes: OutsideClasses  # of probability on labels that map to null, see `models.teachers.class_map`
    classes: ClassMapping  # of the labels of the corpus
    normalise: Normalise  # `voice`: logits are standardised per speaker of the corpus, and per voice in scoring
    batch_size: Annotated[int, Field(ge=1)]
    calibrate: Calibrate  # on validation rows, which the figures then leave out
    features: Literal["acoustic", "linguistic"] = "acoustic"  # of speech: whether it classifies sound or words heard


@dataclass(frozen=True, config=STRICT)
class FinetuneParams:
    """A pretrained network of the transformers library or of timm, trained on the corpus; see `CheckpointParams`."""

    kind: Literal["finetune"]
    checkpoint: Name
    classes: ClassMapping
    normalise: Normalise
    held_out_sessions: Annotated[int, Field(ge=1)] | None  # of speech, left out in turn; null: all. Pictures: null
    epochs: Annotated[int, Field(ge=1)]  # at most; validation rows choose which of them is kept
    learning_rate: Annotated[float, Field(gt=0)]  # at its highest
    batch_size: Annotated[int, Field(ge=1)]
    mixed_precision: Literal["bf16", "fp16"] | None
    class_weights: bool  # whether rare classes weigh more
    calibrate: Calibrate
    augment: AugmentParams = field(default_factory=AugmentParams)  # spec_augment also ends masks of the network's own


Teachers = ProbeParams | CheckpointParams | FinetuneParams
TeacherParams = Annotated[Teachers, Field(discriminator="kind")]

# What `pipeline.frame.params.section` reads; no class, and so of no type that a checker knows.
SECTION: Any = TeacherParams


@dataclass(frozen=True, config=STRICT)
class ScoreParams:
    """Section `score.<modality>`."""

    batch_size: Annotated[int, Field(ge=1)]  # bounds memory, changes no score beyond the last bits
    voice_statistics_rows: Annotated[int, Field(ge=2)]  # per voice, those with the lowest sha256 of their ids
    compile: bool = False  # let torch compile the teacher's network: minutes at the start, then faster


def expect_consistent(modality: str, params: Teachers, share_heard: float) -> None:
    """Raises UserError where parameters contradict each other; `share_heard`: `synthesize.recognition.share`."""
    section = f"train_teacher.{modality}"
    where = f"{PARAMS_FILE}: {section}"
    features = getattr(params, "features", "acoustic")
    if modality == "image":
        if params.normalise != "none":
            raise UserError(f"{where}.normalise = {params.normalise}: pictures have no voice; expected none")
        if features != "acoustic":
            raise UserError(f"{where}.features = {features}: pictures have no words; leave it out")
    if isinstance(params, FinetuneParams):
        if modality == "speech" and params.augment.flip:
            raise UserError(f"{where}.augment.flip = true: speech cannot be mirrored; expected false")
        if modality == "image" and params.augment.spec_augment is not None:
            raise UserError(f"{where}.augment.spec_augment: pictures have no spectrogram; expected null")
    if features == "linguistic" and params.normalise != "none":
        raise UserError(f"{where}.normalise = {params.normalise}: words have no voice; expected none")
    if features != "acoustic" and isinstance(params, ProbeParams) and params.words is None:
        raise UserError(f"{where}.words is missing, which features = {features} needs")
    if features != "acoustic" and share_heard < 1:
        raise UserError(
            f"{PARAMS_FILE}: synthesize.recognition.share = {share_heard}: {section}.features = {features} goes by "
            "the words heard in each recording; expected 1.0"
        )
    if params.kind != "probe" and params.normalise == "voice" and params.calibrate == "none":
        raise UserError(
            f"{where}.calibrate = none: logits standardised by voice put half of all rows above 0.5, whatever is "
            "said; expected held_out, or normalise: none"
        )
