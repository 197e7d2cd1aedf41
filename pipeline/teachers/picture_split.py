"""Pictures into train, validation and test, those that belong together on one side."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.teachers.evaluation import stratified_split
from pipeline.teachers.corpora import Item


def split_pictures(items: Sequence[Item], labels: Sequence[str], seed: int) -> NDArray[np.str_]:
    """`stratified_split` [n] of pictures; of those of a session, which is a group of pictures, one stands for all."""
    first: dict[tuple[str, str], int] = {}
    for place in np.argsort([item.id for item in items]).tolist():
        first.setdefault(_group(items[place]), place)
    places = list(first.values())
    splits = stratified_split([items[place].id for place in places], [labels[place] for place in places], seed=seed)
    split_of = dict(zip(first, splits.tolist(), strict=True))
    return np.array([split_of[_group(item)] for item in items])


def _group(item: Item) -> tuple[str, str]:
    return (item.session, "") if item.session else ("", item.id)
