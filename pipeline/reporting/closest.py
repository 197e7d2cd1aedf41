"""The closest pairs of a train and a test row, with what people need to judge them.

In   rows of reports/closest_pairs.csv; data/sier
Out  `Pair`s in the order of the file: of both rows the text and a small picture
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.reporting.photos import photo
from pipeline.reporting.stage_reports import Record

PHOTO_SIDE_PX = 160


@dataclass(frozen=True)
class Member:
    """One row of a pair."""

    id: str
    text: str
    photo: str  # data URI


@dataclass(frozen=True)
class Pair:
    """A row of train and a row of test that are alike by the measure of `kind`."""

    kind: str  # text or image
    similarity: float
    train: Member
    test: Member


def read(data: Path, records: Sequence[Record]) -> list[Pair]:
    """Raises UserError: a row is not in data/sier, or data/sier is missing or damaged."""
    wanted = pa.array(sorted({record[side] for record in records for side in ("train_id", "test_id")}), pa.string())
    found: dict[str, Member] = {}
    for marker in shards.read_manifest(data / "sier", "assemble") if records else ():
        names = shards.read_part(data / "sier", marker, columns=["id"])["id"]
        if not pc.any(pc.is_in(names, wanted)).as_py():
            continue  # without a look at its pictures
        part = shards.read_part(data / "sier", marker, columns=["id", "text", "image"])
        for row in part.filter(pc.is_in(part["id"], wanted)).to_pylist():
            found[row["id"]] = Member(row["id"], row["text"], photo(row["image"]["bytes"], PHOTO_SIDE_PX))
    missing = [identity for identity in wanted.to_pylist() if identity not in found]
    if missing:
        raise UserError(
            f"reports/closest_pairs.csv: row {missing[0]} is not in data/sier; run: dvc repro assemble --force"
        )
    return [
        Pair(record["kind"], record["similarity"], found[record["train_id"]], found[record["test_id"]])
        for record in records
    ]
