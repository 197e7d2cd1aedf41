"""Shards on this machine's cores, by processes that load a model once and die with their parent.

Always `spawn`: a fork after onnxruntime has started its threads deadlocks.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

import psutil
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from pipeline.engine import lifecycle, shards
from pipeline.engine.parts import Part
from pipeline.engine.worker import ONE_THREAD, STARTS, Job, Worker, work
from pipeline.errors import UserError

STOPPED_SECONDS = 60.0  # of a worker, before it is spoken of
LOOKS = 6  # in that time
START_SECONDS = 3.0  # until a process has imported torch and the like


@dataclass(frozen=True)
class LocalEngine:
    """Shards on this machine's cores."""

    workers: int  # processes; with 1 the work is done in this one, which is easier to debug
    part: Part | None = None
    by_need: bool = (
        False  # begin in this process, and start the others once that saves time: each loads everything anew
    )

    def run(self, job: Job, tasks: Sequence[shards.Task]) -> Iterator[shards.Marker]:
        """See `Engine.run`."""
        if not tasks:
            return
        left = list(tasks)
        if self.workers == 1 or len(tasks) == 1 or self.by_need:
            yield from self._run_here(job, left)
        if left:
            yield from self._run_others(job, left)

    def _run_here(self, job: Job, left: list[shards.Task]) -> Iterator[shards.Marker]:
        """Work in this process, taking tasks off `left` until none is left or other processes would be faster."""
        begin = time.monotonic()
        # A copy, as other processes get: what a worker opens must not hang on what is sent to them later.
        own: Job = pickle.loads(pickle.dumps(job)) if self.by_need else job  # noqa: S301 - of this process
        worker = own.make_worker()
        loading, rows, begin = time.monotonic() - begin, 0, time.monotonic()
        with threadpool_limits(limits=1):  # of libraries, which `make_worker` has loaded
            while left:
                yield work(worker, job, left[0])
                rows += left.pop(0).rows
                seconds = (time.monotonic() - begin) / max(rows, 1) * sum(task.rows for task in left)
                others = min(self.workers, len(left))
                if others > 1 and self.by_need and seconds * (1 - 1 / others) > START_SECONDS + loading:
                    return

    def _run_others(self, job: Job, tasks: Sequence[shards.Task]) -> Iterator[shards.Marker]:
        waiting = {task.index: task for task in tasks}
        starts = Retrying(
            retry=retry_if_exception_type(BrokenProcessPool), stop=stop_after_attempt(STARTS), reraise=True
        )
        try:
            for start in starts:
                with start:
                    for marker in self._run_pool(job, list(waiting.values())):
                        del waiting[shards.shard_index(marker)]
                        yield marker
        except BrokenProcessPool:
            raise UserError(
                f"workers died {STARTS} times, {len(waiting)} shards from number {min(waiting)} on are not done; if "
                "memory ran out, set SIER_WORKERS lower; finished shards are kept, run again to go on"
            ) from None

    def close(self) -> None:
        """Nothing outlives a run."""

    def _run_pool(self, job: Job, tasks: Sequence[shards.Task]) -> Iterator[shards.Marker]:
        pool = ProcessPoolExecutor(
            max_workers=min(self.workers, len(tasks)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_process,
            initargs=(job, os.getpid()),
        )
        try:
            with _environment(ONE_THREAD):  # spawned processes are all started by the first task
                futures: list[Future[shards.Marker]] = [pool.submit(_work, task) for task in tasks]
            with _watched(multiprocessing.active_children()):
                for future in as_completed(futures):
                    yield future.result()
                pool.shutdown()
        except BaseException:
            # Without this, leaving by Ctrl-C or an error would wait for the shards under way.
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.kill()
            raise


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables set for as long as the block runs."""
    before = {name: os.environ[name] for name in values if name in os.environ}
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _watched(workers: Sequence[BaseProcess]) -> Iterator[None]:
    """Say of each worker that a signal has stopped that it is waited for."""
    ended = threading.Event()
    threading.Thread(target=_watch, args=([worker.pid for worker in workers], ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _watch(pids: list[int], ended: threading.Event) -> None:
    looks = dict.fromkeys(pids, 0)  # that found it stopped; no clock, which runs on while Ctrl-Z stops all of us
    while not ended.wait(STOPPED_SECONDS / LOOKS):
        for pid in pids:
            with suppress(psutil.Error):
                stopped = psutil.Process(pid).status() == psutil.STATUS_STOPPED
                looks[pid] = looks[pid] + 1 if stopped else 0
                if looks[pid] == LOOKS:
                    for_long = f"has been stopped for {STOPPED_SECONDS:.0f} s and is waited for"
                    tqdm.write(f"worker process {pid} {for_long}; let it go on: kill -CONT {pid}", file=sys.stderr)


# One worker per process; an exception of make_worker is kept and raised with the first task, because the pool
# answers a failing initializer with a traceback and a broken pool.
_process: tuple[Job, Worker | Exception] | None = None


def _start_process(job: Job, parent: int) -> None:
    global _process  # noqa: PLW0603 - a process of the pool has no other place that outlives a task
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    lifecycle.die_with_parent(parent, signal.SIGKILL)
    try:
        _process = (job, job.make_worker())
        threadpool_limits(limits=1)  # for libraries that do not look at the environment
    except Exception as error:  # noqa: BLE001 - raised again by _work
        _process = (job, error)


def _work(task: shards.Task) -> shards.Marker:
    assert _process is not None
    job, worker = _process
    if isinstance(worker, Exception):
        raise worker
    return work(worker, job, task)
