"""Rows that were left out, by stage and reason: all of them counted, the first few of each reason named.

In   data/<stage>/rejects, data/labels (rows that are not kept), data/checkpoints/{ser,ier}/rejects.csv,
     data/explanations/rejects.parquet, data/corpora/*/rejects.parquet
Out  `Reason`s in the order of stages, the most frequent first
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine import shards
from pipeline.engine.rejects import REJECTS
from pipeline.errors import UserError
from pipeline.frame import acquired, tables
from pipeline.frame.metrics_files import cell_value

# Folder below data/ of each stage that keeps rejects beside its shards.
FOLDERS = {"clean": "clean", "synthesize": "speech", "score@speech": "scores/speech", "score@image": "scores/image"}


@dataclass(frozen=True)
class Reason:
    """Why so many rows of one stage were left out, and (id, reason) of the first few."""

    stage: str
    status: str
    rows: int
    examples: list[tuple[str, str]]


def read(data: Path, examples: int) -> list[Reason]:
    """All reasons; `examples` rows of each are named. Raises UserError: a file is missing or damaged."""
    reasons = []
    for stage, rejects in _all(data):
        statuses = sorted(rejects.groupby("status"), key=lambda group: (-len(group[1]), str(group[0])))
        for status, rows in statuses:
            named = rows.sort_values("id", kind="stable").head(examples)
            pairs = list(zip(named["id"], named["reason"], strict=True))
            reasons.append(Reason(stage, str(status), len(rows), pairs))
    return reasons


def _all(data: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Id, status and reason of all rows by stage."""
    try:
        for path in sorted((data / "corpora").glob(f"*/{acquired.REJECTS}")):
            yield f"acquire@{path.parent.name}", _read(path)
        for stage, folder in FOLDERS.items():
            markers = shards.read_manifest(data / folder, stage)
            parts = [_read(data / folder / marker.rejects.name) for marker in markers if marker.rejects.rows]
            yield stage, pd.concat([REJECTS.empty_table().to_pandas(), *parts])
        yield "label", _dropped(data / "labels")
        for modality, folder in tables.CHECKPOINTS.items():
            path = data / "checkpoints" / folder / "rejects.csv"
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, usecols=REJECTS.names)
            yield f"train_teacher@{modality}", frame.map(cell_value)
        yield "explain", _read(data / "explanations" / "rejects.parquet")
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{data}: rejects cannot be read: {error}; run: dvc repro") from None


def _read(path: Path) -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(path, columns=REJECTS.names).to_pandas()
    return frame


def _dropped(folder: Path) -> pd.DataFrame:
    """Rows without a label, with what the teachers said."""
    markers = shards.read_manifest(folder, "label")
    labels = shards.read_parts(folder, markers, tables.LABELS).to_pandas()
    dropped: pd.DataFrame = labels[~labels["kept"]]
    said = [
        f"speech: {row.speech_label} {row.speech_max:.2f}; picture: {row.image_label} {row.image_max:.2f}"
        for row in dropped.itertuples()
    ]
    return dropped.assign(status=dropped["reason"], reason=said)
