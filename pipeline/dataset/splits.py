"""Train / test and folds, by group: rows of one group are never torn apart, and every label keeps its share.

Groups are split into strata by the label of most of their rows. Within a stratum they are ordered by
sha256(salt, group) and the order is cut at shares of the stratum's *rows*. So the result depends on neither the order
of rows nor the platform, and a new group moves few of the others.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt


def split_groups(
    groups: Sequence[str], labels: Sequence[str], salt: str, *, train_fraction: float = 0.7
) -> npt.NDArray[np.bool_]:
    """Which rows are training rows; bool [n].

    Within each stratum the share of training rows is as near to `train_fraction` as whole groups in their order allow:
    off by at most half of one group.
    """
    if not 0 < train_fraction < 1:
        raise ValueError(f"train_fraction must lie between 0 and 1, found {train_fraction}")
    in_train = {group: middle < train_fraction for group, middle in _positions(groups, labels, salt)}
    return np.fromiter((in_train[group] for group in groups), dtype=np.bool_, count=len(groups))


def fold_groups(groups: Sequence[str], labels: Sequence[str], salt: str, *, folds: int = 5) -> npt.NDArray[np.int8]:
    """Fold of each training row; int8 [n], 0 .. folds - 1, balanced by rows within each stratum."""
    if not 2 <= folds <= 127:
        raise ValueError(f"folds must be 2 to 127, found {folds}")
    # Another order than that of the split, which had these groups in front.
    fold = {group: int(middle * folds) for group, middle in _positions(groups, labels, f"{salt}/folds")}
    return np.fromiter((fold[group] for group in groups), dtype=np.int8, count=len(groups))


def _positions(groups: Sequence[str], labels: Sequence[str], salt: str) -> Iterator[tuple[str, float]]:
    """Each group with the place of its middle in its stratum's rows, between 0 and 1 (both excluded)."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for group, label in zip(groups, labels, strict=True):
        counts[group][label] += 1
    strata: dict[str, list[tuple[bytes, str, int]]] = defaultdict(list)
    for group, of_label in counts.items():
        majority = min(of_label, key=lambda label: (-of_label[label], label))  # a tie goes to the first in order
        order_key = hashlib.sha256(f"{salt}\0{group}".encode()).digest()
        strata[majority].append((order_key, group, of_label.total()))
    for stratum in strata.values():
        stratum.sort()
        rows_in_all = sum(rows for _, _, rows in stratum)
        rows_before = 0
        for _, group, rows in stratum:
            yield group, (rows_before + rows / 2) / rows_in_all
            rows_before += rows
