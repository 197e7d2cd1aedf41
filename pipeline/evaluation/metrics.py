"""How good are predictions? The paper's three metrics (section 4.2), their intervals, and accuracy by kind of row.

In   class ids, int64 [rows]: true and predicted; the classes' names in the order of their ids
Out  plain values for a metrics file: shares in [0, 1], kappa in [-1, 1]; None where a metric is not defined

Intervals hold 95 %. Rows count as independent, though some share a tweet or a picture: that makes them a little narrow.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn import metrics as sklearn_metrics

METRICS = ("accuracy", "macro_f1", "cohen_kappa")
LEVEL = 0.95
PERCENTILES = (2.5, 97.5)

Ids = NDArray[np.int64]


def overall_metrics(truth: Ids, predicted: Ids, classes: int) -> dict[str, float | None]:
    """The values of `METRICS`. Raises ValueError: no rows.

    Macro F1 is the mean of the classes' F1 (Opitz and Burst's "averaged F1"); a class that is neither true nor
    predicted in any row has none and is left out. Kappa is not defined where all is one class.
    """
    if not len(truth):
        raise ValueError("nothing to measure: no rows")
    ids = range(classes)
    macro_f1 = sklearn_metrics.f1_score(truth, predicted, labels=ids, average="macro", zero_division=np.nan)
    one_class = len(np.union1d(truth, predicted)) == 1
    kappa = None if one_class else float(sklearn_metrics.cohen_kappa_score(truth, predicted, labels=ids))
    return {
        "accuracy": float(sklearn_metrics.accuracy_score(truth, predicted)),
        "macro_f1": float(macro_f1),
        "cohen_kappa": kappa,
    }


def measure(truth: Ids, predicted: Ids, names: Sequence[str], *, samples: int, seed: int) -> dict[str, Any]:
    """All that is said about one model's predictions of one set of rows. Raises ValueError: no rows.

    rows, the `METRICS`; intervals: metric -> (low, high) or None; per_class: name -> recall, precision, f1, support;
    confusion_matrix: [true][predicted].
    """
    ids = range(len(names))
    values = overall_metrics(truth, predicted, len(names))
    counts = sklearn_metrics.confusion_matrix(truth, predicted, labels=ids)
    precision, recall, f1, support = sklearn_metrics.precision_recall_fscore_support(
        truth, predicted, labels=ids, zero_division=np.nan
    )
    scores = {"recall": recall, "precision": precision, "f1": f1}
    return {
        "rows": len(truth),
        **values,
        "intervals": bootstrap(counts, samples=samples, seed=seed),
        "per_class": {
            name: {**{score: _defined(of_class[index]) for score, of_class in scores.items()}, "support": int(rows)}
            for index, (name, rows) in enumerate(zip(names, support, strict=True))
        },
        "confusion_matrix": counts.tolist(),
    }


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def bootstrap(counts: Ids, *, samples: int, seed: int) -> dict[str, tuple[float, float] | None]:
    """Percentile intervals of the `METRICS` for a confusion matrix [true, predicted], from rows drawn with replacement.

    All three depend on the confusion matrix only, and drawing rows is drawing its cells from a multinomial. So time and
    memory do not grow with the rows. Draws in which a metric is not defined do not count for it.
    """
    total = int(counts.sum())
    draws = np.random.default_rng(seed).multinomial(total, (counts / total).ravel(), size=samples)
    intervals: dict[str, tuple[float, float] | None] = {}
    for name, values in zip(METRICS, metrics_of_matrices(draws.reshape(samples, *counts.shape)).T, strict=True):
        defined = values[~np.isnan(values)]
        low, high = np.percentile(defined, PERCENTILES) if len(defined) else (math.nan, math.nan)
        intervals[name] = (float(low), float(high)) if len(defined) else None
    return intervals


def metrics_of_matrices(matrices: Ids) -> NDArray[np.float64]:
    """The `METRICS` of many confusion matrices at once, as `overall_metrics` defines them.

    Takes int64 [draws, true, predicted], all of them with rows; returns [draws, 3], NaN where one is not defined.
    """
    rows = matrices.sum(axis=(1, 2))
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    true, predicted = matrices.sum(axis=2), matrices.sum(axis=1)
    accuracy = hits.sum(axis=1) / rows
    occurring = true + predicted > 0
    f1 = np.divide(2 * hits, true + predicted, out=np.zeros(hits.shape), where=occurring)
    expected = (true * predicted).sum(axis=1) / rows**2
    kappa = np.full(len(matrices), np.nan)
    np.divide(accuracy - expected, 1 - expected, out=kappa, where=occurring.sum(axis=1) > 1)
    return np.stack([accuracy, f1.sum(axis=1) / occurring.sum(axis=1), kappa], axis=1)


def over_folds(per_fold: Sequence[dict[str, float | None]]) -> dict[str, dict[str, float | None]]:
    """Mean and standard_deviation (of a sample) of each of the `METRICS` over folds.

    The latter is None for one fold, both where the metric of a fold is not defined.
    """
    summary: dict[str, dict[str, float | None]] = {}
    for name in METRICS:
        values = [value for fold in per_fold if (value := fold[name]) is not None]
        complete = len(values) == len(per_fold) > 0
        summary[name] = {
            "mean": float(np.mean(values)) if complete else None,
            "standard_deviation": float(np.std(values, ddof=1)) if complete and len(values) > 1 else None,
        }
    return summary


def share(correct: NDArray[np.bool_]) -> dict[str, Any]:
    """Accuracy of a few rows: rows, accuracy, low, high; None without rows.

    The interval is Wilson's: a bootstrap of three rows that are all right would have no width.
    """
    if not len(correct):
        return {"rows": 0, "accuracy": None, "low": None, "high": None}
    low, high = binomtest(int(correct.sum()), len(correct)).proportion_ci(LEVEL, method="wilson")
    return {"rows": len(correct), "accuracy": float(correct.mean()), "low": float(low), "high": float(high)}


def by_bin(
    values: NDArray[np.floating[Any]], correct: NDArray[np.bool_], edges: Sequence[float]
) -> list[dict[str, Any]]:
    """Accuracy of rows by bins of a value in [0, 1]: lower, upper, mean (of the values, None without rows), `share`.

    Bins meet at `edges`, to which 0 and 1 are added. A bin holds its lower edge, the last one also 1.
    """
    bounds = sorted({0.0, *edges, 1.0})
    # In float32 like the stored values, so that a confidence of 0.7 lies in the bin that starts at 0.7.
    bin_of = np.clip(np.digitize(values, np.array(bounds, dtype=values.dtype)) - 1, 0, len(bounds) - 2)
    bins = []
    for index, (lower, upper) in enumerate(pairwise(bounds)):
        inside = bin_of == index
        mean = float(values[inside].mean()) if inside.any() else None
        bins.append({"lower": lower, "upper": upper, "mean": mean, **share(correct[inside])})
    return bins
