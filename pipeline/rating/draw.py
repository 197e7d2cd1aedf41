"""Which rows people judge: as many of each label, drawn by the seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.dataset.rows import read_rows
from pipeline.engine import shards
from pipeline.errors import UserError

COLUMNS = ["id", "label", "text", "image", "audio"]


@dataclass(frozen=True)
class Item:
    """A drawn row: picture, synthetic speech, the text as published, and the label, which no rater gets to see."""

    id: str
    label: str
    text: str
    image: bytes
    speech: bytes

    @property
    def digest(self) -> str:
        """Hex sha256 of everything above; tells whether ratings belong to these very rows."""
        parts = (self.id.encode(), self.label.encode(), self.text.encode(), self.image, self.speech)
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def rank(seed: int, *parts: str) -> bytes:
    """A place in a random order that depends on nothing but the arguments."""
    return hashlib.sha256("\0".join([str(seed), *parts]).encode()).digest()


def balanced(rows: pd.DataFrame, labels: Sequence[str], per_class: int, seed: int) -> list[str]:
    """Ids of `per_class` rows (id, number of the label) of each label, or of all where a label has fewer."""
    chosen = []
    for number in range(len(labels)):
        ids = rows.loc[rows["label"] == number, "id"].astype(str)
        chosen += sorted(ids, key=lambda key: rank(seed, "draw", key))[:per_class]
    return chosen


def draw(folder: Path, labels: Sequence[str], per_class: int, seed: int) -> list[Item]:
    """The rows of data/sier to be judged."""
    rows = read_rows(folder, "assemble", ["id", "label"])
    if not rows["label"].between(0, len(labels) - 1).all():
        raise UserError(f"{folder}: has labels beyond the {len(labels)} of base.labels; run: dvc repro assemble")
    return load(folder, labels, balanced(rows, labels, per_class, seed))


def load(folder: Path, labels: Sequence[str], ids: Sequence[str]) -> list[Item]:
    """The rows with these ids, in their order; ids that data/sier does not have are left out."""
    wanted = pa.array(ids, pa.string())
    items: dict[str, Item] = {}
    for marker in shards.read_manifest(folder, "assemble"):
        names = shards.read_part(folder, marker, columns=["id"])["id"]
        if not pc.any(pc.is_in(names, wanted)).as_py():
            continue
        part = shards.read_part(folder, marker, columns=COLUMNS)
        for row in part.filter(pc.is_in(part["id"], wanted)).to_pylist():
            label = labels[row["label"]] if row["label"] < len(labels) else str(row["label"])
            items[row["id"]] = Item(row["id"], label, row["text"], row["image"]["bytes"], row["audio"]["bytes"])
    return [items[key] for key in ids if key in items]
