"""What the teachers leave open: for each kept row a distribution over the dataset's labels, in place of one of them.

Under the rules of one decider it is that teacher's, under `log_pool` the pool's, with the map from classes to labels
applied and what has no label left out.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.labels.pool import pooled_votes
from pipeline.labels.rules import AppliedRule, remap, teachers_probabilities


def soft_labels(rows: pd.DataFrame, rule: AppliedRule, labels: Sequence[str]) -> NDArray[np.float32]:
    """float32 [rows, labels], each row summing to 1.

    `rows` are those of the dataset, with decided_by and p_<voter>_<class>, at the temperatures at which the rule was
    applied. Raises UserError: a class has no entry in the map.
    """
    said = teachers_probabilities(rows, rule)
    if rule.rule == "log_pool":
        together = pooled_votes(said, rule)
        shares = _of_labels(together.pooled, together.pooled_classes, rule, labels)
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
