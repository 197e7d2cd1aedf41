"""Are a teacher's probabilities what they say, in numbers: errors of calibration and the Brier score, with intervals.

In   probabilities [n, classes] of held-out rows, their classes, and the groups that rows come in
Out  for reports/train_teacher_<modality>.json: `value`, `low`, `high` of each of `ERRORS`, what chance gives;
     `words`

Of few rows a calibration error is above 0 by chance alone: `by_chance` is its mean where each answer is right exactly
as often as its confidence says. Of resampled rows it is larger still, which its interval leaves out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from models.teachers.calibration import ERRORS, calibration_errors, error_sums
from pipeline.frame.intervals import LEAST_GROUPS, of_sums

BINS = 10
SAMPLES = 2_000  # resamples of groups
DEALS = 200  # of right answers by chance


def measure(
    probabilities: NDArray[np.float32], truth: Sequence[str], classes: Sequence[str], groups: ArrayLike, seed: int
) -> dict[str, Any] | None:
    """The figures; None without a row. Equal rows in equal order and equal seeds give equal figures."""
    if not len(truth):
        return None
    sums = error_sums(probabilities, truth, classes, BINS)
    values = calibration_errors(sums.sum(axis=0))
    group = pd.factorize(np.asarray(groups))[0]
    count = int(group.max()) + 1
    ends = np.full((2, len(ERRORS)), np.nan)
    if count >= LEAST_GROUPS:
        by_group = np.zeros((count, sums.shape[1]))
        np.add.at(by_group, group, sums)
        ends = of_sums(by_group, calibration_errors, SAMPLES, seed, around=values).clip(min=0)
    found: dict[str, Any] = {"rows": len(truth), "groups": count, "bins": BINS}
    for place, name in enumerate(ERRORS):
        low, high = (None if np.isnan(end) else float(end) for end in ends[:, place])
        found[name] = {"value": float(values[place]), "low": low, "high": high}
    for name, value in zip(ERRORS[:2], _by_chance(probabilities, sums, seed), strict=True):
        found[name]["by_chance"] = float(value)
    return {"words": in_words(found), **found}


def in_words(measured: Mapping[str, Any]) -> str:
    """How far a teacher's confidence can be trusted, never without its interval and what chance gives."""

    def said(name: str, form: str) -> str:
        one = measured[name]
        within = f"{one['low']:{form}} to {one['high']:{form}}" if one["low"] is not None else ""
        chance = f"by chance {one['by_chance']:{form}}" if "by_chance" in one else ""
        around = "; ".join(part for part in (within, chance) if part)
        return f"{one['value']:{form}}" + (f" ({around})" if around else "")

    return (
        f"expected calibration error {said('ece', '.1%')}, adaptive {said('adaptive_ece', '.1%')}, Brier score "
        f"{said('brier', '.2f')}; {measured['rows']:,} rows"
    )


def _by_chance(probabilities: NDArray[np.float32], sums: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Mean of both calibration errors where chance deals right answers by the rows' confidence."""
    rng = np.random.default_rng(seed)
    confidence = probabilities.max(axis=1).astype(np.float64)
    chosen = sums != 0  # of rows in their bins; a gap of exactly 0 is one of confidence 1, which chance leaves right
    chosen[:, -2:] = False
    dealt = np.zeros_like(sums)
    dealt[:, -1] = 1
    found = []
    for _ in range(DEALS):
        gaps = confidence - (rng.random(len(confidence)) < confidence)
        found.append(calibration_errors(np.where(chosen, gaps[:, np.newaxis], dealt).sum(axis=0))[:2])
    return np.asarray(np.mean(found, axis=0))
