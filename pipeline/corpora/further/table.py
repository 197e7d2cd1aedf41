"""Reader of anybody's texts and pictures: one table with columns text and image, or all tables of a folder.

In   `*.csv`, `*.tsv`, `*.jsonl`, `*.parquet`, or a folder with such, or one of `datasets` (its Parquet, its Arrow
     files, or its ImageFolder: a table with a column file_name beside the pictures), at any depth of up to three
     folders. Columns: text; image (or picture, or file_name): a path beside the table, or in Parquet and Arrow the
     picture itself; and perhaps sentiment (negative, neutral, positive), id, group, split (train, val, test)
Out  `SourceRows` as of B-T4SA: one row per usable pair, a reject with status and reason for every other

`tweet_id` is the row's group or, without, its id (without, its number); the dataset's id is `<id>-<n>`, the row being
the nth of its group. `source_split` is the row's split or, without, val or test where the names of the table or its
folders say so, else train.
"""

import dataclasses
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from pipeline.corpora import _files
from pipeline.corpora._files import Reject, none_usable, reading, shown
from pipeline.corpora._tar import ImageReader
from pipeline.corpora._text_parquet import TEXT_CHARACTERS_MAX
from pipeline.corpora.b_t4sa import ROWS, SourceRows
from pipeline.corpora.further import _tables
from pipeline.corpora.further._tables import Row, field, file_beside
from pipeline.errors import RowError
from pipeline.frame import tables

OPTIONAL = ("sentiment", "id", "group", "split")
COLUMNS = {"text": ("text",), "picture": ("image", "picture", "file_name"), **{name: (name,) for name in OPTIONAL}}
EXPECTED = "a table with columns text and image (and sentiment, id, group, split)"
PACKED_BYTES_MAX = 100_000_000  # of a picture that lies in a table

_ID = re.compile(r"\w[\w.-]*", re.ASCII)  # it becomes part of names of files
_ROUNDED = re.compile(r"[0-9](\.[0-9]+)?[eE]\+?[0-9]+|[0-9]+\.0")
_SPLITS = {"val": "val", "valid": "val", "validation": "val", "dev": "val", "test": "test", "testing": "test"}
_PACKED = ""  # `member` of a picture that lies in a table


@dataclass(frozen=True)
class Pair:
    """A row as the table has it; the picture lies at `offset_bytes` of the file `member`, see `PictureReader`."""

    id: str
    group: str
    member: str
    offset_bytes: int
    size_bytes: int
    text: str
    sentiment: str | None
    source_split: str


class PictureReader(ImageReader):
    """Reads a file of the corpus, or of the pictures that lay in its tables a part of the file `packed`."""

    def __init__(self, root: Path, packed: Path) -> None:
        super().__init__(packed)
        self._files = ImageReader(_tables.base_of(root))

    def read_row(self, row: Mapping[str, Any], limit_bytes: int) -> bytes:
        """As `ImageReader.read_row`."""
        if row["member"] == _PACKED:
            return super().read_row(row, limit_bytes)
        return self._files.read_row(row, limit_bytes)


@dataclass
class _Packer:
    """Writes pictures one behind the other, equal ones once; without a file it only says where they would lie."""

    file: BinaryIO | None
    end_bytes: int = 0
    places: dict[bytes, int] = dataclasses.field(default_factory=dict)

    def place(self, data: bytes) -> int:
        digest = hashlib.sha256(data).digest()
        if digest not in self.places:
            if self.file:
                self.file.write(data)
            self.places[digest], self.end_bytes = self.end_bytes, self.end_bytes + len(data)
        return self.places[digest]


def check(root: Path) -> None:
    """Look at the tables' columns; raises UserError if there is no table, or one without text or picture."""
    for _ in _tables.chosen_columns(root, COLUMNS, OPTIONAL, EXPECTED):
        pass


def read_rows(root: Path, packed: Path | None = None) -> SourceRows:
    """One row per pair, sorted as `b_t4sa.read_rows` sorts; pictures that lie in tables are written to `packed`.

    Statuses: `bad_row`, `bad_text`, `text_missing`, `path_missing`, `file_missing`, `file_empty`, `unsafe_path`,
    `bad_sentiment`, `bad_id`, `bad_group` and `bad_split`; their id is `<file>:<number of the row>`, and that of
    `duplicate_id` (the first row counts) the row's own. Raises UserError if no row is usable.
    """
    if packed is None:
        return _read(root, _Packer(None))
    with reading(packed), packed.open("wb") as file:
        return _read(root, _Packer(file))


def files(root: Path) -> list[Path]:
    """Every file that may be read: of a folder all, as pictures have any names; of a table itself and what it names."""
    if root.is_dir():
        return list(_files.files_below(root, lambda _: True))
    members = read_rows(root).rows["member"].unique().to_pylist()
    return [root, *(_tables.base_of(root) / member for member in members if member != _PACKED)]


def _read(root: Path, packer: _Packer) -> SourceRows:
    pairs: dict[str, Pair] = {}
    rejects: list[Reject] = []
    rows_in = 0
    make = partial(_pair, _tables.base_of(root), packer)
    for where, pair in _tables.made_of_rows(root, COLUMNS, OPTIONAL, EXPECTED, make):
        rows_in += 1
        if isinstance(pair, RowError):
            rejects.append((where, pair.status, pair.reason))
        elif pair.id in pairs:
            rejects.append((pair.id, "duplicate_id", f"row {where} has the id of an earlier row"))
        else:
            pairs[pair.id] = pair
    if not pairs:
        raise none_usable(root, f"{rows_in} rows", rejects, "the tables are empty")
    missing = sum(pair.sentiment is None for pair in pairs.values())
    return SourceRows(_table(pairs.values()), rejects, rows_in, {"rows_without_sentiment": missing})


def _split_of(name: Path) -> str:
    words = [word for part in name.with_suffix("").parts for word in re.split(r"[^a-z]+", part.lower())]
    return next((_SPLITS[word] for word in words if word in _SPLITS), "train")


def _pair(root: Path, packer: _Packer, table: Path, number: int, row: Row) -> Pair:
    text = field(row, "text", "text", TEXT_CHARACTERS_MAX)
    if not text:
        raise RowError("text_missing", "the text is empty")
    sentiment = field(row, "sentiment", "sentiment").lower()
    if sentiment and sentiment not in tables.SENTIMENTS:
        expected = ", ".join(tables.SENTIMENTS)
        raise RowError("bad_sentiment", f"expected {expected} or nothing, found {shown(sentiment)}")
    identity = field(row, "id", "id") or f"{number:06d}"
    if _ROUNDED.fullmatch(identity):
        raise RowError("bad_id", f"{identity}: a number that a spreadsheet has rounded; make ids text")
    if not _ID.fullmatch(identity):
        raise RowError("bad_id", f"expected letters without accents, digits and . _ -, found {shown(identity)}")
    group = field(row, "group", "group")
    if not group.isprintable():
        raise RowError("bad_group", f"expected a line of text, found {shown(group)}")
    member, offset, size = _picture(root, table, row, packer)
    split = field(row, "split", "split").lower()
    if split not in {"", "train", *_SPLITS}:
        raise RowError("bad_split", f"expected train, val, test or nothing, found {shown(split)}")
    split = _SPLITS.get(split, split) or _split_of(table.relative_to(root))
    return Pair(identity, " ".join(group.split()) or identity, member, offset, size, text, sentiment or None, split)


def _picture(root: Path, table: Path, row: Row, packer: _Packer) -> tuple[str, int, int]:
    cell = row["picture"]
    if isinstance(cell, bytes):
        if len(cell) > PACKED_BYTES_MAX:
            raise RowError(
                "image_too_large_bytes", f"{len(cell)} bytes, at most {PACKED_BYTES_MAX} are read of a table"
            )
        if not cell:
            raise RowError("file_empty", "0 bytes")
        return _PACKED, packer.place(cell), len(cell)
    path = file_beside(root, table, field(row, "picture", "picture"))
    with reading(path):
        size = path.stat().st_size
    return path.relative_to(root).as_posix(), 0, size


def _table(pairs: Iterable[Pair]) -> pa.Table:
    counts: Counter[str] = Counter()
    rows = []
    for pair in pairs:
        counts[pair.group] += 1
        number = counts[pair.group]
        rows.append({
            "id": f"{pair.id}-{number}", "tweet_id": pair.group, "image_index": number, "member": pair.member,
            "offset_bytes": pair.offset_bytes, "size_bytes": pair.size_bytes, "text": pair.text,
            "sentiment": pair.sentiment, "source_split": pair.source_split,
        })  # fmt: skip
    rows.sort(key=lambda row: (row["tweet_id"], row["image_index"]))
    return pa.Table.from_pylist(rows, schema=ROWS)
