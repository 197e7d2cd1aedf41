"""How two teachers' probabilities become one label (paper, section 3.1), free of files and stages.

Probabilities are float32 [rows, classes], one array per modality; the two teachers may know different classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError

Rule = Literal["max_probability", "agreement"]
DOMINANT_SHARE = 0.9  # of the kept rows; a modality that decides more is named wherever the labels are described
BELOW_THRESHOLD = "below_threshold"
DISAGREE = "teachers_disagree"


@dataclass(frozen=True)
class Votes:
    """What each teacher says by itself, per row.

    Attributes:
        speech_label, image_label: class of the largest probability, str [rows]; of equal ones the first.
        speech_max, image_max: that probability, float32 [rows] (max_1 and max_2 of the paper).
    """

    speech_label: NDArray[np.str_]
    speech_max: NDArray[np.float32]
    image_label: NDArray[np.str_]
    image_max: NDArray[np.float32]

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
    speech: NDArray[np.float32],
    speech_classes: Sequence[str],
    image: NDArray[np.float32],
    image_classes: Sequence[str],
) -> Votes:
    """Each teacher's choice for each row."""
    return Votes(
        speech_label=np.array(speech_classes)[speech.argmax(axis=1)],
        speech_max=speech.max(axis=1),
        image_label=np.array(image_classes)[image.argmax(axis=1)],
        image_max=image.max(axis=1),
    )


def drop_reasons(rule: Rule, threshold: float, found: Votes) -> NDArray[np.str_]:
    """Why a row is dropped, [rows]; empty where it is kept.

    `max_probability` keeps a row whose confidence is at least `threshold`; `agreement` asks besides that both teachers
    name the same class. The comparison is in float32, so that a stored 0.7 reaches a threshold of 0.7.
    """
    reasons = np.where(found.confidence < np.float32(threshold), BELOW_THRESHOLD, "")
    if rule == "agreement":
        reasons = np.where((reasons == "") & ~found.agree, DISAGREE, reasons)
    return reasons


def dominant_modality(share_decided_by_speech: float) -> str | None:
    """The modality that decides nearly all labels, if there is one."""
    if share_decided_by_speech > DOMINANT_SHARE:
        return "speech"
    return "image" if 1 - share_decided_by_speech > DOMINANT_SHARE else None


def remap(source_labels: NDArray[np.str_], mapping: Mapping[str, str]) -> NDArray[np.str_]:
    """The dataset's labels for teacher classes (paper: excitement -> happy, disgust -> hate).

    Raises:
        UserError: a class has no entry in the map.
    """
    unknown = sorted(set(source_labels.tolist()) - set(mapping))
    if unknown:
        raise UserError(f"label.remap has no entry for the teachers' class {unknown[0]}; it knows {sorted(mapping)}")
    return np.array([mapping[label] for label in source_labels.tolist()], dtype=str)
