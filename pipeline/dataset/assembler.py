"""Worker of stage assemble: joins the media of the rows that the plan gives to a shard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.engine import shards


class Assembler:
    """Worker: joins the media of the rows that the plan gives to a shard."""

    def __init__(self, plan: Path, data: Path, schema: pa.Schema) -> None:
        self.plan = plan
        self.data = data
        self.schema = schema
        self.clean = shards.read_manifest(data / "clean", "clean")
        self.speech = shards.read_manifest(data / "speech", "synthesize")

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of the dataset, in the plan's order."""
        rows = pq.read_table(self.plan, filters=pc.field("shard") == task.index, partitioning=None).to_pylist()
        images = self._media("clean", self.clean, rows, "clean_shard", ["image"])
        recordings = self._media("speech", self.speech, rows, "speech_shard", ["audio"])
        for row in rows:
            identity = row["id"]
            row["image"] = {"bytes": images[identity]["image"], "path": f"{identity}.jpg"}
            row["audio"] = {"bytes": recordings[identity]["audio"], "path": f"{identity}.flac"}
        return shards.Output(pa.Table.from_pylist(rows, schema=self.schema))

    def _media(
        self, folder: str, markers: list[shards.Marker], rows: list[dict[str, Any]], key: str, columns: list[str]
    ) -> dict[str, dict[str, Any]]:
        ids = pa.array([row["id"] for row in rows])
        found: dict[str, dict[str, Any]] = {}
        for index in sorted({row[key] for row in rows}):
            part = shards.read_part(self.data / folder, markers[index], columns=["id", *columns])
            wanted = part.filter(pc.is_in(part["id"], value_set=ids))
            found |= {row["id"]: row for row in wanted.to_pylist()}
        return found
