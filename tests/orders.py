"""Shards handed out in another order; results must not depend on it."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.engine import shards
from pipeline.engine.local import LocalEngine
from pipeline.engine.parts import Part
from pipeline.engine.worker import Engine, Job

VARIABLE = "SIER_SHARD_ORDER"  # `reverse` or `shuffle`, in processes of `tests/hooks`


@dataclass(frozen=True)
class Reordered:
    """An engine that gets its tasks in another order."""

    engine: Engine
    order: str

    @property
    def workers(self) -> int:
        return self.engine.workers

    @property
    def part(self) -> Part | None:
        return self.engine.part

    def run(self, job: Job, tasks: Sequence[shards.Task]) -> Iterator[shards.Marker]:
        return self.engine.run(job, in_order(tasks, self.order))

    def close(self) -> None:
        self.engine.close()


def in_order(tasks: Sequence[shards.Task], order: str) -> list[shards.Task]:
    if order == "shuffle":
        return random.Random().sample(tasks, len(tasks))
    assert order == "reverse"
    return list(reversed(tasks))


def install() -> None:
    """Let the local engine of this process work in the order that `VARIABLE` names."""
    order = os.environ.get(VARIABLE)
    if order:
        run = LocalEngine.run

        def reordered(engine: LocalEngine, job: Job, tasks: Sequence[shards.Task]) -> Iterator[shards.Marker]:
            return run(engine, job, in_order(tasks, order))

        patched: Any = LocalEngine
        patched.run = reordered
