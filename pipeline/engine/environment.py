"""How work is run, by `SIER_*` variables: on which engine, how many processes, which device, which part, which store.

They are not parameters of a stage: no result depends on them.
"""

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import TypeVar

from pipeline.engine import parts, store
from pipeline.engine.local import LocalEngine
from pipeline.engine.worker import Engine
from pipeline.errors import UserError

DEVICES = ("cpu", "cuda")
ENGINES = ("local", "ray")
REPORT_TO = "SIER_REPORT_TO"
TRACKERS = ("none", "wandb", "mlflow", "tensorboard")

T = TypeVar("T")


def engine_from_environment() -> Engine:
    """The engine that `SIER_ENGINE`, `SIER_WORKERS`, `SIER_SHARD` and `SIER_RAY_*` ask for."""
    name = _choice("SIER_ENGINE", ENGINES)
    part = _parsed(parts.VARIABLE, parts.Part.parse)
    workers = workers_from_environment()
    if name == "local":
        # A number that was asked for is started at once; so are processes on a GPU, whose memory this one would hold.
        by_need = "SIER_WORKERS" not in os.environ and device_from_environment() == "cpu"
        return LocalEngine(workers, part, by_need)
    from pipeline.engine.ray_cluster import RayEngine, gpus  # noqa: PLC0415 - only who asks for it pays for it

    address, share = _parsed("SIER_RAY_ADDRESS", str), _parsed("SIER_RAY_GPUS", gpus) or 0.0
    if device_from_environment() == "cuda" and not share:
        raise UserError("SIER_DEVICE = cuda with SIER_ENGINE = ray: expected SIER_RAY_GPUS, such as 0.25")
    # Without a number a cluster that is there already is used as a whole.
    actors = None if address and not os.environ.get("SIER_WORKERS") else workers
    return RayEngine(workers=workers, actors=actors, address=address, gpus=share, part=part)


def store_from_environment() -> "store.Folder | None":
    """Where `SIER_WORK` wants shards committed: a folder, or the URL of a store; None for the project's own."""
    return _parsed("SIER_WORK", store.open_store)


def workers_from_environment() -> int:
    """Processes that `SIER_WORKERS` asks for; by default one per core that may be used."""
    return _number("SIER_WORKERS", "processes")


def threads_from_environment() -> int:
    """Threads for training a network on the cpu, by `SIER_THREADS`; by default one per core that may be used."""
    return _number("SIER_THREADS", "threads")


def device_from_environment() -> str:
    """The device for networks that `SIER_DEVICE` asks for."""
    return _choice("SIER_DEVICE", DEVICES)


def tracker_from_environment() -> str:
    """Where `SIER_REPORT_TO` wants curves of training shown, beside dvclive; UserError if that is not installed."""
    tracker = _choice(REPORT_TO, TRACKERS)
    # Without an origin it is a folder of that name here, such as wandb makes for its runs.
    if tracker != "none" and ((spec := find_spec(tracker)) is None or spec.origin is None):
        raise UserError(f"{REPORT_TO} = {tracker}: the package is not installed; pip install {tracker}, or unset it")
    return tracker


def _number(variable: str, what: str) -> int:
    """By default one per core that this process may use: a container or a Slurm job often has fewer than the host."""
    text = os.environ.get(variable)
    if text is None:
        from joblib import cpu_count  # noqa: PLC0415 - a tenth of a second, which a given number spares

        return int(cpu_count())
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"{variable} = {text}: expected a number of {what}, 1 or more")
    return int(text)


def _choice(variable: str, choices: tuple[str, ...]) -> str:
    value = os.environ.get(variable, choices[0])
    if value not in choices:
        raise UserError(f"{variable} = {value}: expected {' or '.join(choices)}")
    return value


def _parsed(variable: str, parse: Callable[[str], T]) -> T | None:
    text = os.environ.get(variable, "").strip()
    return parse(text) if text else None
