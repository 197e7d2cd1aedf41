"""Standardisation: every dimension to mean 0 and standard deviation 1 over some rows.

In   representations, float32 [n, d]; rows of one speaker, one voice or one training set
Out  representations, float64 [n, d]
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of each dimension, float64 [d] both.

    A dimension that does not vary has standard deviation 1 here, so that its rows become 0 and not infinite: so do
    all rows of a speaker with a single utterance.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Floats) -> Self:
        """Statistics over the rows [n, d], n >= 1; the last bits depend on the rows' order."""
        if rows.ndim != 2 or len(rows) == 0:
            raise ValueError(f"expected at least one row of [n, d], found {list(rows.shape)}")
        exact = rows.astype(np.float64)
        mean, std = exact.mean(axis=0), exact.std(axis=0)
        # Rounding leaves a constant dimension with a tiny deviation rather than none.
        varies = std > 1e-7 * np.maximum(np.abs(mean), 1.0)
        return cls(mean, np.where(varies, std, 1.0))

    def apply(self, rows: Floats) -> NDArray[np.float64]:
        """Standardised rows, float64 [n, d]."""
        if rows.ndim != 2 or rows.shape[1] != len(self.mean):
            raise ValueError(f"expected [n, {len(self.mean)}], found {list(rows.shape)}")
        standardised = rows.astype(np.float64)  # a copy, then changed in place: corpora are large
        standardised -= self.mean
        standardised /= self.std
        return standardised

    @property
    def digest(self) -> str:
        """sha256 of both vectors, hex."""
        return hashlib.sha256(_bytes(self.mean) + _bytes(self.std)).hexdigest()


def standardise_by_group(rows: Floats, groups: Sequence[str]) -> NDArray[np.float64]:
    """Rows [n, d], each standardised by the statistics of all rows of its own group (speaker or voice).

    Labels are not used, so a held-out speaker may be standardised by the very rows that are then classified.
    """
    if len(groups) != len(rows):
        raise ValueError(f"expected {len(rows)} groups, found {len(groups)}")
    names = np.asarray(groups)
    standardised = np.empty(rows.shape, dtype=np.float64)
    for name in np.unique(names):
        members = names == name
        standardised[members] = Statistics.of(rows[members]).apply(rows[members])
    return standardised


def _bytes(vector: NDArray[np.float64]) -> bytes:
    return np.ascontiguousarray(vector, dtype="<f8").tobytes()
