"""What one would get without training anything: the class that is most frequent in train, or a teacher's own label.

In   class ids of train; p_speech_<class> and p_image_<class> of test; the rule of data/labels
Out  class ids, int64 [rows]

Section 5.4 of the paper: whoever uses the teachers that made the labels gets 100 %. That holds by construction for the
copy of the surer one of both, or of their pool; a single teacher is right only where it decided or agrees.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.labels import rules
from pipeline.labels.pool import pooled_votes

MAJORITY = "majority_class"
COPIES = ("speech_teacher", "image_teacher", "surer_teacher")


def majority(train: NDArray[np.int64], classes: int) -> int:
    """The most frequent class of train; of equally frequent ones the first."""
    return int(np.bincount(train, minlength=classes).argmax())


def teacher_copies(
    rows: pd.DataFrame, rule: rules.LabelParams, labels: Sequence[str]
) -> dict[str, NDArray[np.int64]]:  # fmt: skip
    """What each of `COPIES` predicts for rows with the columns p_<voter>_<class> of all voters, float32.

    Of a neutral class, which is no label, a single teacher's next best one stands.

    Raises UserError: a class of a teacher has no entry in the map, or the map leads to another label.
    """
    unknown = sorted(set(rule.remap.values()) - set(labels))
    if unknown:
        raise UserError(f"{tables.RULE_FILE}: {unknown[0]} is not a label of the dataset; run: dvc repro label")
    said = rules.teachers_probabilities(rows, rule)
    alone: list[NDArray[np.str_]] = []
    for modality in tables.MODALITIES:
        values, classes = said[modality]
        named = [place for place, name in enumerate(classes) if name not in rule.neutral]
        alone.append(np.array(classes)[named][values[:, named].argmax(axis=1)])
    votes = pooled_votes(said, rule) if rule.rule == "log_pool" else rules.votes(*said["speech"], *said["image"])
    id_of = {name: index for index, name in enumerate(labels)}
    copied = (*alone, votes.source_label)
    return {
        name: np.array([id_of[label] for label in rules.remap(answers, rule.remap).tolist()], dtype=np.int64)
        for name, answers in zip(COPIES, copied, strict=True)
    }
