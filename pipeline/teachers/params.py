"""Sections `train_teacher.<modality>`, one dataclass for each `kind` of teacher, and `score.<modality>`."""

from dataclasses import field
from typing import Annotated, Any, Literal, Self

from pydantic import Field, FiniteFloat, model_validator
from pydantic.dataclasses import dataclass

from models.teachers.class_map import OutsideClasses
from models.teachers.encoder_settings import HUB, PACKAGED, EncoderSettings, Pooling
from models.teachers.endpoint.answers import WORDS_PLACE
from models.teachers.heads import Head
from models.teachers.teacher import Features, Normalise
from pipeline.errors import UserError
from pipeline.frame.outside_scores import OutsideParams
from pipeline.frame.params import PARAMS_FILE, STRICT
from pipeline.media.augmentation import AugmentParams

Name = Annotated[str, Field(min_length=1)]
# Label of a corpus or a checkpoint -> class of the teacher, or null to leave it out; every label must be named.
ClassMapping = dict[str, str | None]
Strengths = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]  # of regularisation
Calibrate = Literal["none", "held_out"]  # whether to fit a temperature on rows that the model has not seen
DEFAULT_TEMPLATES = ("a photo that shows {}", "a picture of {}", "a picture that makes people feel {}")


@dataclass(frozen=True, config=STRICT)
class WordsParams:
    """A logistic regression on the words that a recogniser heard, learnt from the corpus and from emotion texts."""

    encoder: Name  # one of `models.teachers.encoders.HEARING_WORDS`
    classes: ClassMapping  # of the labels of emotion_texts; all null: only the corpus's utterances teach
    regularisation: Strengths
    class_weights: bool  # whether all classes weigh the same


@dataclass(frozen=True, config=STRICT)
class ProbeParams:
    """A frozen encoder and a logistic regression on its vectors.

    `weights`, `revision`, `layers` and `pooling` are the encoder's: see `models.teachers.encoder_settings`.
    """

    kind: Literal["probe"]
    encoder: Name  # see `models.teachers.encoders.create_encoder`
    classes: ClassMapping
    normalise: Normalise  # see `models.teachers.probe.Probe`
    regularisation: Strengths  # C, chosen by validation
    calibrate: Calibrate
    features: Features = "acoustic"  # of speech; `acoustic` is the encoder's, `linguistic` section words', `fused` both
    words: WordsParams | None = None
    weights: Name = PACKAGED  # or hub, or the path of a folder or file
    revision: Name | None = None  # of a repository of the Hub: branch, tag or commit
    layers: Literal["last", "all"] | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = "last"
    pooling: Pooling = "own"

    @property
    def settings(self) -> EncoderSettings:
        """Of the encoder."""
        return EncoderSettings(self.weights, self.revision, self.layers, self.pooling)

    @model_validator(mode="after")
    def _revision_is_of_the_hub(self) -> Self:
        if self.revision is not None and self.weights != HUB:
            raise ValueError(f"weights: {HUB} where a revision is given")
        return self


@dataclass(frozen=True, config=STRICT)
class CheckpointParams:
    """A ready classifier of the transformers library, which is measured on the corpus and not trained."""

    kind: Literal["checkpoint"]
    checkpoint: Name  # a folder, or the name of a repository of the Hub
    classes: ClassMapping  # of the labels of the corpus
    normalise: Normalise  # `voice`: logits are standardised per speaker of the corpus, and per voice in scoring
    batch_size: Annotated[int, Field(ge=1)]
    calibrate: Calibrate  # on validation rows, which the figures then leave out
    revision: Name | None = None  # commit, tag or branch of the repository; null: its main branch as it is now
    features: Literal["acoustic", "linguistic"] = "acoustic"  # of speech: whether it classifies sound or words heard
    head: Head | None = None  # what its outputs are; null: what its configuration says
    label_names: tuple[Name, ...] | None = None  # of outputs that have none but LABEL_0, LABEL_1 ..., in their order
    label_classes: ClassMapping | None = None  # of the labels of the checkpoint
    outside_classes: OutsideClasses | None = None  # of probability on labels that map to null, see `class_map`
    # Of a head of dimensions, in place of the two above: class -> dimension -> value, and the deviation round each.
    prototypes: dict[str, dict[str, FiniteFloat]] | None = None
    prototype_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


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
    revision: Name | None = None
    augment: AugmentParams = field(default_factory=AugmentParams)  # spec_augment also ends masks of the network's own


@dataclass(frozen=True, config=STRICT)
class ZeroShotParams:
    """CLIP or SigLIP, which is told the classes in words; measured on the corpus of pictures and not trained."""

    kind: Literal["zero_shot"]
    checkpoint: Name  # a folder, or the name of a repository of the Hub
    prompts: dict[str, Annotated[tuple[Name, ...], Field(min_length=1)]]  # class of the teacher -> words or phrases
    classes: ClassMapping  # of the labels of the corpus
    # Sentences that each word or phrase is put into, at {}; the mean direction of all stands for the class.
    templates: Annotated[tuple[Annotated[str, Field(pattern=r"\{\}")], ...], Field(min_length=1)] = DEFAULT_TEMPLATES
    revision: Name | None = None  # commit, tag or branch of the repository
    batch_size: Annotated[int, Field(ge=1)] = 16
    calibrate: Calibrate = "none"  # on validation rows, which the figures then leave out


@dataclass(frozen=True, config=STRICT)
class EndpointParams:
    """A model behind an OpenAI-compatible endpoint (`OPENAI_BASE_URL`), asked about each picture or all words heard."""

    kind: Literal["endpoint"]
    model: Name  # as the endpoint calls it
    prompt: Name  # {classes} stands for the classes; {words}, of a speech teacher, for what was heard
    classes: ClassMapping  # of the labels of the corpus
    features: Literal["acoustic", "linguistic"] = "acoustic"  # of speech, where it must be linguistic
    structured: Literal["json_schema", "none"] = "json_schema"  # how answers are held to the classes
    top_logprobs: Annotated[int, Field(ge=0, le=20)] = 20  # alternatives to ask for at each token; 0: none
    smoothing: Annotated[float, Field(gt=0, lt=1)] = 0.1  # of an answer without them: what the other classes share
    tokens_max: Annotated[int, Field(ge=1)] = 64  # of an answer
    image_side_px_max: Annotated[int, Field(ge=32, le=4096)] = 768  # larger pictures are sent smaller
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8  # questions at once, of each worker
    timeout_seconds: Annotated[float, Field(gt=0)] = 120.0  # of a question
    retries: Annotated[int, Field(ge=0, le=20)] = 5  # of a question
    max_failed_share: Annotated[float, Field(ge=0, le=1)] = 0.05  # of questions without a usable answer
    measure_rows: Annotated[int, Field(ge=1)] = 500  # of the corpus, at most
    calibrate: Calibrate = "none"  # on as many validation rows at most


@dataclass(frozen=True, config=STRICT, kw_only=True)
class ScoresParams(OutsideParams):
    """A table of probabilities that something outside this project made; its columns name the teacher's classes."""

    classes: ClassMapping  # of the labels of the corpus, on which it is measured where the table has its ids

    @property
    def normalise(self) -> Normalise:
        """There is nothing to standardise."""
        return "none"


Teachers = ProbeParams | CheckpointParams | FinetuneParams | ZeroShotParams | EndpointParams | ScoresParams
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
    if isinstance(params, ZeroShotParams | EndpointParams):
        _expect_told(modality, params, where)
        normalise: Normalise = "none"
    else:
        normalise = params.normalise
    if modality == "image":
        if normalise != "none":
            raise UserError(f"{where}.normalise = {normalise}: pictures have no voice; expected none")
        if features != "acoustic":
            raise UserError(f"{where}.features = {features}: pictures have no words; leave it out")
    if features == "linguistic" and normalise != "none":
        raise UserError(f"{where}.normalise = {normalise}: words have no voice; expected none")
    if isinstance(params, FinetuneParams):
        if modality == "speech" and params.augment.flip:
            raise UserError(f"{where}.augment.flip = true: speech cannot be mirrored; expected false")
        if modality == "image" and params.augment.spec_augment is not None:
            raise UserError(f"{where}.augment.spec_augment: pictures have no spectrogram; expected null")
    if features != "acoustic" and isinstance(params, ProbeParams) and params.words is None:
        raise UserError(f"{where}.words is missing, which features = {features} needs")
    if features != "acoustic" and share_heard < 1:
        raise UserError(
            f"{PARAMS_FILE}: synthesize.recognition.share = {share_heard}: {section}.features = {features} goes by "
            "the words heard in each recording; expected 1.0"
        )
    if (
        isinstance(params, CheckpointParams | FinetuneParams)
        and params.normalise == "voice"
        and params.calibrate == "none"
    ):
        raise UserError(
            f"{where}.calibrate = none: logits standardised by voice put half of all rows above 0.5, whatever is "
            "said; expected held_out, or normalise: none"
        )


def _expect_told(modality: str, params: ZeroShotParams | EndpointParams, where: str) -> None:
    """Raises UserError where a teacher that is told its classes in words is told too little."""
    if isinstance(params, EndpointParams):
        if modality == "speech" and params.features != "linguistic":
            raise UserError(f"{where}.features = {params.features}: an endpoint is sent words; expected linguistic")
        if modality == "speech" and WORDS_PLACE not in params.prompt:
            raise UserError(f"{where}.prompt has no {WORDS_PLACE}, which stands for what was heard; put it there")
        return
    if modality == "speech":
        raise UserError(f"{where}.kind = zero_shot: looks at pictures only; expected another kind, such as endpoint")
    missing = sorted({name for name in params.classes.values() if name} - set(params.prompts))
    if missing:
        raise UserError(f"{where}.prompts does not name {missing[0]}, a class of {where}.classes; give it words")
    if len(params.prompts) < 2:
        raise UserError(f"{where}.prompts names {len(params.prompts)} class; expected two or more")
