"""How far two kinds of classes go together, over rows that come in groups.

In   tables of counts [groups, dealt classes, kept classes]: how often a class of each kind meets in a row of a group
Out  `Association`: Cramer's V, what of it is not chance's doing, and what chance gives

V is 0 for independence and 1 where one class tells the other; on few rows it is above 0 by chance alone. Rows of a
group are like each other (the pictures of a tweet have one text, one recording, one sentiment), so that chance deals
the classes of one kind to whole groups, and the interval draws whole groups. Row by row, much would look significant
that is chance's doing.
Bias correction: W. Bergsma, A bias-correction for Cramer's V and Tschuprow's T, J. Korean Stat. Soc. 42 (2013).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import random_table

DEALS = 999  # and as many resamples; with the table itself, the least p is .001
AT_ONCE = 111  # which bounds memory
INTERVAL = (2.5, 97.5)  # percentiles
ROUNDING = 1e-9  # equal tables differ in their last bits

Counts = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Association:
    """Of `rows` in `groups`; None where it is not defined: one class only, or one group."""

    rows: int
    groups: int
    cramers_v: float | None = None
    corrected_v: float | None = None  # without what chance adds on average; 0 where that is all
    low: float | None = None  # 95 % interval of the corrected V: percentiles of resampled groups
    high: float | None = None
    by_chance: float | None = None  # mean V where the same classes are dealt to the groups at random
    p_value: float | None = None  # share of such deals, and the table itself, that reach V


def grouped_counts(groups: ArrayLike, dealt: ArrayLike, kept: ArrayLike) -> Counts:
    """The table of rows with these groups and classes, [rows] each; only classes that occur."""
    (where, ids), (one, ones), (other, others) = (pd.factorize(np.asarray(names)) for names in (groups, dealt, kept))
    shape = (len(ids), len(ones), len(others))
    if 0 in shape:
        return np.zeros(shape, dtype=np.int64)
    cells = np.ravel_multi_index((where, one, other), shape)
    return np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)


def associate(counts: Counts, seed: int) -> Association:
    """How the classes go together; equal counts and seeds give equal figures."""
    table = counts.sum(axis=0)
    rows, groups = int(table.sum()), len(counts)
    if min(table.shape) < 2 or groups < 2:
        return Association(rows, groups)
    rng = np.random.default_rng(seed)
    (observed,) = cramers_v(table[np.newaxis])
    (effect,) = phi_squared(table[np.newaxis])
    dealt = np.concatenate(list(_deals(counts, rng)))
    chance = cramers_v(dealt)
    # Chance's mean phi squared is degrees / (rows - 1) where groups are single rows. Else it is that of fewer rows.
    degrees = (table.shape[0] - 1) * (table.shape[1] - 1)
    expected = max(float(phi_squared(dealt).mean()), degrees / (rows - 1))
    # A resample has the part of chance that the table has, and one of its own.
    drawn = corrected_v(phi_squared(_resamples(counts, rng)) - expected, expected, table.shape)
    low, high = np.percentile(drawn, INTERVAL)
    return Association(
        rows, groups, float(observed), float(corrected_v(effect, expected, table.shape)), float(low), float(high),
        float(chance.mean()), float((1 + np.count_nonzero(chance >= observed - ROUNDING)) / (DEALS + 1)),
    )  # fmt: skip


def corrected_v(phi_squared: ArrayLike, expected: float, shape: tuple[int, ...]) -> Values:
    """Bergsma's V of tables of `shape` from their phi squared and what chance gives of it, `expected`.

    For single rows `expected` is (r - 1)(c - 1) / (rows - 1), and this his formula.
    """
    r, c = shape
    rows_less_one = (r - 1) * (c - 1) / expected
    least = min(classes - (classes - 1) ** 2 / rows_less_one for classes in (r, c)) - 1
    if least <= 0:
        return np.zeros_like(np.asarray(phi_squared, dtype=np.float64))
    corrected: Values = np.sqrt(np.clip(np.asarray(phi_squared) - expected, 0, None) / least)
    return np.minimum(corrected, 1)


def phi_squared(tables: NDArray[np.number]) -> Values:
    """Chi squared over rows, of each of [n, r, c].

    All tables at once: `scipy.stats.contingency.association` takes a millisecond for each.
    """
    rows, columns, total = tables.sum(axis=2), tables.sum(axis=1), tables.sum(axis=(1, 2))
    expected = rows[:, :, None] * columns[:, None, :] / np.maximum(total, ROUNDING)[:, None, None]
    difference = (tables - expected) ** 2
    chi_squared = np.divide(difference, expected, out=np.zeros_like(difference), where=expected > 0).sum(axis=(1, 2))
    return np.asarray(chi_squared / np.maximum(total, ROUNDING), dtype=np.float64)


def cramers_v(tables: NDArray[np.number]) -> Values:
    """Cramer's V of each of [n, r, c] without its empty rows and columns; 0 where one row or column is left."""
    degrees = np.minimum((tables.sum(axis=2) > 0).sum(axis=1), (tables.sum(axis=1) > 0).sum(axis=1)) - 1
    return np.sqrt(np.where(degrees > 0, phi_squared(tables) / np.maximum(degrees, 1), 0.0))


def _deals(counts: Counts, rng: np.random.Generator) -> Iterator[Values]:
    """Tables of all rows, [DEALS, r, c] in batches: each group gets the dealt classes of a group drawn at random.

    Groups of equal kept classes are alike, so that a deal is a random table of kinds of groups by what is dealt, with
    given sums. A group of mixed classes passes their shares on.
    """
    kept, of_kept = _distinct(counts.sum(axis=1))
    shares, of_shares = _distinct(counts.sum(axis=2) / counts.sum(axis=(1, 2))[:, np.newaxis])
    for _ in range(DEALS // AT_ONCE):
        deals = random_table.rvs(of_kept, of_shares, size=AT_ONCE, random_state=rng)
        yield np.einsum("bks,kc,sr->brc", deals, kept, shares, optimize=True)


def _resamples(counts: Counts, rng: np.random.Generator) -> Counts:
    """Tables of as many groups drawn with replacement, [DEALS, r, c]."""
    groups, times = _distinct(counts.reshape(len(counts), -1))
    drawn = rng.multinomial(len(counts), times / len(counts), size=DEALS) @ groups
    return np.asarray(drawn).reshape(DEALS, *counts.shape[1:])


def _distinct(rows: NDArray[Any]) -> tuple[NDArray[Any], Counts]:
    """Different rows of [n, m], sorted, and how often each occurs; `numpy.unique` takes 500 times as long."""
    found = pd.DataFrame(rows).value_counts(sort=False)
    return found.index.to_frame().to_numpy(), np.asarray(found, dtype=np.int64)
