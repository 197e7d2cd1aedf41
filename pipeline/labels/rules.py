"""How two teachers' probabilities become one label (paper, section 3.1).

Probabilities are float32 [rows, classes], one array per modality; the two teachers may know different classes.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
import pydantic
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.params import PARAMS_FILE, STRICT

Rule = Literal["max_probability", "agreement", "disagreement", "log_pool"]
RULES: tuple[Rule, ...] = get_args(Rule)
DOMINANT_SHARE = 0.7  # of the kept rows; a modality that decides more is named wherever the labels are described
BELOW_THRESHOLD = "below_threshold"
DISAGREE = "teachers_disagree"
AGREE = "teachers_agree"
NEUTRAL = "neutral"


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class LabelParams:
    """Section `label`.

    Attributes:
        threshold: least confidence of a kept row.
        remap: what label each class of the teachers becomes.
        calibrate: `match`: see `pipeline.labels.matching`; before any rule.
        speech_weight: of rule `log_pool`; the rest is the image teacher's.
        neutral: classes of the teachers that compete with the others, and leave a row out where they win.
    """

    rule: Rule
    threshold: Annotated[float, pydantic.Field(ge=0, le=1)]
    remap: dict[str, str]
    calibrate: Literal["none", "match"] = "none"
    speech_weight: Annotated[float, pydantic.Field(ge=0, le=1)] = 0.5
    neutral: tuple[str, ...] = ()

    def expect_labels(self, labels: Collection[str]) -> None:
        """Raises UserError where a class becomes something else than one of the dataset's labels, or two things."""
        unknown = sorted(set(self.remap.values()) - set(labels))
        if unknown:
            raise UserError(f"{PARAMS_FILE}: label.remap: {unknown[0]} is not a label; base.labels are {list(labels)}")
        if both := sorted(set(self.neutral) & set(self.remap)):
            raise UserError(f"{PARAMS_FILE}: label.neutral: {both[0]} has a label in label.remap; keep one of the two")

    def expect_classes(self, speech: Sequence[str], image: Sequence[str]) -> None:
        """Raises UserError where the teachers' classes have no label, or the rule finds none of those that it needs."""
        remap(np.array([*speech, *image]), self.remap, self.neutral)
        if foreign := sorted(set(self.neutral) - {*speech, *image}):
            raise UserError(f"{PARAMS_FILE}: label.neutral: {foreign[0]} is no class of a teacher: {[*speech, *image]}")
        if self.rule == "log_pool" and not can_pool(speech, image, self.neutral):
            raise UserError(
                f"{PARAMS_FILE}: label.rule = log_pool: expected two classes that both teachers have, "
                f"found {list(speech)} and {list(image)}"
            )


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class Temperatures:
    """What each modality's probabilities were put to before the rule; 1 is the teacher's own."""

    speech: Annotated[float, pydantic.Field(gt=0)] = 1.0
    image: Annotated[float, pydantic.Field(gt=0)] = 1.0

    def of(self, modality: str) -> float:
        """That of `speech` or `image`."""
        return self.speech if modality == "speech" else self.image


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class AppliedRule(LabelParams):
    """The rule as it was applied."""

    temperatures: Temperatures = dataclasses.field(kw_only=True)


def read_rule(labels: Path) -> AppliedRule:
    """The rule that stage label wrote beside its rows, in the folder data/labels.

    Raises UserError: the file is missing or damaged.
    """
    path = labels / tables.RULE_FILE
    try:
        return pydantic.TypeAdapter(AppliedRule).validate_json(path.read_bytes())
    except (OSError, ValueError):
        raise UserError(f"{path}: missing or damaged; run: dvc repro label") from None


@dataclass(frozen=True)
class Votes:
    """What each teacher says by itself, [rows]: the class of its largest probability; of equal ones the first."""

    speech_label: NDArray[np.str_]
    speech_max: NDArray[np.float32]  # that probability: max_1 of the paper
    image_label: NDArray[np.str_]
    image_max: NDArray[np.float32]  # max_2

    @property
    def agree(self) -> NDArray[np.bool_]:
        """Whether both teachers name the same class, [rows]."""
        return np.asarray(self.speech_label == self.image_label, dtype=bool)

    @property
    def speech_decides(self) -> NDArray[np.bool_]:
        """Whether the label is the speech teacher's, [rows]; ties go to speech."""
        return np.asarray(self.speech_max >= self.image_max, dtype=bool)

    @property
    def confidence(self) -> NDArray[np.float32]:
        """max(max_1, max_2), float32 [rows]."""
        return np.maximum(self.speech_max, self.image_max)

    @property
    def source_label(self) -> NDArray[np.str_]:
        """Class named by the modality that decides, [rows]."""
        return np.where(self.speech_decides, self.speech_label, self.image_label)


def votes(
    speech: NDArray[np.float32], speech_classes: Sequence[str], image: NDArray[np.float32], image_classes: Sequence[str]
) -> Votes:
    """Each teacher's choice for each row."""
    return Votes(
        speech_label=np.array(speech_classes)[speech.argmax(axis=1)],
        speech_max=speech.max(axis=1),
        image_label=np.array(image_classes)[image.argmax(axis=1)],
        image_max=image.max(axis=1),
    )


def can_pool(speech_classes: Sequence[str], image_classes: Sequence[str], neutral: Collection[str]) -> bool:
    """Whether the teachers share two classes between which a pool can choose."""
    return len(set(speech_classes) & set(image_classes) - set(neutral)) > 1


def drop_reasons(rule: Rule, threshold: float, teachers: Votes, neutral: Collection[str] = ()) -> NDArray[np.str_]:
    """Why a row is dropped, [rows]; empty where it is kept.

    Whatever the rule, a row whose class is `neutral` is dropped, and one whose confidence is below `threshold`;
    `agreement` asks besides that both teachers name the same class, `disagreement` that they do not: section 3.1 of the
    paper says both. The comparison is in float32, so that a stored 0.7 reaches a threshold of 0.7.
    """
    reasons = np.where(teachers.confidence < np.float32(threshold), BELOW_THRESHOLD, "")
    reasons = np.where(np.isin(teachers.source_label, list(neutral)), NEUTRAL, reasons)
    if rule == "agreement":
        reasons = np.where((reasons == "") & ~teachers.agree, DISAGREE, reasons)
    if rule == "disagreement":
        reasons = np.where((reasons == "") & teachers.agree, AGREE, reasons)
    return reasons


def dominant_modality(share_decided_by_speech: float) -> str | None:
    """The modality that decides nearly all labels, if there is one."""
    if share_decided_by_speech > DOMINANT_SHARE:
        return "speech"
    return "image" if 1 - share_decided_by_speech > DOMINANT_SHARE else None


def remap(
    source_labels: NDArray[np.str_], mapping: Mapping[str, str], neutral: Collection[str] = ()
) -> NDArray[np.str_]:
    """The dataset's labels for teacher classes (paper: excitement -> happy, disgust -> hate); `neutral` ones stay.

    Raises UserError: a class has no entry in the map.
    """
    whole = {**mapping, **{name: name for name in neutral}}
    unknown = sorted(set(source_labels.tolist()) - set(whole))
    if unknown:
        raise UserError(f"label.remap has no entry for the teachers' class {unknown[0]}; it knows {sorted(mapping)}")
    return np.array([whole[label] for label in source_labels.tolist()], dtype=str)
