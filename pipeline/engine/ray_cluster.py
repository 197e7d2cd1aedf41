"""Shards on a Ray cluster: actors that load a model once, on any machine that shares the project's folder.

`SIER_ENGINE=ray` starts a cluster of this machine's cores; `SIER_RAY_ADDRESS` names one that is there. Only the
description of a worker, of tasks (which shard, where its rows lie) and markers travel. An actor commits its shards
itself, so a driver that is lost loses no finished shard, and Ray may run a shard twice: its bytes are the same.
"""

import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

from pipeline.engine import ray_actor, shards
from pipeline.engine.parts import Part
from pipeline.engine.worker import STARTS, Job
from pipeline.errors import UserError, first_line

CONNECT_SECONDS = 10.0
IN_FLIGHT = 2  # tasks of an actor: the next one waits there already when one is done
RESTARTS = 10  # of an actor, whose machines may be taken away again and again
OBJECT_STORE_BYTES = 100 * 2**20  # no rows pass through it
# Ray reads these when it is imported. No report home; no words about a change in how GPUs are hidden.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@dataclass(frozen=True)
class RayEngine:
    """Shards on actors of a cluster."""

    workers: int  # processes on this machine: the cores of a cluster that is started here
    actors: int | None = None  # at most so many; None for as many as the cluster has room for
    address: str | None = None  # of a cluster that is there; None starts one here
    gpus: float = 0.0  # of each actor; may be a fraction
    part: Part | None = None
    _opened: ExitStack = field(default_factory=ExitStack, init=False, repr=False, compare=False)

    def run(self, job: Job, tasks: Sequence[shards.Task]) -> Iterator[shards.Marker]:
        """See `Engine.run`."""
        if not tasks:
            return
        ray = self._connect()
        number = min(len(tasks), self._room(ray))
        ray.cloudpickle.register_pickle_by_value(ray_actor)
        kind = ray.remote(ray_actor.Actor).options(
            num_cpus=1, num_gpus=self.gpus, max_restarts=RESTARTS, max_task_retries=STARTS - 1
        )  # fmt: skip
        setting = ray_actor.Actor.setting(job)
        actors = [kind.remote(*setting) for _ in range(number)]
        waiting = deque(tasks)
        under_way: dict[Future[shards.Marker], _UnderWay] = {}
        try:
            for actor in actors * IN_FLIGHT:
                _hand_out(waiting, actor, under_way)
            while under_way:
                # Not by ray.wait, which loses what a handler of signals raises.
                future = next(iter(wait(under_way, return_when=FIRST_COMPLETED).done))
                done = under_way.pop(future)
                marker = _result(ray, future, done.task)
                _hand_out(waiting, done.actor, under_way)
                if not any(other.actor is done.actor for other in under_way.values()):
                    # Its place may be what an actor of a lost machine waits for.
                    ray.kill(done.actor)
                yield marker
        finally:
            for unfinished in under_way.values():  # else Ray says of each that it is lost
                ray.cancel(unfinished.reference, recursive=False)
            for actor in actors:
                ray.kill(actor)

    def close(self) -> None:
        """Leave the cluster, which ends if it was started here."""
        self._opened.close()

    def _connect(self) -> Any:
        """The module `ray`, connected."""
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        if not self.address and "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
            # Without a token anybody on the network may run code here; Ray's own would stay in the user's home.
            os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
        with _signals_kept():
            try:
                import ray  # noqa: PLC0415 - the extra is asked for by name, and takes seconds
            except ImportError:
                install = "install it: pip install 'sier-pipeline[ray]'"
                raise UserError(f"SIER_ENGINE = ray: ray is not installed; {install}") from None
            if ray.is_initialized():
                return ray
            options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
            if self.address:
                _check_reachable(self.address)
                options["address"] = self.address
            else:
                scratch = tempfile.TemporaryDirectory(prefix="sier-", ignore_cleanup_errors=True)
                options |= {
                    "num_cpus": self.workers, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES,
                    "_temp_dir": self._opened.enter_context(scratch),  # short, as it holds sockets
                }  # fmt: skip
            try:
                ray.init(**options)
            except (ConnectionError, ValueError, RuntimeError) as error:
                there = f"SIER_RAY_ADDRESS = {self.address}: no cluster there"
                problem = there if self.address else "SIER_ENGINE = ray: no cluster could be started"
                raise UserError(f"{problem}: {first_line(error)}") from None
            self._opened.callback(ray.shutdown)
        return ray

    def _room(self, ray: Any) -> int:
        """How many actors the cluster has room for, as far as they are asked for."""
        cpus, gpus_there = (ray.cluster_resources().get(kind, 0) for kind in ("CPU", "GPU"))
        room = min(int(cpus), int(gpus_there / self.gpus + 1e-9)) if self.gpus else int(cpus)
        if not room:
            has = f"the cluster has {cpus:g} CPUs and {gpus_there:g} GPUs"
            raise UserError(f"SIER_ENGINE = ray: {has}, expected 1 and {self.gpus:g} or more")
        return room if self.actors is None else min(room, self.actors)


def gpus(text: str) -> float:
    """`SIER_RAY_GPUS` as a number; UserError if it is neither a fraction of a GPU nor a whole number of them."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 64 or (number > 1 and not number.is_integer()):
        raise UserError(f"SIER_RAY_GPUS = {text}: expected GPUs per actor, such as 0, 0.25, 1 or 2")
    return number


def _check_reachable(address: str) -> None:
    """Find out at once what Ray tries again and again for a quarter of an hour."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise UserError(f"SIER_RAY_ADDRESS = {address}: expected host:port of a cluster's head, or auto")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"SIER_RAY_ADDRESS = {address}: no cluster answers there: {error}") from None


class _UnderWay(NamedTuple):
    actor: Any
    task: shards.Task
    reference: Any


def _hand_out(waiting: deque[shards.Task], actor: Any, under_way: dict[Future[shards.Marker], _UnderWay]) -> None:
    if waiting:
        task = waiting.popleft()
        reference = actor.work.remote(bytes(ForkingPickler.dumps(task)))
        under_way[reference.future()] = _UnderWay(actor, task, reference)


def _result(ray: Any, future: Future[shards.Marker], task: shards.Task) -> shards.Marker:
    try:
        return future.result()
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        name = type(error).__name__
        raise UserError(
            f"shard {task.index}: its worker died {STARTS} times or its actor {RESTARTS + 1} times ({name}); if memory "
            "ran out, set SIER_WORKERS lower; finished shards are kept, run again to go on"
        ) from None


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray puts handlers of its own in the place of ours."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
