"""How far two kinds of classes go together, over rows that come in groups.

In   of each row its group, a class that chance deals, and one that is kept
Out  `Association`: Cramer's V, what of it is not chance's doing, and what chance gives

V is 0 for independence and 1 where one class tells the other; on few rows it is above 0 by chance alone. Rows of a
group are like each other (the pictures of a tweet have one text, one recording, one sentiment), so that chance deals
the classes of one kind to whole groups, and the interval draws whole groups. Row by row, much would look significant
that is chance's doing.
Bias correction: W. Bergsma, A bias-correction for Cramer's V and Tschuprow's T, J. Korean Stat. Soc. 42 (2013).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

DEALS = 999  # and as many resamples; with the table itself, the least p is .001
MOST_GROUPS = 10_000  # of more, ones at even distances: V by chance is .01 then, and all take minutes
AT_ONCE = 2**20  # rows of all deals that are made at once, which bounds memory
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


@dataclass(frozen=True)
class Rows:
    """Rows without missing classes, sorted by group; all by their number, int64 [rows]."""

    group: Counts
    dealt: Counts
    kept: Counts

    @property
    def sizes(self) -> Counts:
        """Rows of each group."""
        return np.bincount(self.group)

    @property
    def shape(self) -> tuple[int, int]:
        """Classes of both kinds."""
        return (int(self.dealt.max(initial=-1)) + 1, int(self.kept.max(initial=-1)) + 1)

    @property
    def counts(self) -> Counts:
        """How often classes meet in a group, [groups, dealt classes, kept classes]."""
        shape = (len(self.sizes), *self.shape)
        cells = np.ravel_multi_index((self.group, self.dealt, self.kept), shape)
        return np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)


def in_groups(groups: ArrayLike, dealt: ArrayLike, kept: ArrayLike) -> Rows:
    """Rows with these names or numbers of groups and classes, [rows] each, in at most `MOST_GROUPS`."""
    where, one, other = (pd.factorize(np.asarray(names))[0] for names in (groups, dealt, kept))
    known = np.flatnonzero((one >= 0) & (other >= 0))
    where = pd.factorize(where[known])[0]
    step = max(1, -(-(where.max(initial=-1) + 1) // MOST_GROUPS))
    order = np.argsort(where, kind="stable")
    order = order[where[order] % step == 0]
    one, other = (pd.factorize(numbers[known][order])[0] for numbers in (one, other))
    return Rows(where[order] // step, one, other)


def associate(groups: ArrayLike, dealt: ArrayLike, kept: ArrayLike, seed: int) -> Association:
    """How the classes of rows go together, [rows] each; rows where one is missing do not count.

    Equal rows in equal order and equal seeds give equal figures.
    """
    rows = in_groups(groups, dealt, kept)
    number, in_all = len(rows.group), len(rows.sizes)
    if min(rows.shape) < 2 or in_all < 2:
        return Association(number, in_all)
    rng = np.random.default_rng(seed)
    counts = rows.counts
    table = counts.sum(axis=0)
    (observed,) = cramers_v(table[np.newaxis])
    (effect,) = phi_squared(table[np.newaxis])
    dealt_tables = np.concatenate(list(_deals(rows, rng)))
    chance = cramers_v(dealt_tables)
    # Chance's mean phi squared is degrees / (rows - 1) where groups are single rows. Else it is that of fewer rows.
    degrees = (table.shape[0] - 1) * (table.shape[1] - 1)
    expected = max(float(phi_squared(dealt_tables).mean()), degrees / (number - 1))
    # A resample has the part of chance that the table has, and one of its own.
    drawn = corrected_v(phi_squared(_resamples(counts, rng)) - expected, expected, table.shape)
    low, high = np.percentile(drawn, INTERVAL)
    return Association(
        number, in_all, float(observed), float(corrected_v(effect, expected, table.shape)), float(low), float(high),
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


def _deals(rows: Rows, rng: np.random.Generator) -> Iterator[Counts]:
    """Tables of all rows, [DEALS, r, c] in batches: each group gets the dealt classes of a group drawn at random.

    Groups differ in size: one takes its giver's rows in a circle from any of them on, so that rows of one tweet, which
    stand together, stay together.
    """
    sizes, shape = rows.sizes, rows.shape
    starts = np.cumsum(sizes) - sizes
    place = np.arange(len(rows.group)) - starts[rows.group]
    batch = max(1, AT_ONCE // len(rows.group))
    for first in range(0, DEALS, batch):
        deals = min(batch, DEALS - first)
        givers = rng.permuted(np.tile(np.arange(len(sizes)), (deals, 1)), axis=1)
        offered = sizes[givers]
        first_taken, shifts, most = (
            values.take(rows.group, axis=1) for values in (starts[givers], rng.integers(0, offered), offered)
        )
        taken = first_taken + (place + shifts) % most
        cells = (np.arange(deals)[:, np.newaxis] * shape[0] + rows.dealt[taken]) * shape[1] + rows.kept
        yield np.bincount(cells.ravel(), minlength=deals * shape[0] * shape[1]).reshape(deals, *shape)


def _resamples(counts: Counts, rng: np.random.Generator) -> Values:
    """Tables of as many groups drawn with replacement, [DEALS, r, c]."""
    groups, cells = len(counts), counts.reshape(len(counts), -1).astype(np.float64)  # of float, a product is fast
    times = (np.bincount(rng.integers(0, groups, groups), minlength=groups) for _ in range(DEALS))
    return np.stack([one @ cells for one in times]).reshape(DEALS, *counts.shape[1:])
