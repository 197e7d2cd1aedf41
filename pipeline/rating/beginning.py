"""A file of ratings is begun with a draw of rows, and belongs to these very rows from then on."""

import json
from pathlib import Path

from pipeline.errors import UserError
from pipeline.frame.params import PARAMS_FILE
from pipeline.frame.stage import BaseParams
from pipeline.rating import draw, store
from pipeline.rating.draw import Item
from pipeline.rating.store import Drawn, Store

PER_CLASS = 25


def prepare(path: Path, folder: Path, base: BaseParams, per_class: int | None) -> tuple[Store, list[Item]]:
    """The file of ratings, begun with a draw if it is new, and the rows that it is about.

    Raises:
        UserError: the file is something else or of another dataset; or data/sier is missing or damaged.
    """
    if not store.is_begun(path):
        rows = per_class or PER_CLASS
        items = draw.draw(folder, base.labels, rows, base.seed)
        settings = {"seed": str(base.seed), "per_class": str(rows), "labels": json.dumps(base.labels)}
        return store.create(path, settings, [Drawn(item.id, item.label, item.digest) for item in items]), items
    store.upgrade(path)
    ratings = Store(path)
    begun_per_class, labels = ratings.settings()["per_class"], labels_of(ratings)
    if per_class is not None and str(per_class) != begun_per_class:
        raise UserError(
            f"{path}: was begun with --per-class {begun_per_class}; leave it out, or name a new file with --ratings"
        )
    if labels != list(base.labels):
        raise UserError(
            f"{path}: was begun with the labels {', '.join(labels)}, and base.labels of {PARAMS_FILE} is "
            f"{', '.join(base.labels)}; name a new file with --ratings"
        )
    drawn = ratings.items()
    items = draw.load(folder, base.labels, [item.id for item in drawn])
    now = {item.id: item.digest for item in items}
    changed = sum(now.get(item.id) != item.digest for item in drawn)
    if changed:
        raise UserError(
            f"{path}: {changed} of its {len(drawn)} rows are not in {folder}, or differ there; name a new file with "
            "--ratings, or bring back the dataset that it was begun with"
        )
    return ratings, items


def labels_of(ratings: Store) -> list[str]:
    """The labels that the file was begun with."""
    labels: list[str] = json.loads(ratings.settings()["labels"])
    return labels
