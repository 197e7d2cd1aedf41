"""Do the labels mean something? Their association with the sentiment that B-T4SA's authors gave the text.

Labels that describe a voice or a camera do not go with the sentiment; labels that describe feelings do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats.contingency import association

RESAMPLES = 1000
INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class Association:
    """Cramer's V between two nominal variables, with a bootstrap interval; None where it is not defined.

    V is 0 for independence and 1 where one variable tells the other. On few rows it is biased upwards.
    """

    rows: int
    cramers_v: float | None
    low: float | None
    high: float | None


def contingency(
    labels: Sequence[str], sentiments: Sequence[str], label_names: Sequence[str], sentiment_names: Sequence[str]
) -> NDArray[np.int64]:
    """Counts, [sentiments, labels]."""
    table = np.zeros((len(sentiment_names), len(label_names)), dtype=np.int64)
    rows = [list(sentiment_names).index(sentiment) for sentiment in sentiments]
    columns = [list(label_names).index(label) for label in labels]
    np.add.at(table, (rows, columns), 1)
    return table


def associate(table: NDArray[np.int64], seed: int) -> Association:
    """Cramer's V of a contingency table; the interval draws its rows anew 1,000 times."""
    total = int(table.sum())
    value = _cramers_v(table)
    if value is None:
        return Association(total, None, None, None)
    draws = np.random.default_rng(seed).multinomial(total, (table / total).ravel(), size=RESAMPLES)
    drawn = [found for draw in draws if (found := _cramers_v(draw.reshape(table.shape))) is not None]
    low, high = np.percentile(drawn, INTERVAL)
    return Association(total, value, float(low), float(high))


def _cramers_v(table: NDArray[np.int64]) -> float | None:
    table = table[table.any(axis=1)][:, table.any(axis=0)]
    if min(table.shape, default=0) < 2:
        return None
    return float(association(table, method="cramer"))
