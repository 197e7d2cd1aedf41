"""Small files for `dvc metrics` and `dvc plots`: rounded, and without times, so that equal runs give equal bytes."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.engine import files
from pipeline.errors import UserError

DIGITS = 6


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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(value) for value in row] for row in rows)
    files.write_bytes(path, text.getvalue().encode())


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
