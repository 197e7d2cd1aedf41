"""Do the labels mean something? Their association with the sentiment that B-T4SA's authors gave the text.

Labels that describe a voice or a camera do not go with the sentiment; labels that describe feelings do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """Counts, [sentiments, labels].

    Raises:
        ValueError: a name that is not among those given.
    """
    table = np.zeros((len(sentiment_names), len(label_names)), dtype=np.int64)
    row_of = {name: place for place, name in enumerate(sentiment_names)}
    column_of = {name: place for place, name in enumerate(label_names)}
    try:
        rows, columns = [row_of[name] for name in sentiments], [column_of[name] for name in labels]
    except KeyError as error:
        raise ValueError(f"{error} is not among {label_names} or {sentiment_names}") from None
    np.add.at(table, (rows, columns), 1)
    return table


def associate(table: NDArray[np.int64], seed: int) -> Association:
    """Cramer's V of a contingency table; the interval draws its rows anew 1,000 times."""
    total = int(table.sum())
    (value,) = _cramers_v(table[np.newaxis])
    if np.isnan(value):
        return Association(total, None, None, None)
    draws = np.random.default_rng(seed).multinomial(total, (table / total).ravel(), size=RESAMPLES)
    low, high = np.nanpercentile(_cramers_v(draws.reshape(RESAMPLES, *table.shape)), INTERVAL)
    return Association(total, float(value), float(low), float(high))


def _cramers_v(tables: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cramer's V of each of [n, rows, columns], without its empty rows and columns; NaN where it is not defined.

    All tables at once: `scipy.stats.contingency.association` takes a millisecond for each, and a second to import.
    """
    rows, columns = tables.sum(axis=2), tables.sum(axis=1)
    expected = (
        rows[:, :, np.newaxis] * columns[:, np.newaxis, :] / np.maximum(1, tables.sum(axis=(1, 2)))[:, None, None]
    )
    difference = (tables - expected) ** 2
    chi_squared = np.divide(difference, expected, out=np.zeros_like(difference), where=expected > 0).sum(axis=(1, 2))
    degrees = np.minimum((rows > 0).sum(axis=1), (columns > 0).sum(axis=1)) - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(degrees > 0, np.sqrt(chi_squared / (rows.sum(axis=1) * degrees)), np.nan)
