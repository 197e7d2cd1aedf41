"""Which row goes into which file of the dataset."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine import files, shards

SPLITS = ("train", "test")


def write_plan(
    rows: pd.DataFrame, labels: Sequence[str], target: Path, shard_rows: int
) -> tuple[list[shards.Task], list[str]]:
    """Write which row goes where; returns the tasks and the file names of their shards."""
    tasks: list[shards.Task] = []
    names: list[str] = []
    shard_of = pd.Series(-1, index=rows.index)
    for split in SPLITS:
        members = rows.index[rows["split"] == split]
        chunks = [members[start : start + shard_rows] for start in range(0, len(members), shard_rows)]
        for number, chunk in enumerate(chunks):
            shard_of[chunk] = len(tasks)
            tasks.append(shards.Task(len(tasks), len(chunk), None))
            names.append(f"data/{split}-{number:05d}-of-{len(chunks):05d}.parquet")
    class_ids = rows["label"].map({name: place for place, name in enumerate(labels)})
    planned = rows.assign(shard=shard_of, label=class_ids)
    planned = planned.sort_values("shard", kind="stable")  # or each task would have to read all of it
    plan = pa.Table.from_pandas(planned, preserve_index=False)
    files.write_atomically(target, lambda temporary: pq.write_table(plan, temporary, row_group_size=10_000))
    return tasks, names
