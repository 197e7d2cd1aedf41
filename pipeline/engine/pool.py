"""A pool of processes that load a model once, work on whole shards, and die with their parent.

Always `spawn`: a fork after onnxruntime has started its threads deadlocks. Workers have one thread each and
workers x threads = cores, so that results do not depend on the number of cores.
"""

from __future__ import annotations

import errno
import functools
import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential
from threadpoolctl import threadpool_limits

from pipeline.engine import lifecycle, shards
from pipeline.errors import RetryableError, UserError

Worker = Callable[[shards.Task], shards.Output]
MakeWorker = Callable[[], Worker]

ATTEMPTS = 4  # of a shard that fails with a retryable error
# Of network file systems and busy devices; they pass by themselves. EIO does not: a disk that errs, errs on.
RETRYABLE_ERRNOS = {errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ESTALE, errno.ETIMEDOUT}
POOL_STARTS = 3  # before giving up on workers that die
ORDERS = "forward, reverse or shuffle"
DEVICES = ("cpu", "cuda")

# Libraries read these when they are first imported, which in a worker is before any code of ours runs.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Job:
    """What each worker needs besides its tasks."""

    make_worker: MakeWorker
    folder: Path
    fingerprint: str


@dataclass(frozen=True)
class LocalEngine:
    """Shards on this machine's cores.

    Attributes:
        workers: processes; with 1 the work is done in this one, which is easier to debug.
        order: in which shards are handed out; results do not depend on it.
    """

    workers: int
    order: str = "forward"

    def run(self, job: Job, tasks: Sequence[shards.Task]) -> Iterator[shards.Marker]:
        """Work through `tasks`, committing each; yields markers as shards finish, in any order.

        Raises:
            UserError: of a worker, or workers died repeatedly.
            RetryableError: a shard failed `ATTEMPTS` times.
        """
        if not tasks:
            return
        ordered = self._ordered(tasks)
        if self.workers == 1 or len(tasks) <= 1:
            _start_worker(job.make_worker)
            for task in ordered:
                yield _work(job.folder, job.fingerprint, task)
            return
        waiting = {task.index: task for task in ordered}
        for start in range(1, POOL_STARTS + 1):
            try:
                for marker in self._run_pool(job, list(waiting.values())):
                    del waiting[int(marker.shard.removeprefix("part-"))]
                    yield marker
            except BrokenProcessPool:
                if start == POOL_STARTS:
                    shard = min(waiting)
                    raise UserError(
                        f"workers died {start} times, {len(waiting)} shards from number {shard} on are not done; if "
                        "memory ran out, set SIER_WORKERS lower; finished shards are kept, run again to go on"
                    ) from None
            else:
                return

    def _run_pool(self, job: Job, tasks: Sequence[shards.Task]) -> Iterator[shards.Marker]:
        os.environ.update(ONE_THREAD)
        pool = ProcessPoolExecutor(
            max_workers=min(self.workers, len(tasks)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_process,
            initargs=(job.make_worker, os.getpid()),
        )
        try:
            work = functools.partial(_work, job.folder, job.fingerprint)
            futures: list[Future[shards.Marker]] = [pool.submit(work, task) for task in tasks]
            for future in as_completed(futures):
                yield future.result()
            pool.shutdown()
        except BaseException:
            # Without this, leaving by Ctrl-C or an error would wait for the shards under way.
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.kill()
            raise

    def _ordered(self, tasks: Sequence[shards.Task]) -> list[shards.Task]:
        if self.order == "shuffle":
            return random.Random().sample(tasks, len(tasks))
        return list(tasks) if self.order == "forward" else list(reversed(tasks))


def engine_from_environment() -> LocalEngine:
    """The engine that `SIER_ENGINE`, `SIER_WORKERS` and `SIER_SHARD_ORDER` ask for.

    They are not parameters of a stage: no result depends on them.
    """
    engine = os.environ.get("SIER_ENGINE", "local")
    if engine != "local":
        raise UserError(f"SIER_ENGINE = {engine}: expected local")
    text = os.environ.get("SIER_WORKERS", str(os.cpu_count() or 1))
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"SIER_WORKERS = {text}: expected a number of processes, 1 or more")
    order = os.environ.get("SIER_SHARD_ORDER", "forward")
    if order not in ORDERS.replace(",", "").split():
        raise UserError(f"SIER_SHARD_ORDER = {order}: expected {ORDERS}")
    return LocalEngine(workers=int(text), order=order)


def threads_from_environment() -> int:
    """Threads for training a network on the cpu, by `SIER_THREADS`; by default one per core."""
    text = os.environ.get("SIER_THREADS", str(os.cpu_count() or 1))
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"SIER_THREADS = {text}: expected a number of threads, 1 or more")
    return int(text)


def device_from_environment() -> str:
    """The device for networks that `SIER_DEVICE` asks for."""
    device = os.environ.get("SIER_DEVICE", "cpu")
    if device not in DEVICES:
        raise UserError(f"SIER_DEVICE = {device}: expected {' or '.join(DEVICES)}")
    return device


# One worker per process; an exception of make_worker is kept and raised with the first task, because the pool
# answers a failing initializer with a traceback and a broken pool.
_worker: Worker | Exception | None = None


def _start_process(make_worker: MakeWorker, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    lifecycle.die_with_parent(parent, signal.SIGKILL)
    _start_worker(make_worker)


def _start_worker(make_worker: MakeWorker) -> None:
    global _worker  # noqa: PLW0603 - a process of the pool has no other place that outlives a task
    try:
        _worker = make_worker()
        # Also where the work is done in the stage's own process, whose libraries are loaded already.
        threadpool_limits(limits=1)
    except Exception as error:  # noqa: BLE001 - raised again by _work
        _worker = error


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, RetryableError) or (isinstance(error, OSError) and error.errno in RETRYABLE_ERRNOS)


def _work(folder: Path, fingerprint: str, task: shards.Task) -> shards.Marker:
    if isinstance(_worker, Exception):
        raise _worker
    assert _worker is not None
    retrying = Retrying(
        retry=retry_if_exception(_is_retryable),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=30),
        reraise=True,
    )
    output = retrying(_worker, task)
    return shards.commit(folder, task, output, fingerprint)
