"""What every engine does with a shard, wherever its processes are: load the model once, work, retry, commit."""

import errno
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from pipeline.engine import shards
from pipeline.engine.parts import Part
from pipeline.engine.store import Folder
from pipeline.errors import RetryableError

Worker = Callable[[shards.Task], shards.Output]
MakeWorker = Callable[[], Worker]

ATTEMPTS = 4  # of a shard that fails with a retryable error
# Of network file systems and busy devices; they pass by themselves. EIO does not: a disk that errs, errs on.
RETRYABLE_ERRNOS = {errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ESTALE, errno.ETIMEDOUT}
STARTS = 3  # before giving up on workers that die

# Workers have one thread each and workers x threads = cores, so that results do not depend on the number of cores.
# Libraries read these when they are first imported, which in a worker is before any code of ours runs.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Job:
    """What each worker needs besides its tasks."""

    make_worker: MakeWorker
    folder: Folder
    fingerprint: str


class Engine(Protocol):
    """Where shards are worked on; results do not depend on it."""

    @property
    def workers(self) -> int:
        """Processes on this machine, for work besides shards."""

    @property
    def part(self) -> Part | None:
        """The part of the shards that this run does; None for all of them."""

    def run(self, job: Job, tasks: Sequence[shards.Task]) -> Iterator[shards.Marker]:
        """Work through `tasks`, committing each; yields markers as shards finish, in any order.

        Raises UserError of a worker or if workers died `STARTS` times, RetryableError of a shard after `ATTEMPTS`.
        """

    def close(self) -> None:
        """End whatever outlives a `run`."""


def work(worker: Worker, job: Job, task: shards.Task) -> shards.Marker:
    """One shard from its input rows to its marker; what may pass by itself is tried again."""
    retrying = Retrying(
        retry=retry_if_exception(_is_retryable),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=30),
        reraise=True,
    )
    output = retrying(worker, task)
    marker: shards.Marker = retrying(shards.commit, job.folder, task, output, job.fingerprint)
    return marker


def _is_retryable(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return isinstance(error, ConnectionError | TimeoutError) or error.errno in RETRYABLE_ERRNOS
    return isinstance(error, RetryableError)
