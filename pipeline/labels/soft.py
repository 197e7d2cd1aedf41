"""What the teachers leave open: for each kept row a distribution over the dataset's labels, in place of one of them.

Under the rules of one decider it is that teacher's, under `log_pool` the pool's, with the map from classes to labels
applied and what has no label left out.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.frame import tables
from pipeline.labels.pool import pool
from pipeline.labels.rules import AppliedRule, remap


def soft_labels(rows: pd.DataFrame, rule: AppliedRule, labels: Sequence[str]) -> NDArray[np.float32]:
    """float32 [rows, labels], each row summing to 1.

    `rows` are those of the dataset, with decided_by, p_speech_<class> and p_image_<class>, at the temperatures at which
    the rule was applied. Raises UserError: a class has no entry in the map.
    """
    said = {}
    for modality in tables.MODALITIES:
        prefix = f"{tables.PROBABILITY_PREFIX}{modality}_"
        names = [name for name in rows.columns if name.startswith(prefix)]
        said[modality] = (rows[names].to_numpy(dtype=np.float32), [name.removeprefix(prefix) for name in names])
    if rule.rule == "log_pool":
        both = pool(*said["speech"], *said["image"], rule.speech_weight, rule.neutral)
        shares = _of_labels(both.pooled, both.pooled_classes, rule, labels)
    else:
        of_each = {modality: _of_labels(*found, rule, labels) for modality, found in said.items()}
        by_speech = (rows["decided_by"] == "speech").to_numpy()
        shares = np.where(by_speech[:, np.newaxis], of_each["speech"], of_each["image"])
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float32)


def _of_labels(
    probabilities: NDArray[np.float32], classes: Sequence[str], rule: AppliedRule, labels: Sequence[str]
) -> NDArray[np.float64]:
    shares = np.zeros((len(probabilities), len(labels)))
    for column, label in enumerate(remap(np.array(classes), rule.remap, rule.neutral).tolist()):
        if label in labels:  # a neutral class stays what it is
            shares[:, labels.index(label)] += probabilities[:, column]
    return shares
