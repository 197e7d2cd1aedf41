"""Workers for tests of the engine: importable, so that a spawned process can make them.

All append a line per call to a file of `log`, so that a test can count what ran, also in processes that died.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow as pa

from pipeline.engine.shards import Output, Task
from pipeline.errors import RetryableError, RowError, UserError
from tests.patience import HANG_SECONDS


def note(log: Path, name: str) -> int:
    """Append this process's id to `log/name`; returns how many lines it has now."""
    log.mkdir(parents=True, exist_ok=True)
    path = log / name
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    return len(path.read_text(encoding="utf-8").splitlines())


def calls(log: Path) -> dict[str, int]:
    """Lines per file of `log`: `shard-<index>` calls of a worker, `loaded` workers made."""
    return {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in sorted(log.glob("*"))}


def until(condition: Callable[[], bool], what: str) -> None:
    """Look every 10 ms.

    Raises:
        AssertionError: it did not come true in time.
    """
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {HANG_SECONDS:.0f} s for {what}"
        time.sleep(0.01)


def until_gone(pids: Iterable[int]) -> bool:
    """Whether all processes end in time; looks on only: to wait for them would take them from their parent."""
    deadline = time.monotonic() + HANG_SECONDS
    while alive := [pid for pid in pids if lives(pid)]:
        if time.monotonic() > deadline:
            return not alive
        time.sleep(0.05)
    return True


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    except psutil.NoSuchProcess:
        return False


def tasks(number: int, rows: int = 5) -> list[Task]:
    return [Task(index, rows, index * rows) for index in range(number)]


class Squares:
    """Row `n` becomes (id, n * n); multiples of 7 are rejected."""

    def __init__(self, log: Path) -> None:
        self.log = log
        note(log, "loaded")

    def square(self, number: int) -> int:
        if number % 7 == 0:
            raise RowError("multiple_of_seven", f"{number} is {number // 7} times 7")
        return number * number

    def __call__(self, task: Task) -> Output:
        note(self.log, f"shard-{task.index}")
        rows, rejects = [], []
        for number in range(task.payload, task.payload + task.rows):
            try:
                rows.append({"id": str(number), "square": self.square(number)})
            except RowError as error:
                rejects.append((str(number), error.status, error.reason))
        return Output(pa.Table.from_pylist(rows, schema=pa.schema({"id": pa.string(), "square": pa.int64()})), rejects)


@dataclass(frozen=True)
class Failing:
    """Squares, but shard `shard` meets `kind` in its first `times` calls."""

    log: Path
    kind: str
    shard: int
    times: int = 1_000

    def __call__(self, task: Task) -> Output:
        if task.index == self.shard and note(self.log, "failures") <= self.times:
            if self.kind == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise {
                "retryable": RetryableError("the line is busy"),
                "stale": OSError(errno.ESTALE, "Stale file handle"),
                "disk": OSError(errno.EIO, "Input/output error"),
                "user": UserError("the corpus is not there"),
                "row": RowError("odd", "a row that the stage did not catch"),
                "defect": ZeroDivisionError("a defect"),
            }[self.kind]
        return Squares(self.log)(task)


def unloadable() -> Squares:
    raise UserError("the voice is not installed; install it")


def failing(log: Path, kind: str, shard: int, times: int = 1_000) -> Failing:
    return Failing(log, kind, shard, times)


class Losing(Squares):
    """Loses a row."""

    def __call__(self, task: Task) -> Output:
        output = super().__call__(task)
        return Output(output.rows.slice(1), output.rejects)


class Waiting(Squares):
    """Squares, but shards from `first_slow` on wait for the file `release` of the log's folder."""

    def __init__(self, log: Path, first_slow: int) -> None:
        super().__init__(log)
        self.first_slow = first_slow

    def __call__(self, task: Task) -> Output:
        note(self.log, f"began-{task.index}")
        while task.index >= self.first_slow and not (self.log.parent / "release").exists():
            time.sleep(0.05)
        return super().__call__(task)
