"""Which rows people judge: as many of each label, drawn by the seed.

In   data/sier
Out  `Item`s with their media, in the order of the draw
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine import shards
from pipeline.errors import UserError

COLUMNS = ["id", "label", "text", "image", "audio"]


@dataclass(frozen=True)
class Item:
    """A drawn row.

    Attributes:
        label: name of the dataset's label, which no rater gets to see.
        text: as published.
        image: bytes of the picture.
        speech: bytes of the synthetic recording.
    """

    id: str
    label: str
    text: str
    image: bytes
    speech: bytes

    @property
    def digest(self) -> str:
        """Hex sha256 of everything above; of use to tell whether ratings belong to these very rows."""
        parts = (self.id.encode(), self.label.encode(), self.text.encode(), self.image, self.speech)
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def rank(seed: int, *parts: str) -> bytes:
    """A place in a random order that depends on nothing but the arguments."""
    return hashlib.sha256("\0".join([str(seed), *parts]).encode()).digest()


def balanced(rows: pd.DataFrame, labels: Sequence[str], per_class: int, seed: int) -> list[str]:
    """Ids of `per_class` rows of each label, or of all where a label has fewer, label by label.

    Args:
        rows: id (str), label (int, place in `labels`).
    """
    found = []
    for number in range(len(labels)):
        ids = rows.loc[rows["label"] == number, "id"].astype(str)
        found += sorted(ids, key=lambda key: rank(seed, "draw", key))[:per_class]
    return found


def draw(folder: Path, labels: Sequence[str], per_class: int, seed: int) -> list[Item]:
    """The rows of data/sier to be judged.

    Raises:
        UserError: the dataset is missing, damaged, or has labels that `labels` does not name.
    """
    markers = shards.read_manifest(folder, "assemble")
    light = pd.concat(
        [shards.read_part(folder, marker, columns=["id", "label"]).to_pandas() for marker in markers],
        ignore_index=True,
    )
    if not light["label"].between(0, len(labels) - 1).all():
        raise UserError(f"{folder}: has labels beyond the {len(labels)} of base.labels; run: dvc repro assemble")
    chosen = balanced(light, labels, per_class, seed)
    return load(folder, labels, chosen)


def load(folder: Path, labels: Sequence[str], ids: Sequence[str]) -> list[Item]:
    """The rows with these ids, in their order; ids that data/sier does not have are left out.

    Raises:
        UserError: as `draw`.
    """
    wanted = pa.array(ids, pa.string())
    found: dict[str, Item] = {}
    for marker in shards.read_manifest(folder, "assemble"):
        names = shards.read_part(folder, marker, columns=["id"])["id"]
        if not pc.any(pc.is_in(names, wanted)).as_py():
            continue
        part = shards.read_part(folder, marker, columns=COLUMNS)
        for row in part.filter(pc.is_in(part["id"], wanted)).to_pylist():
            label = labels[row["label"]] if row["label"] < len(labels) else str(row["label"])
            found[row["id"]] = Item(row["id"], label, row["text"], row["image"]["bytes"], row["audio"]["bytes"])
    return [found[key] for key in ids if key in found]
