"""Two labellings of the same rows side by side."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pipeline.frame.intervals import of_share
from pipeline.labels.validity import Measure, numbers


def compare(before: pd.DataFrame, after: pd.DataFrame, rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Of those `rows` (sentiment, group_id) that one labelling knows: what the other makes of their labels.

    Labellings have `label` and `kept`; all three tables are indexed by id.
    """
    rows = rows[rows.index.isin(before.index) | rows.index.isin(after.index)]
    was, now = (table["kept"].reindex(rows.index, fill_value=False).to_numpy(dtype=bool) for table in (before, after))
    old, new = (table["label"].reindex(rows.index, fill_value="").to_numpy(dtype=object) for table in (before, after))
    both = was & now
    measure, sentiment = Measure(rows["group_id"], seed), numbers(rows["sentiment"])
    return {
        "rows": len(rows),
        "kept": {"before": int(was.sum()), "after": int(now.sum()), "both": int(both.sum())},
        "changed": share((old != new)[both], numbers(rows["group_id"])[both]),  # of the rows that both keep
        "dropped": int((was & ~now).sum()),
        "gained": int((now & ~was).sum()),
        "cohen_kappa": _kappa(old[both], new[both]),
        "validity": {
            "before": asdict(measure(sentiment, numbers(old), was)),
            "after": asdict(measure(sentiment, numbers(new), now)),
        },
    }


def share(flags: NDArray[np.bool_], groups: ArrayLike) -> dict[str, Any]:
    """How many rows are flagged, [rows], and which share of all with its 95 % interval; None without rows."""
    rows, flagged = len(flags), int(flags.sum())
    if not rows:
        return {"rows": 0, "share": None, "low": None, "high": None}
    low, high = of_share(flags, groups)
    return {"rows": flagged, "share": flagged / rows, "low": low, "high": high}


def _kappa(old: NDArray[np.object_], new: NDArray[np.object_]) -> float | None:
    from sklearn.metrics import cohen_kappa_score  # noqa: PLC0415 - takes a second

    return float(cohen_kappa_score(old, new)) if len({*old, *new}) > 1 else None
