"""Are probabilities what they say? Temperature scaling (Guo et al. 2017) and the table of a reliability diagram.

In   logits or probabilities [n, classes] and the true class of each row, on rows the model was not fitted on
Out  a temperature; a table with one row per confidence bin; calibration errors and the Brier score
"""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

ERRORS = ("ece", "adaptive_ece", "brier")

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
    confidence, right = _confidence(probabilities, labels, classes)
    edges = np.linspace(0.0, 1.0, bins + 1)
    bin_of_row = _bin_of_row(confidence, edges)
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


def error_sums(
    probabilities: NDArray[np.float32], labels: Sequence[str], classes: Sequence[str], bins: int = 10
) -> NDArray[np.float64]:
    """Of each row what `calibration_errors` takes sums of, float64 [n, 2 * bins + 2], n at least 1.

    Confidence above rightness (1 or 0) in the row's bin, of bins of equal width and of equally many rows, whose edges
    are quantiles of the confidence; the squared distance from the true class; and 1.
    """
    confidence, right = _confidence(probabilities, labels, classes)
    sums = np.zeros((len(confidence), 2 * bins + 2))
    quantiles = np.quantile(confidence, np.linspace(0.0, 1.0, bins + 1))
    for first, edges in ((0, np.linspace(0.0, 1.0, bins + 1)), (bins, quantiles)):
        sums[np.arange(len(sums)), first + _bin_of_row(confidence, edges)] = confidence - right
    actual = np.asarray(labels)[:, np.newaxis] == np.asarray(classes)
    sums[:, -2] = ((probabilities.astype(np.float64) - actual) ** 2).sum(axis=1)
    sums[:, -1] = 1
    return sums


def calibration_errors(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """`ERRORS` from totals of `error_sums`, [..., 2 * bins + 2] to [..., 3].

    ece: expected calibration error of the likeliest class (Naeini et al. 2015), in bins of equal width; adaptive_ece:
    in bins of equally many rows (Nixon et al. 2019); brier: over all classes, from 0 to 2 (Brier 1950).
    """
    bins, rows = (totals.shape[-1] - 2) // 2, totals[..., -1]
    gaps = [np.abs(totals[..., first : first + bins]).sum(axis=-1) for first in (0, bins)]
    return np.stack([*gaps, totals[..., -2]], axis=-1) / rows[..., np.newaxis]


def _confidence(
    probabilities: NDArray[np.float32], labels: Sequence[str], classes: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    right = np.asarray(classes)[probabilities.argmax(axis=1)] == np.asarray(labels, dtype=str)
    return probabilities.max(axis=1).astype(np.float64), np.asarray(right, dtype=bool)


def _bin_of_row(confidence: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.intp]:
    # Sums of float32 can exceed 1 by a rounding error.
    return np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, len(edges) - 2)
