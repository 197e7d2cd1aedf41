"""Is one network better than another on the same rows? For networks beyond the paper, against their counterpart in it.

In   masks of rows, bool [rows], in which either network is right; the group of each row, and who decided its label
Out  per kind of row: both accuracies and their difference with 95 % intervals, and McNemar's exact test

Rows of a group share a tweet or a picture: intervals are percentiles of resampled groups. McNemar's test counts rows in
which only one of both is right; the groups make it a little too sure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from pipeline.frame import intervals, tables
from pipeline.networks.params import ModelParams

ALL = "all"

Right = NDArray[np.bool_]


def counterparts(models: Mapping[str, ModelParams]) -> Iterator[tuple[str, str]]:
    """Networks of the dataset that hear words, each with the first one that differs only in its backbone of speech."""
    for name, model in models.items():
        if model.hears_words and model.rows == "sier":
            for other, design in models.items():
                if not design.hears_words and replace(design, speech_backbone=model.speech_backbone) == model:
                    yield name, other
                    break


def compare(
    right: Right, other: Right, groups: ArrayLike, decided_by: ArrayLike, *, samples: int, seed: int
) -> dict[str, Any]:
    """`paired` of all rows, and by who decided the label."""
    deciders, codes = np.asarray(decided_by), pd.factorize(np.asarray(groups))[0]
    chosen = {ALL: np.ones(len(right), dtype=np.bool_)} | {name: deciders == name for name in tables.MODALITIES}
    return {
        name: paired(right[rows], other[rows], codes[rows], samples=samples, seed=seed) for name, rows in chosen.items()
    }


def paired(right: Right, other: Right, groups: ArrayLike, *, samples: int, seed: int) -> dict[str, Any]:
    """rows, groups; accuracy, other_accuracy, difference: value, low, high; only_right, only_other_right, p_value.

    Without rows only their number; of too few groups no intervals.
    """
    if not len(right):
        return {"rows": 0}
    codes = pd.factorize(np.asarray(groups))[0]
    # Sums per group: rows, and those in which either network is right.
    sums = np.stack([np.bincount(codes, weights=values) for values in (np.ones(len(right)), right, other)], axis=1)
    values = {"accuracy": right.mean(), "other_accuracy": other.mean(), "difference": right.mean() - other.mean()}
    ends: Any = [(None, None)] * len(values)
    if len(sums) >= intervals.LEAST_GROUPS:
        ends = intervals.of_sums(sums, _shares_and_difference, samples, seed).T.tolist()
    result: dict[str, Any] = {"rows": len(right), "groups": len(sums)}
    for (name, value), (low, high) in zip(values.items(), ends, strict=True):
        result[name] = {"value": float(value), "low": low, "high": high}
    one, two = int((right & ~other).sum()), int((other & ~right).sum())
    p_value = float(binomtest(one, one + two).pvalue) if one + two else 1.0
    return {**result, "only_right": one, "only_other_right": two, "p_value": p_value}


def _shares_and_difference(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    one, two = totals[:, 1] / totals[:, 0], totals[:, 2] / totals[:, 0]
    return np.stack([one, two, one - two], axis=1)


def sentence(pair: Mapping[str, Any]) -> str:
    """The comparison on rows that speech decided, in words; `pair` is that of `compare`, with `model` and `against`."""
    found = pair["speech"]
    if not found["rows"]:
        return f"{pair['model']}: speech decided no row of test"
    alone = f"{found['only_right']} and {found['only_other_right']} rows that one alone has right"
    return (
        f"{pair['model']} on {found['rows']} rows ({found['groups']} groups) that speech decided: "
        f"{_percent(found['accuracy'])}, {pair['against']} {_percent(found['other_accuracy'])}; exact McNemar test "
        f"p = {found['p_value']:.3f}, from {alone}"
    )


def _percent(share: Mapping[str, Any]) -> str:
    interval = "" if share["low"] is None else f" [{share['low']:.1%}, {share['high']:.1%}]"
    return f"{share['value']:.1%}{interval}"
