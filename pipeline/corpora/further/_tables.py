"""Rows of tables that people make themselves: CSV, TSV, JSON lines, Parquet, and the Arrow files of `datasets`.

In   a file, known by its suffix
Out  `columns`: their names; `rows`: of each row the wanted cells, or why it is none, with its number from 1

A cell is text (of numbers their digits, of class ids of `datasets` the class's name), the bytes of a picture, or None.
An enemy may have made the file: no row and no batch of rows takes more memory than it says.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from pipeline.corpora import _files, _text_parquet
from pipeline.corpora._files import bounded_lines, files_below, open_text, reading, require_folder, shown
from pipeline.corpora._text_files import csv_rows
from pipeline.errors import RowError, UserError

Made = TypeVar("Made")
Cell = str | bytes | None
Row = dict[str, Cell]
Numbered = tuple[int, Row | tuple[str, str]]  # a row, or status and reason

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet", ".arrow")
FIELD_CHARACTERS_MAX = 200  # of whatever is not a text: labels, paths, ids
_DELIMITERS = {".csv": ",;\t", ".tsv": "\t"}  # spreadsheets of many countries write semicolons
_DEPTH = 3  # folders below the corpus's root
_COLUMN_BYTES_MAX = 2**32  # of a row group once unpacked
# Of Parquet, single rows: a file of kilobytes can say a picture of 100 MB a million times.
_BATCH_ROWS = 1


def made_of_rows(
    root: Path,
    wanted: Mapping[str, Sequence[str]],
    optional: Sequence[str],
    expected: str,
    make: Callable[[Path, int, Row], Made],
) -> Iterator[tuple[str, Made | RowError]]:
    """Of each row its place, `<file>:<number>`, and what `make` makes of it, or why nothing.

    `root` is a table, or a folder with tables below it. `make` is given the table, the row's number over all tables,
    from 1, and the cells by the names in `wanted`.
    """
    number = 0
    for path, chosen in chosen_columns(root, wanted, optional, expected):
        name = path.relative_to(base_of(root)).as_posix()
        for number_in_table, row in rows(path, list(chosen.values())):
            number += 1
            made: Made | RowError
            try:
                if not isinstance(row, dict):
                    raise RowError(*row)
                made = make(path, number, {what: row[column] for what, column in chosen.items()})
            except RowError as error:
                made = error
            yield f"{name}:{number_in_table}", made


def base_of(root: Path) -> Path:
    """The folder from which paths count: of a table, which may be linked to, the one it lies in."""
    return root.resolve().parent if _files.is_file(root) else root


def chosen_columns(
    root: Path, wanted: Mapping[str, Sequence[str]], optional: Sequence[str], expected: str
) -> Iterator[tuple[Path, dict[str, str]]]:
    """Each table of `root` and its columns; `UserError` if there is none, or one without a needed column."""
    tables = [root.resolve()] if _files.is_file(root) else _tables_in(require_folder(root, expected), expected)
    for path in tables:
        yield path, choose(path, wanted, optional)


def _tables_in(root: Path, expected: str) -> list[Path]:
    below = files_below(root, lambda path: path.suffix.lower() in SUFFIXES, _DEPTH)
    found = [path for path in below if _files.is_file(path)]
    if not found:
        kinds = ", ".join(SUFFIXES)
        raise UserError(f"{root}: expected {expected} in a file with one of {kinds}, found none; check the path")
    for path in found:
        if not _files.is_utf8(str(path)):
            raise UserError(f"{root}: the file name {path.name!a} is not UTF-8; rename it")
    return found


def choose(path: Path, wanted: Mapping[str, Sequence[str]], optional: Sequence[str] = ()) -> dict[str, str]:
    """The column of each wanted thing, by the first of its names that the table has.

    Raises:
        UserError: a column that is not optional is missing, or stands there twice.
    """
    names = columns(path)
    chosen = {what: next((name for name in known if name in names), None) for what, known in wanted.items()}
    for what, column in chosen.items():
        if column is None and what not in optional:
            asked = " or ".join(wanted[what])
            found = shown(", ".join(map(str, names)))
            raise UserError(f"{path}: expected a column {asked}, found {found}; name it so, or move the file away")
        if column is not None and names.count(column) > 1:
            raise UserError(f"{path}: two columns are called {column}; expected one")
    return {what: column for what, column in chosen.items() if column is not None}


def columns(path: Path) -> list[str]:
    """Names of a table's columns; of JSON lines those of the first row."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return list(_text_parquet.open_file(path).schema_arrow.names)
    if suffix == ".arrow":
        with _arrow(path) as reader:
            return list(reader.schema.names)
    if suffix == ".jsonl":
        number, row = next(_json_rows(path), (0, ("", "")))
        if not isinstance(row, dict):
            raise UserError(f"{path}: expected a JSON object per line, found {'none' if not number else row[1]}")
        return list(row)
    return _header(path)[0]


def rows(path: Path, wanted: Sequence[str]) -> Iterator[Numbered]:
    """Every row with its cells of the wanted columns; UserError where the file is damaged or of other types."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return enumerate(_parquet_rows(path, wanted), 1)
    if suffix == ".arrow":
        return enumerate(_arrow_rows(path, wanted), 1)
    found = _json_rows(path) if suffix == ".jsonl" else _csv_rows(path)
    return (
        (number, {name: row.get(name) for name in wanted} if isinstance(row, dict) else row) for number, row in found
    )


def field(row: Row, what: str, name: str, most: int = FIELD_CHARACTERS_MAX) -> str:
    """Stripped text of a cell, empty where there is none; `RowError` (`bad_<name>`) if it is no proper text."""
    cell = row.get(what)
    if isinstance(cell, bytes):
        raise RowError(f"bad_{name}", "bytes, expected text")
    text = (cell or "").strip()
    if len(text) > most:
        raise RowError(f"bad_{name}", f"{len(text):,} characters, expected at most {most:,}")
    if "\ufffd" in text or not _files.is_utf8(text):
        raise RowError(f"bad_{name}", f"not UTF-8: {shown(text)}")
    if "\0" in text:
        raise RowError(f"bad_{name}", f"a null character in {shown(text)}")
    return text


def file_beside(root: Path, table: Path, name: str) -> Path:
    """The file that a table names; `RowError` if it is missing, empty or outside the corpus.

    Links are followed: the caches of `datasets` are full of them, and a corpus on several disks is.
    """
    given = Path(name.replace("\\", "/"))
    if not name:
        raise RowError("path_missing", "no file is named")
    if given.is_absolute() or ".." in given.parts or ":" in given.parts[0]:
        raise RowError("unsafe_path", f"{shown(name)} leads out of the corpus")
    path = table.parent / given
    if not _files.is_file(path):
        raise RowError("file_missing", f"no file {shown(name)} beside {table.relative_to(root).as_posix()}")
    with reading(path):
        if not path.stat().st_size:
            raise RowError("file_empty", f"{shown(name)} has 0 bytes")
    return path


def _header(path: Path) -> tuple[list[str], str]:
    """Names of the columns, and what separates them: the separator that makes most."""
    with open_text(path) as file:
        line = next(bounded_lines(file), "").rstrip("\r\n")
    best: list[str] = []
    separator = _DELIMITERS[path.suffix.lower()][0]
    for delimiter in _DELIMITERS[path.suffix.lower()]:
        try:
            names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter, strict=True), [])]
        except csv.Error:
            continue
        if len(names) > len(best):
            best, separator = names, delimiter
    return best, separator


def _csv_rows(path: Path) -> Iterator[Numbered]:
    names, delimiter = _header(path)
    with open_text(path) as file:
        lines = enumerate(bounded_lines(file), 1)
        next(lines, None)
        for number, (_, fields) in enumerate(csv_rows(lines, delimiter), 1):
            if fields is None or len(fields) != len(names):
                found = "a quote out of place" if fields is None else f"{len(fields)}"
                yield number, ("bad_row", f"expected {len(names)} fields, found {found}")
            else:
                yield number, dict(zip(names, fields, strict=True))


def _json_rows(path: Path) -> Iterator[Numbered]:
    with open_text(path) as file:
        for number, line in enumerate((line for line in bounded_lines(file) if line.strip()), 1):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                yield number, ("bad_row", f"expected a JSON object, found {shown(line.strip())}")
            elif strange := next((key for key, value in row.items() if isinstance(value, bool | float)), None):
                yield number, ("bad_row", f"{shown(strange)} is {row[strange]}; expected text, or a whole number")
            else:
                yield number, {key: _json_cell(value) for key, value in row.items()}


def _json_cell(value: Any) -> Cell:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _parquet_rows(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    file = _text_parquet.open_file(path)
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    unpacked = max((group.total_byte_size for group in groups), default=0)
    if unpacked > _COLUMN_BYTES_MAX:
        raise UserError(
            f"{path}: {unpacked:,} bytes of rows at once, expected at most {_COLUMN_BYTES_MAX:,}; divide it"
        )
    names = _class_names(file.schema_arrow)
    with _text_parquet.damage(path):
        for batch in file.iter_batches(_BATCH_ROWS, columns=list(wanted)):
            batch.validate(full=True)
            yield from _cells(path, batch, wanted, names)


def _arrow(path: Path) -> pa.RecordBatchStreamReader:
    with _text_parquet.damage(path):
        return pa.ipc.open_stream(pa.memory_map(str(path)))


def _arrow_rows(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    with _text_parquet.damage(path), _arrow(path) as reader:
        names = _class_names(reader.schema)
        for batch in reader:
            batch.validate(full=True)  # or its offsets may lead anywhere
            for start in range(batch.num_rows):
                yield from _cells(path, batch.slice(start, 1), wanted, names)


def _cells(path: Path, batch: pa.RecordBatch, wanted: Sequence[str], names: Mapping[str, list[str]]) -> Iterator[Row]:
    found = {name: [_cell(path, name, scalar, names.get(name)) for scalar in batch.column(name)] for name in wanted}
    for place in range(batch.num_rows):
        yield {name: values[place] for name, values in found.items()}


def _cell(path: Path, name: str, scalar: pa.Scalar, classes: list[str] | None) -> Cell:
    kind = scalar.type
    if pa.types.is_dictionary(kind):
        return _cell(path, name, scalar.value, classes) if scalar.is_valid else None
    if pa.types.is_struct(kind) and {field.name for field in kind} == {"bytes", "path"}:
        if not scalar.is_valid:
            return None
        data = scalar["bytes"].as_py()
        return data if data is not None else _cell(path, name, scalar["path"], None)
    if not scalar.is_valid:
        return None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        # As bytes: a file may say of anything that it is UTF-8.
        return bytes(scalar.as_buffer()).decode("utf-8", "replace")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        data = scalar.as_py()
        return bytes(data)
    if pa.types.is_integer(kind):
        value = scalar.as_py()
        return classes[value] if classes and 0 <= value < len(classes) else str(value)
    raise UserError(f"{path}: column {name} is {kind}, expected text{' or pictures' if name != 'text' else ''}")


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Names of the classes of columns that `datasets` stores as class ids."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        named = {name: kind["names"] for name, kind in features.items() if kind.get("_type") == "ClassLabel"}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: names for name, names in named.items() if isinstance(names, list) and all(map(_is_text, names))}


def _is_text(name: Any) -> bool:
    return isinstance(name, str)
