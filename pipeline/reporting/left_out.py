"""Rows that were left out, by stage and reason: all of them counted, the first few of each reason told.

In   data/<stage>/rejects, data/labels (rows that are not kept), data/checkpoints/{ser,ier}/rejects.csv,
     data/explanations/rejects.parquet, data/corpora/*/rejects.parquet
Out  `Reason`s in the order of stages, the most frequent first
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.engine import shards
from pipeline.engine.rejects import REJECTS
from pipeline.errors import UserError
from pipeline.frame import acquired, tables

# Folder below data/ of each stage that keeps rejects beside its shards.
FOLDERS = {
    "clean": "clean",
    "synthesize": "speech",
    "score@speech": "scores/speech",
    "score@image": "scores/image",
}


@dataclass(frozen=True)
class Reason:
    """Why rows of one stage were left out.

    Attributes:
        stage: that left them out.
        status: what they are counted by.
        rows: how many.
        examples: (id, reason) of the first few.
    """

    stage: str
    status: str
    rows: int
    examples: list[tuple[str, str]]


def read(data: Path, examples: int) -> list[Reason]:
    """All reasons; `examples` rows of each are named.

    Raises:
        UserError: a file is missing or damaged.
    """
    found = []
    for stage, table in _all(data):
        counts: dict[str, int] = {
            pair["values"]: pair["counts"] for pair in pc.value_counts(table["status"]).to_pylist()
        }
        for status in sorted(counts, key=lambda name: (-counts[name], name)):
            chosen = table.filter(pc.equal(table["status"], status)).sort_by("id").slice(0, examples).to_pylist()
            told = [(row["id"], row["reason"]) for row in chosen]
            found.append(Reason(stage, status, counts[status], told))
    return found


def _all(data: Path) -> Iterator[tuple[str, pa.Table]]:
    try:
        for path in sorted((data / "corpora").glob(f"*/{acquired.REJECTS}")):
            yield f"acquire@{path.parent.name}", pq.read_table(path, columns=REJECTS.names)
        for stage, folder in FOLDERS.items():
            yield stage, _rejects(data / folder, stage)
        yield "label", _dropped(data / "labels")
        for modality, folder in tables.CHECKPOINTS.items():
            path = data / "checkpoints" / folder / "rejects.csv"
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
            yield f"train_teacher@{modality}", pa.Table.from_pandas(frame, REJECTS, preserve_index=False)
        yield "explain", pq.read_table(data / "explanations" / "rejects.parquet", columns=REJECTS.names)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{data}: rejects cannot be read: {error}; run: dvc repro") from None


def _rejects(folder: Path, stage: str) -> pa.Table:
    markers = [marker for marker in shards.read_manifest(folder, stage) if marker.rejects.rows]
    parts = [pq.read_table(folder / marker.rejects.name) for marker in markers]
    return pa.concat_tables([REJECTS.empty_table(), *parts])


def _dropped(folder: Path) -> pa.Table:
    """Rows without a label, with what the teachers said."""
    markers = shards.read_manifest(folder, "label")
    found = pa.concat_tables(shards.read_part(folder, marker, tables.LABELS) for marker in markers)
    found = found.filter(pc.invert(found["kept"]))
    columns = (found[name].to_pylist() for name in ("speech_label", "speech_max", "image_label", "image_max"))
    told = [
        f"speech: {speech} {speech_max:.2f}; picture: {image} {image_max:.2f}"
        for speech, speech_max, image, image_max in zip(*columns, strict=True)
    ]
    return pa.table({"id": found["id"], "status": found["reason"], "reason": told}, schema=REJECTS)
