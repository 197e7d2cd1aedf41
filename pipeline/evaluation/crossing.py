"""Test rows that are like rows which networks have learnt from: of B-T4SA's own splits, which were not made by group.

In   the split and the group of each row: rows of a group share a tweet, or nearly the same words or picture
Out  which test rows those are, accuracy without them, and a note below Table 3
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pipeline.evaluation import baselines, metrics

KEY = "without_crossing_groups"  # of test results

Mask = NDArray[np.bool_]


def crossing_rows(rows: pd.DataFrame, groups: pd.Series) -> Mask:
    """Which rows are of a group that has rows outside test, [rows].

    Args:
        rows: columns id and split (train, val or test).
        groups: by id.
    """
    group = groups.loc[rows["id"]]
    crossing: Mask = group.isin(group[(rows["split"] != "test").to_numpy()]).to_numpy()
    return crossing


def without_crossing_groups(correct: Mask, groups: ArrayLike, crossing: Mask) -> dict[str, Any]:
    """`metrics.share` of the test rows that cross nothing, [rows] each, and the number of the others."""
    return {**metrics.share(correct[~crossing], np.asarray(groups)[~crossing]), "crossing_rows": int(crossing.sum())}


def notes(findings: Mapping[str, Any]) -> list[str]:
    """What Table 3 says of them, from the content of reports/evaluate.json; nothing without a network of these rows."""
    tests = {name: result["test"] for name, result in findings["models"].items() if result["rows"] == "clean"}
    if not tests:
        return []
    rows, found = next((test["rows"], test[KEY]) for test in tests.values())
    told = (
        f"{found['crossing_rows']:,} of {rows:,} test rows are of a group (one tweet, nearly the same words or "
        "picture) that also has rows in train or val: these splits were not made by group."
    )
    if found["crossing_rows"] and found["rows"]:
        tests["the majority class"] = findings["without_training"]["clean"][baselines.MAJORITY]
        shown = "; ".join(f"{name} {_accuracy(test[KEY])}" for name, test in tests.items())
        told += f" Test accuracy on the other {found['rows']:,}: {shown}."
    return [told]


def _accuracy(found: Mapping[str, Any]) -> str:
    return f"{100 * found['accuracy']:.2f} [{100 * found['low']:.2f}, {100 * found['high']:.2f}] %"
