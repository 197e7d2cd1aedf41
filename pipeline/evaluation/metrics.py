"""How good are predictions? The paper's three figures (section 4.2), their intervals, and accuracy by kind of row.

In   class ids, int64 [rows]: true and predicted; the classes' names in the order of their ids
Out  plain values for a metrics file: shares in [0, 1], kappa in [-1, 1]; None where a figure is not defined

Intervals hold 95 %. Rows count as independent, though some share a tweet or a picture: that makes them a little narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)

FIGURES = ("accuracy", "macro_f1", "cohen_kappa")
LEVEL = 0.95
PERCENTILES = (2.5, 97.5)

Ids = NDArray[np.int64]


def figures(truth: Ids, predicted: Ids, classes: int) -> dict[str, float | None]:
    """The values of `FIGURES`.

    Macro F1 is the mean of the classes' F1 (Opitz and Burst's "averaged F1"); a class that is neither true nor
    predicted in any row has none and is left out. Kappa is not defined where all is one class.

    Raises:
        ValueError: no rows.
    """
    if not len(truth):
        raise ValueError("nothing to measure: no rows")
    ids = list(range(classes))
    one_class = len(np.union1d(truth, predicted)) == 1
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "macro_f1": float(f1_score(truth, predicted, labels=ids, average="macro", zero_division=np.nan)),
        "cohen_kappa": None if one_class else float(cohen_kappa_score(truth, predicted, labels=ids)),
    }


def measure(truth: Ids, predicted: Ids, names: Sequence[str], *, samples: int, seed: int) -> dict[str, Any]:
    """All that is said about one model's predictions of one set of rows.

    Args:
        truth: [rows].
        predicted: [rows].
        names: of the classes.
        samples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        rows, the `FIGURES`, intervals: figure -> (low, high) or None, per_class: name -> recall, precision, f1,
        support; confusion_matrix: [true][predicted].

    Raises:
        ValueError: no rows.
    """
    values = figures(truth, predicted, len(names))
    counts = confusion_matrix(truth, predicted, labels=range(len(names)))
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=range(len(names)), zero_division=np.nan
    )
    return {
        "rows": len(truth),
        **values,
        "intervals": bootstrap(counts, samples=samples, seed=seed),
        "per_class": {
            name: {
                "recall": _defined(recall[place]),
                "precision": _defined(precision[place]),
                "f1": _defined(f1[place]),
                "support": int(support[place]),
            }
            for place, name in enumerate(names)
        },
        "confusion_matrix": counts.tolist(),
    }


def bootstrap(counts: Ids, *, samples: int, seed: int) -> dict[str, tuple[float, float] | None]:
    """Percentile intervals of the `FIGURES`, from rows drawn anew with replacement.

    All three depend on the confusion matrix only, and drawing rows is drawing its cells from a multinomial. So time and
    memory do not grow with the rows. Draws in which a figure is not defined do not count for it.

    Args:
        counts: the confusion matrix, [true, predicted].
        samples: draws.
        seed: of the draws.
    """
    total = int(counts.sum())
    draws = np.random.default_rng(seed).multinomial(total, (counts / total).ravel(), size=samples)
    drawn = figures_of_matrices(draws.reshape(samples, *counts.shape))
    found: dict[str, tuple[float, float] | None] = {}
    for place, name in enumerate(FIGURES):
        values = drawn[:, place]
        values = values[~np.isnan(values)]
        low, high = np.percentile(values, PERCENTILES) if len(values) else (math.nan, math.nan)
        found[name] = (float(low), float(high)) if len(values) else None
    return found


def figures_of_matrices(matrices: Ids) -> NDArray[np.float64]:
    """The `FIGURES` of many confusion matrices at once, as `figures` defines them.

    Args:
        matrices: int64 [draws, true, predicted], all of them with rows.

    Returns:
        float64 [draws, 3]; NaN where a figure is not defined.
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
    """Mean and sample standard deviation of each of the `FIGURES` over folds.

    Returns:
        figure -> mean, standard_deviation; the latter is None for one fold, both where a fold's figure is not defined.
    """
    found: dict[str, dict[str, float | None]] = {}
    for name in FIGURES:
        values = [value for fold in per_fold if (value := fold[name]) is not None]
        complete = len(values) == len(per_fold) > 0
        found[name] = {
            "mean": float(np.mean(values)) if complete else None,
            "standard_deviation": float(np.std(values, ddof=1)) if complete and len(values) > 1 else None,
        }
    return found


def share(correct: NDArray[np.bool_]) -> dict[str, Any]:
    """Accuracy of a few rows: rows, accuracy, low, high; None without rows.

    The interval is Wilson's: a bootstrap of three rows that are all right would have no width.
    """
    if not len(correct):
        return {"rows": 0, "accuracy": None, "low": None, "high": None}
    interval = binomtest(int(correct.sum()), len(correct)).proportion_ci(LEVEL, method="wilson")
    return {
        "rows": len(correct),
        "accuracy": float(correct.mean()),
        "low": float(interval.low),
        "high": float(interval.high),
    }


def by_bin(
    values: NDArray[np.floating[Any]], correct: NDArray[np.bool_], edges: Sequence[float]
) -> list[dict[str, Any]]:
    """Accuracy of rows by bins of a value in [0, 1]; every row is in exactly one.

    Args:
        values: [rows], such as confidence of the label.
        correct: [rows].
        edges: where bins meet; 0 and 1 are added. A bin holds its lower edge, the last one also 1.

    Returns:
        per bin: lower, upper, mean (of the values, None without rows), and those of `share`.
    """
    bounds = sorted({0.0, *edges, 1.0})
    # In float32 like the stored values, so that a confidence of 0.7 lies in the bin that starts at 0.7.
    places = np.clip(np.digitize(values, np.array(bounds, dtype=values.dtype)) - 1, 0, len(bounds) - 2)
    found = []
    for place, (lower, upper) in enumerate(pairwise(bounds)):
        inside = places == place
        mean = float(values[inside].mean()) if inside.any() else None
        found.append({"lower": lower, "upper": upper, "mean": mean, **share(correct[inside])})
    return found


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
