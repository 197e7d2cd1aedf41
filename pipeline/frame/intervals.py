"""Intervals of 95 % for figures of rows that come in groups.

In   of each row a value, or whether it is flagged, and its group: rows of a group share a tweet or a picture
Out  the low and the high end; None where there are too few groups to tell

Rows of a group are like each other, so that groups vary and not rows: drawn row by row, intervals of tweets with four
pictures hold the truth in 78 % of cases instead of 95 %.
"""

from collections.abc import Callable, Iterator, Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
PERCENTILES = (2.5, 97.5)
LEAST_GROUPS = 10  # of resamples: percentiles of fewer hold the truth in 50 to 90 % of cases
NOT_MEASURED = "not measured"  # of a teacher that no row of its corpus could be asked of
_DRAWS_AT_ONCE = 100  # which bounds memory
_Z = NormalDist().inv_cdf(0.975)

Interval = tuple[float, float]
Values = NDArray[np.float64]


def of_share(flags: NDArray[np.bool_], groups: ArrayLike) -> Interval:
    """Of the share of rows that are flagged, [rows] each, at least one.

    Wilson's, with as many rows as, drawn one by one, would have the share's variance between groups (L. Kish, Survey
    Sampling, 1965: the design effect).
    """
    rows, p = len(flags), float(flags.mean())
    sums, sizes = _per_group(flags.astype(np.float64), groups), _per_group(np.ones(rows), groups)
    count = len(sizes)
    variance = float(((sums - p * sizes) ** 2).sum()) / rows**2
    # Where no row, or each, is flagged, groups may still be of one mind.
    n = count if p in {0.0, 1.0} else min(rows, p * (1 - p) / variance) if variance else rows
    middle, half = p + _Z**2 / (2 * n), _Z * (p * (1 - p) / n + _Z**2 / (4 * n**2)) ** 0.5
    low, high = ((middle + sign * half) / (1 + _Z**2 / n) for sign in (-1, 1))
    return max(low, 0.0), min(high, 1.0)


def of_mean(values: ArrayLike, weights: ArrayLike, groups: ArrayLike) -> Interval | None:
    """Of the weighted mean of `values`, [rows] each: Student's t with a degree of freedom less than there are groups.

    Its variance is that of the groups' weighted distances from the mean (linearisation, as for a ratio).
    """
    numbers, weight = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    mean = float(np.average(numbers, weights=weight))
    distances = _per_group(weight * (numbers - mean), groups)
    count = len(distances)
    if count < 2:
        return None
    error = float(np.sqrt(count / (count - 1) * (distances**2).sum())) / float(weight.sum())
    half = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * error
    return mean - half, mean + half


def of_sums(
    sums: NDArray[np.generic], statistic: Callable[[Values], Values], samples: int, seed: int,
    around: Values | None = None,
) -> Values:  # fmt: skip
    """Percentiles of what `statistic` makes of totals over resampled groups, [2, figures]; NaN where it defines none.

    Args:
        sums: of each group, [groups, ...], at least `LEAST_GROUPS` (ValueError).
        statistic: from totals [draws, ...] to figures [draws, figures].
        around: [figures] of all groups, for figures that noise alone makes larger, such as distances: resamples are
            noisier than the rows, so that their mean excess over `around` is taken off.
    """
    if len(sums) < LEAST_GROUPS:
        raise ValueError(f"expected {LEAST_GROUPS} groups or more to resample, found {len(sums)}")
    figures = np.concatenate([statistic(totals) for totals in _resampled(sums, samples, seed)])
    ends = np.full((2, figures.shape[1]), np.nan)
    for column, drawn in enumerate(figures.T):
        defined = drawn[~np.isnan(drawn)]
        if len(defined):
            excess = 0.0 if around is None else defined.mean() - around[column]
            ends[:, column] = np.percentile(defined, PERCENTILES) - excess
    return ends


def accuracy_in_words(shown: Mapping[str, Any] | None) -> str:
    """A teacher's accuracy, never without its interval, its rows and what the commonest class gives."""
    if shown is None:
        return NOT_MEASURED
    interval = f"{shown['low']:.0%} to {shown['high']:.0%}, {shown['rows']:,} rows"
    return f"{shown['accuracy']:.1%} ({interval}; commonest class {shown['commonest_class']:.0%}; {shown['protocol']})"


def tested_in_words(evaluated: Mapping[str, Any], name: str, of: str = "") -> tuple[str, str]:
    """Accuracy of network `name` of reports/evaluate.json on its test rows, and what it must be read against.

    `of` follows the number of rows.
    """
    network = evaluated["models"][name]
    test = network["test"]
    low, high = test["intervals"]["accuracy"]
    simple = commonest_class(evaluated, network["rows"])
    return (
        f"{test['accuracy']:.1%}",
        f"({low:.1%} to {high:.1%}, {test['rows']:,} rows{of}; commonest class {simple:.1%})",
    )


def commonest_class(evaluated: Mapping[str, Any], rows: str) -> float:
    """Accuracy that always naming the commonest class has on these test rows, by reports/evaluate.json."""
    return float(evaluated["without_training"][rows]["majority_class"]["accuracy"])


def picture_share_in_words(explained: Mapping[str, Any]) -> tuple[str, str, str]:
    """Of reports/explain.json the first pair of baselines, and against it the picture's share and its interval."""
    first, baseline = next(iter(explained["baselines"].items()))
    return first, *mean_in_words(baseline["modality_share"]["all"]["image"])


def mean_in_words(found: Mapping[str, Any]) -> tuple[str, str]:
    """A share's mean, and its interval, which may lack where rows are few."""
    if found["low"] is None:
        return f"{found['mean']:.1%}", "too few groups for an interval"
    return f"{found['mean']:.1%}", f"{max(found['low'], 0.0):.1%} to {min(found['high'], 1.0):.1%}"


def _resampled(sums: NDArray[np.generic], samples: int, seed: int) -> Iterator[Values]:
    """Totals [draws, ...] over as many groups as there are, drawn with replacement."""
    rng, flat = np.random.default_rng(seed), sums.reshape(len(sums), -1).astype(np.float64)
    for start in range(0, samples, _DRAWS_AT_ONCE):
        size = min(_DRAWS_AT_ONCE, samples - start)
        times = rng.multinomial(len(flat), np.full(len(flat), 1 / len(flat)), size=size)
        yield (times @ flat).reshape(size, *sums.shape[1:])


def _per_group(values: Values, groups: ArrayLike) -> Values:
    sums: Values = np.bincount(pd.factorize(np.asarray(groups))[0], weights=values).astype(np.float64)
    return sums
