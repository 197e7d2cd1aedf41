"""The media of given rows, and the worker of stage assemble, which joins them to the rows of a shard."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.engine import shards


def find_rows(
    folder: Path, markers: Sequence[shards.Marker], wanted: Iterable[tuple[str, int]], columns: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Rows of a finished folder by id; `wanted` are ids, each with the number of its shard."""
    numbers = dict(wanted)
    ids = pa.array(list(numbers), pa.string())
    rows: dict[str, dict[str, Any]] = {}
    for number in sorted(set(numbers.values())):
        part = shards.read_part(folder, markers[number], columns=["id", *columns])
        rows |= {row["id"]: row for row in part.filter(pc.is_in(part["id"], value_set=ids)).to_pylist()}
    return rows


def media(identity: str, image: bytes, audio: bytes) -> dict[str, dict[str, Any]]:
    """The columns image and audio of a row, as Hugging Face features hold them."""
    return {
        "image": {"bytes": image, "path": f"{identity}.jpg"},
        "audio": {"bytes": audio, "path": f"{identity}.flac"},
    }


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
        pictures = find_rows(self.data / "clean", self.clean, _places(rows, "clean"), ["image"])
        recordings = find_rows(self.data / "speech", self.speech, _places(rows, "speech"), ["audio"])
        for row in rows:
            identity = row["id"]
            row.update(media(identity, pictures[identity]["image"], recordings[identity]["audio"]))
        return shards.Output(pa.Table.from_pylist(rows, schema=self.schema))


def _places(rows: list[dict[str, Any]], folder: str) -> list[tuple[str, int]]:
    return [(row["id"], row[f"{folder}_shard"]) for row in rows]
