"""Worker of stage score."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.errors import ItemError
from pipeline.engine import shards
from pipeline.frame import tables
from pipeline.teachers.items import SOURCES, ScoreParams, load_scoring_teacher
from pipeline.teachers.voice_statistics import read_statistics


class Scorer:
    """Worker: scores the rows of a shard; rows with equal media are scored once."""

    def __init__(
        self, modality: str, data: Path, checkpoint: Path, statistics: Path | None, params: ScoreParams
    ) -> None:
        self.source = SOURCES[modality]
        self.folder = data / self.source.folder
        self.teacher = load_scoring_teacher(checkpoint, params)
        self.statistics = read_statistics(statistics) if statistics else None
        self.batch_size = params.batch_size

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `tables.scores`, and a reject for each item that cannot be scored; in the order of the shard."""
        table = shards.read_part(self.folder, task.payload, columns=list(self.source.columns))
        rows = table.to_pylist()
        place = {row["id"]: position for position, row in enumerate(rows)}
        if self.teacher.by_length:
            # Encoded bytes grow with length; what is decoded at once stays a batch.
            rows.sort(key=lambda row: (len(row[self.source.columns[1]]), place[row["id"]]))
        batches = [rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size)]
        rejects: list[tuple[str, str, str]] = []
        scored: list[dict[str, Any]] = []
        known: dict[bytes, NDArray[np.float32]] = {}
        for batch in batches:
            scored += self._score(batch, known, rejects)
        scored.sort(key=lambda row: place[row["id"]])
        rejects.sort(key=lambda reject: place[reject[0]])
        return shards.Output(pa.Table.from_pylist(scored, schema=tables.scores(self.teacher.classes)), rejects)

    def _score(
        self,
        batch: list[dict[str, Any]],
        known: dict[bytes, NDArray[np.float32]],
        rejects: list[tuple[str, str, str]],
    ) -> list[dict[str, Any]]:
        keys = [hashlib.sha256(row[self.source.columns[1]]).digest() for row in batch]
        items: dict[bytes, tuple[Any, str]] = {}
        refused: dict[bytes, ItemError] = {}
        for key, row in zip(keys, batch, strict=True):
            if key not in known and key not in items and key not in refused:
                try:
                    item = self.source.item(row)
                    self.teacher.check(item)
                    items[key] = (item, row.get("voice", ""))
                except ItemError as error:
                    refused[key] = error
        if items:
            representation = self.teacher.represent([item for item, _ in items.values()])
            for (key, (_, voice)), vector in zip(items.items(), representation, strict=True):
                statistics = self.statistics[voice] if self.statistics is not None else None
                known[key] = self.teacher.classify(vector[np.newaxis], statistics)[0]
        names = [tables.PROBABILITY_PREFIX + name for name in self.teacher.classes]
        rows = []
        for key, row in zip(keys, batch, strict=True):
            if key in refused:
                rejects.append((row["id"], refused[key].status, refused[key].reason))
            else:
                probabilities = dict(zip(names, known[key].tolist(), strict=True))
                rows.append({"id": row["id"], **probabilities, "teacher_digest": self.teacher.digest})
        return rows
