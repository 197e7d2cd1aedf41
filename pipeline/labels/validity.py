"""Do the labels mean something? Their association with the sentiment that B-T4SA's authors gave the text.

Labels that describe a voice or a camera do not go with the sentiment; labels that describe feelings do.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class Association:
    """Cramer's V between two nominal variables, with a 95 % bootstrap interval; None where it is not defined.

    V is 0 for independence and 1 where one variable tells the other. On few rows it is above 0 by chance alone, and so
    is its interval: `by_chance` says what chance gives.
    """

    rows: int
    cramers_v: float | None = None
    low: float | None = None
    high: float | None = None
    by_chance: float | None = None  # mean V where the same sentiments are dealt to the same labels at random
    share_by_chance: float | None = None  # of such deals, and the table itself, that reach V: a permutation p-value


def contingency(
    labels: Sequence[str], sentiments: Sequence[str], label_names: Sequence[str], sentiment_names: Sequence[str]
) -> NDArray[np.int64]:
    """Counts, [sentiments, labels]. Raises ValueError: a name that is not among those given."""
    for names, known in ((labels, label_names), (sentiments, sentiment_names)):
        if unknown := sorted(set(names) - set(known)):
            raise ValueError(f"{unknown[0]!r} is not among {label_names} or {sentiment_names}")
    pairs = Counter(zip(sentiments, labels, strict=True))
    return np.array([[pairs[sentiment, label] for label in label_names] for sentiment in sentiment_names])


def associate(table: NDArray[np.int64], seed: int) -> Association:
    """Cramer's V of a contingency table; the interval draws its rows anew 1,000 times, and chance deals them anew."""
    total = int(table.sum())
    (value,) = _cramers_v(table[np.newaxis])
    if np.isnan(value):
        return Association(total)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(total, (table / total).ravel(), size=RESAMPLES)
    low, high = np.nanpercentile(_cramers_v(draws.reshape(RESAMPLES, *table.shape)), INTERVAL)
    dealt = _cramers_v(np.stack([_dealt(table, rng) for _ in range(RESAMPLES)]))
    reached = 1 + np.count_nonzero(dealt >= value - 1e-9)  # equal tables differ in their last bits
    return Association(
        total, float(value), float(low), float(high), float(dealt.mean()), float(reached / (RESAMPLES + 1))
    )


def _dealt(table: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A random table with the same sums of rows and columns: rows of the data shuffled, without the rows."""
    remaining = table.sum(axis=0)
    dealt = np.empty_like(table)
    for row, count in enumerate(table.sum(axis=1)):
        dealt[row] = rng.multivariate_hypergeometric(remaining, count, method="marginals")
        remaining = remaining - dealt[row]
    return dealt


def _cramers_v(tables: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cramer's V of each of [n, rows, columns], without its empty rows and columns; NaN where it is not defined.

    All tables at once: `scipy.stats.contingency.association` takes a millisecond for each, and a second to import.
    """
    rows, columns = tables.sum(axis=2), tables.sum(axis=1)
    expected = rows[:, :, None] * columns[:, None, :] / np.maximum(1, tables.sum(axis=(1, 2)))[:, None, None]
    difference = (tables - expected) ** 2
    chi_squared = np.divide(difference, expected, out=np.zeros_like(difference), where=expected > 0).sum(axis=(1, 2))
    degrees = np.minimum((rows > 0).sum(axis=1), (columns > 0).sum(axis=1)) - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(degrees > 0, np.sqrt(chi_squared / (rows.sum(axis=1) * degrees)), np.nan)
