"""How good are predictions? The paper's three metrics (section 4.2), their intervals, and accuracy by kind of row.

In   class ids, int64 [rows]: true and predicted; the classes' names in the order of their ids; the group of each row
Out  plain values for a metrics file: shares in [0, 1], kappa in [-1, 1]; None where a metric is not defined

Intervals hold 95 %, and are by group (see `pipeline.frame.intervals`).
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics as sklearn_metrics

from pipeline.frame import intervals

METRICS = ("accuracy", "macro_f1", "cohen_kappa")

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


def measure(
    truth: Ids, predicted: Ids, names: Sequence[str], groups: ArrayLike, *, samples: int, seed: int
) -> dict[str, Any]:
    """All that is said about one model's predictions of one set of rows. Raises ValueError: no rows.

    rows, groups, the `METRICS`; intervals: metric -> (low, high) or None; per_class: name -> recall, precision, f1,
    support; confusion_matrix: [true][predicted].
    """
    ids = range(len(names))
    values = overall_metrics(truth, predicted, len(names))
    counts = sklearn_metrics.confusion_matrix(truth, predicted, labels=ids)
    precision, recall, f1, support = sklearn_metrics.precision_recall_fscore_support(
        truth, predicted, labels=ids, zero_division=np.nan
    )
    scores = {"recall": recall, "precision": precision, "f1": f1}
    of_groups = matrices_of_groups(truth, predicted, groups, len(names))
    drawn = bootstrap(of_groups, samples=samples, seed=seed)
    return {
        "rows": len(truth),
        "groups": len(of_groups),
        **values,
        "intervals": drawn | {"accuracy": intervals.of_share(truth == predicted, groups)},
        "per_class": {
            name: {**{score: _defined(of_class[index]) for score, of_class in scores.items()}, "support": int(rows)}
            for index, (name, rows) in enumerate(zip(names, support, strict=True))
        },
        "confusion_matrix": counts.tolist(),
    }


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def bootstrap(counts: Ids, *, samples: int, seed: int) -> dict[str, tuple[float, float] | None]:
    """Percentile intervals of the `METRICS` for the confusion matrices of groups, [groups, true, predicted].

    All three depend on the confusion matrix only, so that a draw of groups is a sum of theirs. Draws in which a metric
    is not defined do not count for it; None of too few groups.
    """
    if len(counts) < intervals.LEAST_GROUPS:
        return dict.fromkeys(METRICS)
    ends = intervals.of_sums(counts, metrics_of_matrices, samples, seed)
    return {
        name: None if np.isnan(low) else (float(low), float(high))
        for name, low, high in zip(METRICS, *ends, strict=True)
    }


def matrices_of_groups(truth: Ids, predicted: Ids, groups: ArrayLike, classes: int) -> Ids:
    """Confusion matrices, int64 [groups, true, predicted]."""
    codes, names = pd.factorize(np.asarray(groups))
    cells = np.ravel_multi_index((codes, truth, predicted), (len(names), classes, classes))
    return np.bincount(cells, minlength=len(names) * classes**2).reshape(len(names), classes, classes)


def metrics_of_matrices(matrices: NDArray[Any]) -> NDArray[np.float64]:
    """The `METRICS` of many confusion matrices at once, as `overall_metrics` defines them.

    Takes counts [draws, true, predicted], all of them with rows; returns [draws, 3], NaN where one is not defined.
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


def over_runs(per_run: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Mean and standard_deviation (of a sample) of each of the `METRICS` over runs, which differ in fold or seed.

    The latter is None for one run, both where the metric of a run is not defined.
    """
    summary: dict[str, dict[str, float | None]] = {}
    for name in METRICS:
        values = [value for run in per_run if (value := run[name]) is not None]
        complete = len(values) == len(per_run) > 0
        summary[name] = {
            "mean": float(np.mean(values)) if complete else None,
            "standard_deviation": float(np.std(values, ddof=1)) if complete and len(values) > 1 else None,
        }
    return summary


def share(correct: NDArray[np.bool_], groups: ArrayLike) -> dict[str, Any]:
    """Accuracy of a few rows: rows, groups, accuracy, low, high; None without rows."""
    if not len(correct):
        return {"rows": 0, "groups": 0, "accuracy": None, "low": None, "high": None}
    low, high = intervals.of_share(correct, groups)
    number = len(np.unique(np.asarray(groups)))
    return {"rows": len(correct), "groups": number, "accuracy": float(correct.mean()), "low": low, "high": high}


def by_bin(
    values: NDArray[np.floating[Any]], correct: NDArray[np.bool_], groups: ArrayLike, edges: Sequence[float]
) -> list[dict[str, Any]]:
    """Accuracy of rows by bins of a value in [0, 1]: lower, upper, mean (of the values, None without rows), `share`.

    Bins meet at `edges`, to which 0 and 1 are added. A bin holds its lower edge, the last one also 1.
    """
    bounds, names = sorted({0.0, *edges, 1.0}), np.asarray(groups)
    # In float32 like the stored values, so that a confidence of 0.7 lies in the bin that starts at 0.7.
    bin_of = np.clip(np.digitize(values, np.array(bounds, dtype=values.dtype)) - 1, 0, len(bounds) - 2)
    bins = []
    for index, (lower, upper) in enumerate(pairwise(bounds)):
        inside = bin_of == index
        mean = float(values[inside].mean()) if inside.any() else None
        bins.append({"lower": lower, "upper": upper, "mean": mean, **share(correct[inside], names[inside])})
    return bins
