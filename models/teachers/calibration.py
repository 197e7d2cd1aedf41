"""Are probabilities what they say? Temperature scaling (Guo et al. 2017) and the table of a reliability diagram.

In   logits or probabilities [n, classes] and the true class of each row, on rows the model was not fitted on
Out  a temperature; a table with one row per confidence bin
"""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

# From a hundredth to a hundred times: beyond, a held-out set is separated perfectly or says nothing.
_LOG_RANGE = (-4.6, 4.6)


def fit_temperature(logits: NDArray[np.float64], labels: Sequence[str], classes: Sequence[str]) -> float:
    """The temperature T that makes softmax(logits / T) most likely on held-out rows; above 1: it was too sure.

    Logits are float64 [n, classes]. Rows of a class that the model could not know (logit minus infinity) are left out:
    no temperature helps them. T is 1 where the rows cannot tell: none are left, or all are right (then any smaller T
    fits them better, which on a handful of rows would make a probe absolutely sure).
    """
    columns = np.array([list(classes).index(label) for label in labels], dtype=np.int64)
    true = logits[np.arange(len(columns)), columns]
    known = np.isfinite(true)
    if not known.any() or (logits[known].argmax(axis=1) == columns[known]).all():
        return 1.0

    def loss(temperature: float) -> float:
        return float(np.mean(logsumexp(logits[known] / temperature, axis=1) - true[known] / temperature))

    return best_temperature(loss)


def best_temperature(loss: Callable[[float], float]) -> float:
    """The temperature with the least loss, from a hundredth to a hundred."""
    best = minimize_scalar(
        lambda log_temperature: loss(float(np.exp(log_temperature))),
        bounds=_LOG_RANGE, method="bounded", options={"xatol": 1e-6},
    )  # fmt: skip
    return float(np.exp(best.x))


def reliability_bins(
    probabilities: NDArray[np.float32], labels: Sequence[str], classes: Sequence[str], bins: int = 10
) -> pa.Table:
    """Confidence against accuracy, in bins of equal width over [0, 1], one row per bin, empty ones too.

    Columns: lower, upper (edges; a bin holds its upper edge, the first one both), rows, mean_confidence and accuracy
    (null where rows is 0).
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = np.asarray(classes)[probabilities.argmax(axis=1)] == np.asarray(labels)
    edges = np.linspace(0.0, 1.0, bins + 1)
    # Sums of float32 can exceed 1 by a rounding error.
    bin_of_row = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    rows = np.bincount(bin_of_row, minlength=bins)
    empty = rows == 0
    divisor = np.maximum(rows, 1)
    return pa.table(
        {
            "lower": edges[:-1],
            "upper": edges[1:],
            "rows": rows.astype(np.int64),
            "mean_confidence": pa.array(np.bincount(bin_of_row, confidence, bins) / divisor, mask=empty),
            "accuracy": pa.array(np.bincount(bin_of_row, right, bins) / divisor, mask=empty),
        }
    )
