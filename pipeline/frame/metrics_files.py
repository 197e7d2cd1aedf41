"""Small files for `dvc metrics` and `dvc plots`: rounded, and without times, so that equal runs give equal bytes.

People open CSV files in spreadsheets, which run a cell that begins with `=`, `+`, `-` or `@`. Text of that kind gets a
`'` before it, and so does text that begins with `'`; `cell_value` takes it away again. Numbers stay as they are.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.engine import files
from pipeline.errors import UserError

DIGITS = 6
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# Where a spreadsheet may see a cell begin: it may take a semicolon, a tab or a line break for the end of one.
STARTS = r"(^|[;\t\r\n])"
RUNS = re.compile(STARTS + r"(?=(?:[^\S\t\r\n]|[\0\u200b\ufeff])*[=+\-@\uff1d\uff0b\uff0d\uff20]|['\t\r])")
GUARDED = re.compile(STARTS + "'")


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """A nested mapping as JSON, numbers rounded to 6 digits."""
    files.write_bytes(path, (json.dumps(_plain(metrics), indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """What such a file holds; UserError, with the command that is the `remedy`, if it is missing or damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise UserError(f"{path}: missing or damaged; run: {remedy}")
    return value


def write_plot(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Rows as CSV with a header, numbers rounded to 6 digits."""
    files.write_bytes(path, csv_bytes(columns, rows))


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """What `write_plot` writes; no cell of it is a formula."""
    text = io.StringIO()
    writer, quoting = (
        csv.writer(text, lineterminator="\n", quoting=quotes) for quotes in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
    )
    for row in (columns, *rows):
        cells = [_cell(value) for value in row]
        # csv leaves a lone carriage return unquoted, and readers take it for the end of the row.
        (quoting if any("\r" in cell for cell in cells if isinstance(cell, str)) else writer).writerow(cells)
    return text.getvalue().encode(errors="backslashreplace")


def cell_value(cell: Any) -> Any:
    """The value of a cell that was read from such a file."""
    return GUARDED.sub(r"\1", cell) if isinstance(cell, str) else cell


def _cell(value: Any) -> Any:
    plain = _plain(value)
    return RUNS.sub(r"\1'", plain) if isinstance(plain, str) and not NUMBER.fullmatch(plain) else plain


def _plain(value: Any) -> Any:
    if isinstance(value, str):  # most cells of the long files
        return value
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
