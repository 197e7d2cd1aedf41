"""Third pass of clean: the rows that stay, with their groups."""

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.engine import shards
from pipeline.engine.rejects import conform
from pipeline.engine.store import Folder
from pipeline.frame import tables
from pipeline.tweets.examine import EXAMINED


class Keeper:
    """The worker of this pass; a task's payload is the marker of its examined shard."""

    def __init__(self, examined: Folder, decisions: Path) -> None:
        self.examined = examined
        self.decisions = decisions

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `tables.CLEAN`; as rejects those of the first pass, and the rows that repeat others."""
        marker: shards.Marker = task.payload
        rows = shards.read_part(self.examined, marker, EXAMINED)
        rejects = shards.read_rejects(self.examined, [marker])
        decided = pq.read_table(self.decisions, filters=pc.field("shard") == task.index, partitioning=None)
        assert decided["id"].equals(rows["id"])
        stays = pc.equal(decided["status"], "")
        dropped = decided.filter(pc.invert(stays)).to_pylist()
        rejects += [(row["id"], row["status"], row["reason"]) for row in dropped]
        kept = rows.append_column("group_id", decided["group_id"]).filter(stays)
        kept = kept.select(tables.CLEAN.names).cast(tables.CLEAN)
        return shards.Output(conform(kept, tables.CLEAN, "clean"), rejects)
