"""A stage for tests of signals and locks: `python -m tests.slow_stage`, in a folder with a params.yaml of its own.

Its shards from number `first_slow` on wait until there is a file `release`; `log` counts what ran (see engine_workers).
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from pydantic.dataclasses import dataclass

from pipeline.engine import lifecycle, shards
from pipeline.engine.work import Work, run_shards
from pipeline.frame.params import STRICT
from pipeline.frame.stage import Context, Report, stage_main
from tests.engine_workers import Waiting, tasks

PARAMS = "base: {seed: 1, labels: [happy, sad]}\nslow_stage: {shards: 6, first_slow: 2}\n"


@dataclass(frozen=True, config=STRICT)
class SlowParams:
    shards: int
    first_slow: int


def run(params: SlowParams, context: Context) -> Report:
    make_worker = partial(Waiting, Path("log"), params.first_slow)
    folder = context.paths.shards / "slow"
    markers = run_shards(context.engine, Work("slow", folder, "f", make_worker, tasks(params.shards)))
    shards.publish(folder, markers, context.paths.data / "slow")
    counts = shards.total_counts(markers)
    rejected = {status: count for status, count in counts.items() if status != shards.OK}
    return Report(sum(counts.values()), counts[shards.OK], rejected)


if __name__ == "__main__":
    # The lock's patience is half a minute, too long for a test.
    lifecycle.LOCK_WAIT_SECONDS = float(os.environ.get("TEST_LOCK_WAIT_SECONDS", lifecycle.LOCK_WAIT_SECONDS))
    raise SystemExit(stage_main("slow_stage", SlowParams, run, sharded=True))
