"""Two stages of a second each: `python -m tests.faults.stages numbers`, and `doubles`, which reads its output.

Each does its work in two passes over shards, publishes and writes a metric. Rows hold bytes that cannot be compressed,
so that a disk fills up; a pause per shard leaves time to be killed in.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from functools import partial
from pathlib import Path

import pyarrow as pa
from pydantic.dataclasses import dataclass

from pipeline.engine import lifecycle, shards
from pipeline.engine.fingerprint import fingerprint
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.frame.metrics_files import write_metrics
from pipeline.frame.params import STRICT
from pipeline.frame.stage import Context, Report, stage_main
from tests.engine_workers import note

PAYLOAD = pa.schema({"id": pa.string(), "number": pa.int64(), "payload": pa.binary()})
ROWS = 5  # per shard
PAYLOAD_BYTES = 1024


@dataclass(frozen=True, config=STRICT)
class Numbers:
    shards: int
    pause_seconds: float


def payload(number: int) -> bytes:
    return b"".join(hashlib.sha256(f"{number}.{block}".encode()).digest() for block in range(PAYLOAD_BYTES // 32))


class Count:
    """Row n is the number n; multiples of 7 are rejected."""

    def __init__(self, pause_seconds: float) -> None:
        self.pause_seconds = pause_seconds

    def __call__(self, task: shards.Task) -> shards.Output:
        note(Path("log"), f"count-{task.index}")
        time.sleep(self.pause_seconds)
        numbers = range(task.payload, task.payload + task.rows)
        rows = [{"id": str(n), "number": n, "payload": payload(n)} for n in numbers if n % 7]
        rejects = [(str(n), "multiple_of_seven", f"{n} is {n // 7} times 7") for n in numbers if n % 7 == 0]
        return shards.Output(pa.Table.from_pylist(rows, PAYLOAD), rejects)


class Double:
    """Twice the number of each row of another folder of shards, with that one's rejects."""

    def __init__(self, source: Path, pause_seconds: float) -> None:
        self.source = source
        self.pause_seconds = pause_seconds

    def __call__(self, task: shards.Task) -> shards.Output:
        note(Path("log"), f"double-{task.index}")
        time.sleep(self.pause_seconds)
        rows = shards.read_part(self.source, task.payload, PAYLOAD).to_pylist()
        doubled = [{**row, "number": 2 * row["number"]} for row in rows]
        return shards.Output(pa.Table.from_pylist(doubled, PAYLOAD), shards.read_rejects(self.source, [task.payload]))


def run(name: str, params: Numbers, context: Context) -> Report:
    mark = fingerprint(name=name, shards=params.shards)
    folder = work_folder(context.paths.work, name, mark)
    if name == "numbers":
        tasks = [shards.Task(index, ROWS, index * ROWS) for index in range(params.shards)]
        first = run_shards(
            context.engine, Work("count", folder / "first", mark, partial(Count, params.pause_seconds), tasks)
        )
        source = folder / "first"
    else:
        source = context.paths.data / "numbers"
        first = shards.read_manifest(source, "numbers")
    double = partial(Double, source, params.pause_seconds)
    tasks = [shards.Task(index, marker.rows_in, marker) for index, marker in enumerate(first)]
    markers = run_shards(context.engine, Work("double", folder / "second", mark, double, tasks))
    counts = shards.total_counts(markers)
    shards.publish(folder / "second", markers, context.paths.data / name, {"note.txt": name.encode()})
    write_metrics(context.paths.reports / f"{name}.json", counts)
    finish(folder)
    ok = counts.pop(shards.OK)
    return Report(params.shards * ROWS, ok, counts)


if __name__ == "__main__":
    # The lock's patience is half a minute, too long for a test.
    lifecycle.LOCK_WAIT_SECONDS = float(os.environ.get("TEST_LOCK_WAIT_SECONDS", lifecycle.LOCK_WAIT_SECONDS))
    stage = sys.argv[1]
    raise SystemExit(stage_main(stage, Numbers, partial(run, stage), arguments=[]))
