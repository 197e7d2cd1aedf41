"""What stages left in reports/: metrics and plots data, as they stand there.

In   reports/<name>.json, reports/plots/<name>.csv, reports/table_{2,3}.csv, reports/{comparisons,doubtful_rows,
     closest_pairs}.csv
Out  `Reports`: nested mappings, and lists of records with numbers where a column holds numbers
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import UserError
from pipeline.frame.metrics_files import cell_value, read_json

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
TABLES = ("comparisons", "table_2", "table_3", "doubtful_rows", "closest_pairs")
IDS = ("id", "train_id", "test_id")  # columns that hold ids

Record = dict[str, Any]


@dataclass(frozen=True)
class Reports:
    """Metrics by stage, rows of plots and of tables by file name."""

    metrics: Mapping[str, Any]
    plots: Mapping[str, list[Record]]
    tables: Mapping[str, list[Record]]


def read(folder: Path) -> Reports:
    """All of `reports/`. Raises UserError: a file is missing or damaged."""
    return Reports(
        {name: read_json(folder / f"{name}.json", "dvc repro") for name in METRICS},
        {name: _records(folder / "plots" / f"{name}.csv") for name in PLOTS},
        {name: _records(folder / f"{name}.csv") for name in TABLES},
    )


def _records(path: Path) -> list[Record]:
    try:  # ids are digits, but no numbers; whole numbers stay whole beside empty cells
        frame = pd.read_csv(
            path, dtype=dict.fromkeys(IDS, str), keep_default_na=False, na_values=[""], dtype_backend="numpy_nullable"
        )
    except (OSError, ValueError):
        raise UserError(f"{path}: missing or damaged; run: dvc repro") from None
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): cell_value(cell) for name, cell in record.items()} for record in records]


def series(rows: Sequence[Record], x: str, y: str) -> dict[str, list[tuple[float, float]]]:
    """Points (x, y) by the column `series`, in the order of the file; rows without a value are left out."""
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row[x] is not None and row[y] is not None:
            points.setdefault(str(row.get("series", "")), []).append((float(row[x]), float(row[y])))
    return points
