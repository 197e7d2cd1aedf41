"""Probabilities that something outside this project made: a laboratory's own model, the votes of annotators.

In   a Parquet or CSV table: `id` and a column `p_<class>` for each class; other columns are passed over
Out  `OutsideScores`: sound rows by id, and the others with their reason

An enemy may have made the file. Rows that are no probabilities are rejects; what makes the whole doubtful (no such
columns, an id twice, a file that cannot be parsed) stops the run.
"""

import hashlib
import json
import re
from collections import Counter
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.errors import UserError, first_line
from pipeline.frame import tables
from pipeline.frame.params import PARAMS_FILE, STRICT

SUM_TOLERANCE = 0.01  # what rounding to two or three digits does to a sum of probabilities
BYTES_MAX = 2**32  # of the file
CELLS_MAX = 2 * 10**8  # of all columns; a Parquet file of kilobytes can hold any number of equal ones
ID_CHARACTERS_MAX = 200
CLASSES_MAX = 100
CLASS = re.compile(r"\w[\w -]{0,39}")  # it becomes a name of columns, and a word of pages
LEAST_OF_DIGEST = 12  # hex digits by which a table is told apart

Reject = tuple[str, str, str]  # id, status, reason


@dataclass(frozen=True, config=STRICT, kw_only=True)
class OutsideParams:
    """Where such a table lies and where it came from.

    Attributes:
        path: of a .parquet or .csv file.
        name: what cards call whatever made it.
        licence, source: as cards tell them: an SPDX id, an address or words; null where they are not known.
        digest: the one that an earlier run has shown, or its beginning: another content is refused; null: any.
        max_lost_share: of its rows, and of those that ask it, for one reason; more is an error.
    """

    kind: Literal["scores"]
    path: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(pattern=r"^\w[\w .,()+/-]{0,79}$")]
    licence: str | None = None
    source: str | None = None
    digest: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{LEAST_OF_DIGEST},64}}$")] | None = None
    max_lost_share: Annotated[float, Field(ge=0, le=1)] = 0.05


@dataclass(frozen=True, config={"arbitrary_types_allowed": True})
class OutsideScores:
    """What the sound rows of a table say, sorted by id; the classes are in alphabetical order."""

    ids: list[str]
    classes: tuple[str, ...]
    values: NDArray[np.float32]  # [rows, classes]; rows sum to 1
    digest: str  # sha256 of all this, hex: the same for CSV and Parquet, and for any order of rows and columns
    rejects: list[Reject] = field(default_factory=list)


def read(params: OutsideParams, where: str) -> OutsideScores:
    """The table that the section `where` of params names.

    Raises UserError: it is missing, damaged, too large or of another form, has an id twice, is not the one with the
    digest that is asked for, or too many of its rows are no probabilities.
    """
    path = Path(params.path).expanduser()
    named = f"{PARAMS_FILE}: {where}.path = {params.path}"
    if not path.is_file():
        raise UserError(f"{named}: no such file; expected a .parquet or .csv file with columns id and p_<class>")
    if path.suffix.lower() not in {".parquet", ".csv"}:
        raise UserError(f"{named}: expected a file that ends with .parquet or .csv")
    if (size := path.stat().st_size) > BYTES_MAX:
        raise UserError(f"{named}: {size:,} bytes, expected at most {BYTES_MAX:,}; leave out columns and rows")
    table = (_read_csv if path.suffix.lower() == ".csv" else _read_parquet)(path)
    found = _checked(path, table)
    if found.rejects:
        status, count = Counter(status for _, status, _ in found.rejects).most_common(1)[0]
        first = next(f"{identity!a}: {reason}" for identity, of, reason in found.rejects if of == status)
        expect_few_lost(params, where, count, table.num_rows, f"of its rows are rejected ({status}), first {first}")
    if not found.ids:
        raise UserError(f"{path}: no row with an id and probabilities; expected one for each row to score")
    if not found.digest.startswith(params.digest or ""):
        raise UserError(
            f"{named}: its content has the digest {found.digest}, expected {params.digest}; bring the old file back, "
            f"or change {where}.digest"
        )
    return found


def expect_few_lost(params: OutsideParams, where: str, lost: int, rows: int, what: str) -> None:
    """Raises UserError where more of the rows are lost than the section `where` allows."""
    if lost > params.max_lost_share * rows:
        raise UserError(
            f"{params.path}: {lost:,} of {rows:,} {what}; mend the table, or allow it by {where}.max_lost_share "
            f"(now {params.max_lost_share})"
        )


def _read_csv(path: Path) -> pa.Table:
    options = pa.csv.ReadOptions(use_threads=False)  # with threads, errors do not name the row
    try:
        with pa.csv.open_csv(path, read_options=options) as file:
            names = _header(path, file.schema.names)
        return pa.csv.read_csv(
            path,
            read_options=options,
            convert_options=pa.csv.ConvertOptions(
                include_columns=names, column_types={"id": pa.string(), **dict.fromkeys(names[1:], pa.float64())}
            ),
        )
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            f"{path}: expected CSV with commas, id and p_<class>; found: {first_line(error)[:300]}"
        ) from None


def _read_parquet(path: Path) -> pa.Table:
    try:
        # As a dictionary, a long id takes memory once however often it stands.
        with pq.ParquetFile(path, read_dictionary=["id"]) as file:
            schema = pq.read_schema(path)
            names = _header(path, schema.names)
            if strange := next((name for name in names if not _fits(schema.field(name).type, name)), None):
                wanted = "text" if strange == "id" else "numbers"
                raise UserError(f"{path}: column {strange} is {schema.field(strange).type}, expected {wanted}")
            if (cells := file.metadata.num_rows * len(names)) > CELLS_MAX:
                raise UserError(f"{path}: {cells:,} cells, expected at most {CELLS_MAX:,}; leave out columns and rows")
            table = file.read(columns=names)
        table.validate(full=True)  # or its offsets may lead anywhere
        longest = max(
            (pc.max(pc.binary_length(part.dictionary)).as_py() or 0 for part in table["id"].chunks), default=0
        )
        if longest > 4 * ID_CHARACTERS_MAX:
            raise UserError(f"{path}: an id of {longest:,} bytes, expected at most {ID_CHARACTERS_MAX} characters")
        return table.cast(pa.schema([("id", pa.string()), *((name, pa.float64()) for name in names[1:])]))
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: damaged, or no Parquet: {first_line(error)}") from None


def _fits(kind: pa.DataType, name: str) -> bool:
    if name == "id":
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _header(path: Path, found: list[str]) -> list[str]:
    """Names of the wanted columns: id, then those of classes in alphabetical order."""
    names = sorted(name for name in found if name.startswith(tables.PROBABILITY_PREFIX))
    what = f"{path}: expected columns id and p_<class> for two classes or more"
    if "id" not in found or len(set(names)) < 2:
        raise UserError(f"{what}, found {', '.join(found)[:200]!a}")
    wanted = ["id", *names]
    if twice := next((name for name in wanted if found.count(name) > 1), None):
        raise UserError(f"{path}: two columns are called {twice!a}; expected one")
    if len(names) > CLASSES_MAX:
        raise UserError(f"{path}: {len(names)} classes, expected at most {CLASSES_MAX}")
    for name in names:
        if not CLASS.fullmatch(name.removeprefix(tables.PROBABILITY_PREFIX)):
            raise UserError(f"{path}: column {name[:60]!a}: expected p_ and a class of at most 40 letters and digits")
    return wanted


def _checked(path: Path, table: pa.Table) -> OutsideScores:
    ids = [identity or "" for identity in table["id"].to_pylist()]
    values = np.column_stack([table[name].to_numpy() for name in table.column_names[1:]]).astype(np.float64)
    possible = np.asarray((np.isfinite(values) & (values >= 0) & (values <= 1)).all(axis=1))
    sums = np.where(possible, values.sum(axis=1, where=np.isfinite(values)), 1.0)
    rejects, sound, row_of = [], np.ones(len(ids), dtype=bool), dict[str, int]()
    for row, identity in enumerate(ids):
        if identity in row_of:
            raise UserError(
                f"{path}: id {identity!a} stands in rows {row_of[identity] + 1} and {row + 1}; expected one"
            )
        reason = None
        if not identity or len(identity) > ID_CHARACTERS_MAX or not identity.isprintable():
            reason = "bad_id", f"row {row + 1}: expected an id of 1 to {ID_CHARACTERS_MAX} printable characters"
        elif not possible[row]:
            reason = "not_a_probability", f"row {row + 1}: a value is missing or not between 0 and 1"
        elif abs(sums[row] - 1) > SUM_TOLERANCE:
            reason = "sum_not_one", f"row {row + 1}: its probabilities sum to {sums[row]:.4f}, not to 1"
        if reason:
            sound[row] = False
            rejects.append((identity[:ID_CHARACTERS_MAX], *reason))
        if identity:
            row_of[identity] = row
    kept = np.array(sorted(np.flatnonzero(sound), key=lambda row: ids[row]), dtype=np.int64)
    normal = (values[kept] / sums[kept, np.newaxis]).astype(np.float32)
    names = [ids[row] for row in kept]
    classes = tuple(name.removeprefix(tables.PROBABILITY_PREFIX) for name in table.column_names[1:])
    content = hashlib.sha256(json.dumps([classes, names]).encode())
    content.update(normal.tobytes())
    return OutsideScores(names, classes, normal, content.hexdigest(), rejects)
