"""What one would get without training anything: the class that is most frequent in train, or a teacher's own label.

In   class ids of train; p_speech_<class> and p_image_<class> of test; the remap of data/labels
Out  class ids, int64 [rows]

Section 5.4 of the paper: whoever uses the teachers that made the labels gets 100 %. That holds by construction for the
copy of the surer one of both; a single teacher is right only where it decided or agrees.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.labels import rules

MAJORITY = "majority_class"
COPIES = ("speech_teacher", "image_teacher", "surer_teacher")


def majority(train: NDArray[np.int64], classes: int) -> int:
    """The most frequent class of train; of equally frequent ones the first."""
    return int(np.bincount(train, minlength=classes).argmax())


def teacher_copies(rows: pd.DataFrame, remap: Mapping[str, str], labels: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """What each of `COPIES` predicts for rows with the columns p_speech_<class> and p_image_<class>, float32.

    Raises UserError: a class of a teacher has no entry in the map, or the map leads to another label.
    """
    unknown = sorted(set(remap.values()) - set(labels))
    if unknown:
        raise UserError(f"{tables.RULE_FILE}: {unknown[0]} is not a label of the dataset; run: dvc repro label")
    arrays, classes = [], []
    for modality in tables.MODALITIES:
        prefix = f"{tables.PROBABILITY_PREFIX}{modality}_"
        columns = [name for name in rows.columns if name.startswith(prefix)]
        arrays.append(rows[columns].to_numpy(dtype=np.float32))
        classes.append([name.removeprefix(prefix) for name in columns])
    votes = rules.votes(arrays[0], classes[0], arrays[1], classes[1])
    id_of = {name: index for index, name in enumerate(labels)}
    copied = (votes.speech_label, votes.image_label, votes.source_label)
    return {
        name: np.array([id_of[label] for label in rules.remap(answers, remap).tolist()], dtype=np.int64)
        for name, answers in zip(COPIES, copied, strict=True)
    }
