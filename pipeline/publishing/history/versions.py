"""The version of a published dataset: a number, a hash of the labels, and the commit of the code that built it.

    MAJOR   columns, their types, or names of labels changed
    MINOR   rows came or went, or a value of one changed, a label or any other
    PATCH   only what describes the rows changed: the card, the datasheet, LICENSE, croissant.json, ...

Where nothing changed the version stays, with its day, and so does the commit. What the next version is compared with
lies in the repository itself, so that any machine can publish it: `version.json` (`Record`), and `labels.parquet` with
each row's id and label. Both are strangers' files until they are parsed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from pipeline.errors import UserError, first_line
from pipeline.frame.params import STRICT

if TYPE_CHECKING:
    from datasets import Features

RECORD, LABELS = "version.json", "labels.parquet"
BYTES_MAX = {RECORD: 2**22, LABELS: 2**27}
ROWS_MAX = 2**24  # of labels.parquet, whose few bytes may stand for any number of rows
UNKNOWN = "unknown"

Number = Annotated[str, Field(pattern=r"^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(max_length=300)]
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, config=STRICT)
class Version:
    """`number` is semantic (semver.org); `builder` a commit, `-dirty` where files differed from it, or `UNKNOWN`.

    `day` is that on which it was published first, in UTC.
    """

    number: Number
    labels_sha256: Sha256
    builder: Annotated[str, Field(pattern=r"^([0-9a-f]{40,64}(-dirty)?|unknown)$")]
    day: date

    @property
    def tag(self) -> str:
        """What the commit is called on the Hub."""
        return f"v{self.number}"


FIRST = "1.0.0"
# Stands in files that are compared before there is a version. Croissant takes no year of fewer than four digits.
UNDECIDED = Version("0.0.0", "0" * 64, UNKNOWN, date(1000, 1, 1))


@dataclass(frozen=True, config=STRICT)
class Change:
    """What is new in a version: counts of rows of `data/`, never ids.

    Attributes:
        on_request: rows that this build has and the version leaves out, because somebody asked for it.
        flips: of rows that both versions have, by label before and after.
        columns: that came, went, or are of another type.
        sources: what the dataset is made with and was not before, with the digests before and after.
    """

    version: Version
    rows: Count
    added: Count
    removed: Count
    on_request: Count
    flips: dict[Name, dict[Name, Count]]
    columns: tuple[Name, ...]
    sources: dict[Name, tuple[Name, Name]]


@dataclass(frozen=True, config=STRICT)
class Contents:
    """What two versions are compared by: types of columns, digests of the rows' files and of the others, sources."""

    columns: dict[Name, Name]
    rows_sha256: Sha256
    others_sha256: Sha256
    sources: dict[Name, Name]


@dataclass(frozen=True, config=STRICT)
class Record:
    """What `version.json` holds: this version's contents, and the changes of all versions, the newest first."""

    contents: Contents
    changes: Annotated[tuple[Change, ...], Field(min_length=1)]

    @property
    def version(self) -> Version:
        """This version."""
        return self.changes[0].version

    def dump(self) -> bytes:
        """As the file has it."""
        return TypeAdapter(Record).dump_json(self, indent=2) + b"\n"


@plain_dataclass(frozen=True)
class Previous:
    """The version that lies in a repository; `labels` by id."""

    record: Record
    labels: Mapping[str, str]


def next_record(
    previous: Previous | None, contents: Contents, labels: Mapping[str, str], builder: str, day: date, on_request: int
) -> Record:
    """What becomes of a build after `previous`, or as the first version; `labels` are its names by id.

    One in which nothing changed is `previous` with its own `builder` and `day`.
    """
    if previous is None:
        version = Version(FIRST, labels_sha256(labels), builder, day)
        return Record(contents, (Change(version, len(labels), len(labels), 0, on_request, {}, (), {}),))
    before, digest = previous.record.contents, labels_sha256(labels)
    major, minor, patch = map(int, previous.record.version.number.split("."))
    if contents.columns != before.columns:
        number = f"{major + 1}.0.0"
    elif digest != previous.record.version.labels_sha256 or contents.rows_sha256 != before.rows_sha256:
        number = f"{major}.{minor + 1}.0"
    elif contents.others_sha256 != before.others_sha256:
        number = f"{major}.{minor}.{patch + 1}"
    else:
        return previous.record
    flips: dict[str, dict[str, int]] = {}
    pairs = Counter((old, labels[key]) for key, old in previous.labels.items() if labels.get(key, old) != old)
    for (old, new), count in sorted(pairs.items()):
        flips.setdefault(old, {})[new] = count
    change = Change(
        version=Version(number, digest, builder, day), rows=len(labels),
        added=len(labels.keys() - previous.labels.keys()), removed=len(previous.labels.keys() - labels.keys()),
        on_request=on_request, flips=flips,
        columns=tuple(sorted(_changed(before.columns, contents.columns))),
        sources=_changed(before.sources, contents.sources),
    )  # fmt: skip
    return replace(previous.record, contents=contents, changes=(change, *previous.record.changes))


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    both = {name: (before.get(name, "none"), now.get(name, "none")) for name in sorted({*before, *now})}
    return {name: values for name, values in both.items() if values[0] != values[1]}


def labels_sha256(labels: Mapping[str, str]) -> str:
    """Hex sha256 of the pairs of id and label in order, as compact JSON in ASCII."""
    return hashlib.sha256(json.dumps(sorted(labels.items()), separators=(",", ":")).encode()).hexdigest()


def labels_table(labels: Mapping[str, str]) -> pa.Table:
    """What `labels.parquet` holds."""
    ids = sorted(labels)
    return pa.table({"id": pa.array(ids, pa.string()), "label": pa.array([labels[key] for key in ids], pa.string())})


def described(features: Mapping[str, Features]) -> dict[str, str]:
    """Types of columns as text, by `<level>/<column>`; of a label with its names."""
    found = {}
    for level, columns in features.items():
        for name, kind in columns.items():
            more = getattr(kind, "names", None) or getattr(kind, "shape", None)
            found[f"{level}/{name}"] = f"{kind.dtype} {json.dumps(more)}" if more else str(kind.dtype)
    return found


def read_version(files: Mapping[str, Path | bytes]) -> Version | None:
    """The version of files that are about to be published; None of a network, which has none."""
    record = files.get(RECORD)
    return TypeAdapter(Record).validate_json(record).version if isinstance(record, bytes) else None


def read_previous(record: bytes, labels: bytes) -> Previous:
    """The version of two files from a repository; UserError, in one line, where they are not what publish wrote."""
    try:
        parsed = TypeAdapter(Record).validate_json(record)
    except ValueError as error:
        raise UserError(f"{RECORD} there is not as publish writes it: {first_line(error)}") from None
    try:
        file = pq.ParquetFile(pa.BufferReader(labels))
        if file.metadata.num_rows > ROWS_MAX or file.schema_arrow.remove_metadata() != labels_table({}).schema:
            raise UserError(f"{LABELS} there is not as publish writes it: other columns, or too many rows")
        table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{LABELS} there cannot be read: {first_line(error)}") from None
    found = dict(zip(table["id"].to_pylist(), table["label"].to_pylist(), strict=True))
    if None in found or None in found.values() or labels_sha256(found) != parsed.version.labels_sha256:
        raise UserError(f"{LABELS} there is not of the version that {RECORD} tells of")
    return Previous(parsed, found)
