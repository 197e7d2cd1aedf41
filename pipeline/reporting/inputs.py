"""What stages left in reports/: metrics and plots data, as they stand there.

In   reports/<name>.json, reports/plots/<name>.csv, reports/table_{2,3}.csv, reports/doubtful_rows.csv
Out  `Reports`: nested mappings, and lists of records with numbers where a cell is one
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

METRICS = (
    "clean", "synthesize", "train_teacher_speech", "train_teacher_image", "label", "assemble", "evaluate", "audit",
    "explain",
)  # fmt: skip
PLOTS = (
    "accuracy_by_agreement", "accuracy_by_confidence", "classes", "confidence", "curves", "deletion_image",
    "deletion_speech", "insertion_image", "insertion_speech", "label_quality", "modalities", "modality_share",
    "speech_predictions", "splits", "teacher_image_reliability", "teacher_speech_reliability",
    "thresholds", "validity", "word_error_rate",
)  # fmt: skip
TABLES = ("table_2", "table_3", "doubtful_rows")

Record = dict[str, Any]


@dataclass(frozen=True)
class Reports:
    """Metrics by stage, rows of plots and of tables by file name."""

    metrics: Mapping[str, Any]
    plots: Mapping[str, list[Record]]
    tables: Mapping[str, list[Record]]


def read(folder: Path) -> Reports:
    """All of `reports/`.

    Raises:
        UserError: a file is missing or damaged.
    """
    return Reports(
        {name: _json(folder / f"{name}.json") for name in METRICS},
        {name: _records(folder / "plots" / f"{name}.csv") for name in PLOTS},
        {name: _records(folder / f"{name}.csv") for name in TABLES},
    )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        raise UserError(f"{path}: missing or damaged; run: dvc repro") from None


def _records(path: Path) -> list[Record]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, ValueError, csv.Error):
        raise UserError(f"{path}: missing or damaged; run: dvc repro") from None
    return [{name: _value(name, cell) for name, cell in row.items()} for row in rows]


def _value(name: str, cell: str) -> Any:
    if name == "id":  # digits, but no number
        return cell
    if cell in {"", "True", "False"}:
        return {"": None, "True": True, "False": False}[cell]
    try:
        return float(cell) if "." in cell or "e" in cell.lower() else int(cell)
    except ValueError:
        return cell


def series(rows: Sequence[Record], x: str, y: str, key: str = "series") -> dict[str, list[tuple[float, float]]]:
    """Points (x, y) by the column `key`, in the order of the file; rows without a value are left out."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row[x] is not None and row[y] is not None:
            found.setdefault(str(row.get(key, "")), []).append((float(row[x]), float(row[y])))
    return found
