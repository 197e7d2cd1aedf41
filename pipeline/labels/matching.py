"""`label.calibrate: match`: one temperature per teacher, so that both are as sure on average as the threshold asks.

A maximum over two teachers compares their confidence: that of the bolder one wins whatever it knows. No label is used.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq

from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.params import PARAMS_FILE

COLDEST, HOTTEST = 0.01, 100.0


def at_temperature(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Probabilities [n, classes] of the same logits at another temperature; 1 leaves them as they are.

    Where rows sum to less than 1, the rest counts as one more class, and stays outside.
    """
    if temperature == 1.0:
        return probabilities
    exact = probabilities.astype(np.float64)
    whole = np.column_stack([exact, np.clip(1.0 - exact.sum(axis=1), 0.0, None)])
    whole[:, -1] = np.where(whole[:, -1] < 1e-5, 0.0, whole[:, -1])  # rounding of float32
    with np.errstate(divide="ignore"):
        logs = np.log(whole)
    powers = np.exp((logs - logs.max(axis=1, keepdims=True)) / temperature)
    softened: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True))[:, :-1].astype(np.float32)
    return softened


def matching_temperature(probabilities: NDArray[np.float32], threshold: float, teacher: str) -> float:
    """The temperature at which the mean of the rows' largest probabilities is `threshold`.

    Raises UserError: none between a hundredth and a hundred does that; `teacher` names it.
    """

    def excess(log_temperature: float) -> float:
        softened = at_temperature(probabilities, float(np.exp(log_temperature)))
        return float(softened.max(axis=1).mean(dtype=np.float64)) - threshold

    coldest, hottest = float(np.log(COLDEST)), float(np.log(HOTTEST))
    most, least = excess(coldest) + threshold, excess(hottest) + threshold
    if not least < threshold < most:
        raise UserError(
            f"{PARAMS_FILE}: label.calibrate = match: no temperature makes the {teacher} teacher's mean confidence "
            f"the threshold {threshold}; it can be from {least:.2f} to {most:.2f}: change label.threshold"
        )
    return float(np.exp(brentq(excess, coldest, hottest, xtol=1e-9)))


def scores_at(scores: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """A table of `tables.scores` with its probabilities at another temperature."""
    columns = [name for name in scores.columns if name.startswith(tables.PROBABILITY_PREFIX)]
    changed = at_temperature(scores[columns].to_numpy(dtype=np.float32), temperature)
    return scores.assign(**dict(zip(columns, changed.T, strict=True)))
