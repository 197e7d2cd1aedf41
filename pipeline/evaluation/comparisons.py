"""Are the networks of a table different from its ParallelNet on the same rows, and from always naming one class?

In   bool [rows] by network: whether it is right; the group of each row
Out  per network: the difference of accuracies with its 95 % interval by groups, McNemar's exact test, a test that deals
     signs to groups, and both p-values as Holm corrects them for the number of networks compared

McNemar's test takes rows for independent, which rows of one tweet are not; under the null hypothesis of the other one
the two networks' answers may be exchanged group by group (S. Holm, 1979; Q. McNemar, 1947; E. J. G. Pitman, 1937).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import permutation_test

from pipeline.evaluation import pairs

COLUMNS = (
    "rows_of", "model", "against", "rows", "groups", "difference", "low", "high", "only_right", "only_other_right",
    "p_mcnemar", "p_mcnemar_holm", "p_groups", "p_groups_holm",
)  # fmt: skip
REFERENCES = ("parallelnet", "parallelnet_sentiment")

Right = NDArray[np.bool_]


def reference(names: Sequence[str]) -> str:
    """The network that others are compared with: ParallelNet, or the first one."""
    return next((name for name in names if name in REFERENCES), names[0])


def compare(
    right: Mapping[str, Right], against: str, groups: ArrayLike, *, rows_of: str, samples: int, seed: int
) -> list[dict[str, Any]]:
    """A row of `COLUMNS` for each other key of `right`; intervals are None of fewer groups than ten."""
    found = []
    for name, flags in right.items():
        if name == against:
            continue
        pair = pairs.paired(flags, right[against], groups, samples=samples, seed=seed)
        difference = pair["difference"]
        found.append({
            "rows_of": rows_of, "model": name, "against": against, "rows": pair["rows"], "groups": pair["groups"],
            "difference": difference["value"], "low": difference["low"], "high": difference["high"],
            "only_right": pair["only_right"], "only_other_right": pair["only_other_right"],
            "p_mcnemar": pair["p_value"], "p_groups": by_groups(flags, right[against], groups, samples, seed),
        })  # fmt: skip
    for test in ("p_mcnemar", "p_groups"):
        for row, corrected in zip(found, holm([row[test] for row in found]), strict=True):
            row[f"{test}_holm"] = corrected
    return found


def by_groups(right: Right, other: Right, groups: ArrayLike, samples: int, seed: int) -> float:
    """Two-sided p-value of the difference of right answers when signs are dealt to groups; exact for few groups."""
    codes = pd.factorize(np.asarray(groups))[0]
    sums = np.bincount(codes, weights=right.astype(np.float64) - other)
    unequal = sums[sums != 0]  # the others add nothing, whatever their sign
    if len(unequal) < 2:
        return 1.0  # either sign is as far from no difference
    test = permutation_test(
        (unequal,), np.sum, permutation_type="samples", vectorized=True, n_resamples=samples,
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    return float(test.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values that may be compared with a level as if only one test had been made (step-down, never falling)."""
    order, adjusted, highest = np.argsort(p_values, kind="stable"), np.empty(len(p_values)), 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return [float(value) for value in adjusted]
