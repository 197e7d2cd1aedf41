"""How two teachers' probabilities become one label (paper, section 3.1).

Probabilities are float32 [rows, classes], one array per modality; the two teachers may know different classes.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
import pandas as pd
import pydantic
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.outside_scores import OutsideParams
from pipeline.frame.params import PARAMS_FILE, STRICT

Said = tuple[NDArray[np.float32], Sequence[str]]  # probabilities [rows, classes] of a voter, and its classes

Rule = Literal["max_probability", "agreement", "disagreement", "log_pool"]
RULES: tuple[Rule, ...] = get_args(Rule)
DOMINANT_SHARE = 0.7  # of the kept rows; a modality that decides more is named wherever the labels are described
BELOW_THRESHOLD = "below_threshold"
DISAGREE = "teachers_disagree"
AGREE = "teachers_agree"
NEUTRAL = "neutral"


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT, kw_only=True)
class Further(OutsideParams):
    """A voter besides the two teachers: a table of probabilities that something outside this project made.

    Attributes:
        name: stands in columns `p_<name>_<class>`.
        weight: beside those of speech and image, which together are 1; all are divided by their sum.
    """

    name: Annotated[str, pydantic.Field(pattern=r"^[a-z][a-z0-9]{0,19}$")]
    weight: Annotated[float, pydantic.Field(gt=0, le=100)]


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class LabelParams:
    """Section `label`.

    Attributes:
        threshold: least confidence of a kept row.
        remap: what label each class of the teachers becomes.
        calibrate: `match`: see `pipeline.labels.matching`; before any rule.
        speech_weight: of rule `log_pool`; the rest is the image teacher's.
        neutral: classes of the teachers that compete with the others, and leave a row out where they win.
        further: voters besides the teachers, of rule `log_pool` only.
    """

    rule: Rule
    threshold: Annotated[float, pydantic.Field(ge=0, le=1)]
    remap: dict[str, str]
    calibrate: Literal["none", "match"] = "none"
    speech_weight: Annotated[float, pydantic.Field(ge=0, le=1)] = 0.5
    neutral: tuple[str, ...] = ()
    further: tuple[Further, ...] = ()

    def expect_labels(self, labels: Collection[str]) -> None:
        """Raises UserError where a class becomes something else than one of the dataset's labels, or two things."""
        unknown = sorted(set(self.remap.values()) - set(labels))
        if unknown:
            raise UserError(f"{PARAMS_FILE}: label.remap: {unknown[0]} is not a label; base.labels are {list(labels)}")
        if both := sorted(set(self.neutral) & set(self.remap)):
            raise UserError(f"{PARAMS_FILE}: label.neutral: {both[0]} has a label in label.remap; keep one of the two")

    def expect_voters(self) -> None:
        """Raises UserError where voters have no names of their own, or a rule that does not ask them."""
        names = [*tables.MODALITIES, *(one.name for one in self.further)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f"{PARAMS_FILE}: label.further: the name {twice} is taken; expected one of its own")
        if self.further and self.rule != "log_pool":
            raise UserError(
                f"{PARAMS_FILE}: label.rule = {self.rule}: it asks the two teachers only, and label.further names "
                f"{self.further[0].name}; expected log_pool, or further: []"
            )

    def expect_classes(self, speech: Sequence[str], image: Sequence[str], *further: Sequence[str]) -> None:
        """Raises UserError where the teachers' classes have no label, or the rule finds none of those that it needs."""
        remap(np.array([*speech, *image]), self.remap, self.neutral)
        every = [*speech, *image, *(name for classes in further for name in classes)]
        if foreign := sorted(set(self.neutral) - set(every)):
            raise UserError(f"{PARAMS_FILE}: label.neutral: {foreign[0]} is no class of a teacher: {every}")
        if self.rule == "log_pool" and not can_pool((speech, image, *further), self.neutral):
            whose = "all voters" if further else "both teachers"
            found = " and ".join(str(list(classes)) for classes in (speech, image, *further))
            raise UserError(
                f"{PARAMS_FILE}: label.rule = log_pool: expected two classes that {whose} have, found {found}"
            )


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class Temperatures:
    """What each voter's probabilities were put to before the rule; 1 is the voter's own."""

    speech: Annotated[float, pydantic.Field(gt=0)] = 1.0
    image: Annotated[float, pydantic.Field(gt=0)] = 1.0
    further: dict[str, Annotated[float, pydantic.Field(gt=0)]] = dataclasses.field(default_factory=dict)

    @property
    def by_voter(self) -> dict[str, float]:
        """Of speech, image and the further ones."""
        return {"speech": self.speech, "image": self.image, **self.further}

    def of(self, voter: str) -> float:
        """That of `speech`, `image` or a further one."""
        return self.by_voter[voter]


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class AppliedRule(LabelParams):
    """The rule as it was applied; of further voters with the digest of their table, and its name without a folder."""

    temperatures: Temperatures = dataclasses.field(kw_only=True)
    further_classes: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict, kw_only=True)

    @property
    def further_columns(self) -> list[str]:
        """Columns of further voters' probabilities in data/labels and data/sier; null where one says nothing of a row.

        At `temperatures`, as the teachers' in data/sier.
        """
        return [
            f"{tables.PROBABILITY_PREFIX}{voter}_{name}"
            for voter, classes in self.further_classes.items()
            for name in classes
        ]


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


def teachers_probabilities(rows: pd.DataFrame, rule: LabelParams) -> dict[str, Said]:
    """What each voter of a rule says of rows with the columns `p_<voter>_<class>`: speech, image, and the further."""
    said: dict[str, Said] = {}
    for voter in (*tables.MODALITIES, *(one.name for one in rule.further)):
        prefix = f"{tables.PROBABILITY_PREFIX}{voter}_"
        columns = [name for name in rows.columns if name.startswith(prefix)]
        said[voter] = rows[columns].to_numpy(dtype=np.float32), [name.removeprefix(prefix) for name in columns]
    return said


def can_pool(classes_of_voters: Sequence[Collection[str]], neutral: Collection[str]) -> bool:
    """Whether the voters share two classes between which a pool can choose."""
    return len(set.intersection(*map(set, classes_of_voters)) - set(neutral)) > 1


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
