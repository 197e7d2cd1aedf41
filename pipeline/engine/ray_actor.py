"""The process of a Ray cluster that works on shards.

It takes a worker's description as a spawned process of this machine would: by the standard library's own means, which
know where the project's modules lie and what `python -m pipeline.<stage>` calls itself. Until then a process that some
cluster has started knows no module of ours: so the class travels as it is, and imports them inside its methods.
"""

from __future__ import annotations

import os
import pickle
from multiprocessing import spawn
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.engine import shards
    from pipeline.engine.worker import Job, Worker

# What a process needs to be like the driver's; credentials are not among it and stay in each machine's environment.
PREPARATION = ("sys_path", "sys_argv", "orig_dir", "dir", "init_main_from_name", "init_main_from_path")
VARIABLES = "SIER_"


class Actor:
    """Loads a worker once. An error of `make_worker` is kept for the first task: Ray would wrap it in a traceback."""

    def __init__(self, preparation: dict[str, Any], variables: dict[str, str], pickled: bytes) -> None:
        os.environ.update(variables)
        self.worker: Worker | Exception
        try:
            spawn.prepare(preparation)
            from threadpoolctl import threadpool_limits  # noqa: PLC0415

            self.job: Job = pickle.loads(pickled)  # noqa: S301 - of our own driver
            self.worker = self.job.make_worker()
            threadpool_limits(limits=1)
        except Exception as error:  # noqa: BLE001 - raised again by `work`
            self.worker = error

    @staticmethod
    def setting(job: Job) -> tuple[dict[str, Any], dict[str, str], bytes]:
        """Arguments of `__init__` for actors of this process: how to prepare, its SIER_* variables, the pickled job."""
        data = spawn.get_preparation_data("sier")
        preparation = {name: data[name] for name in PREPARATION if name in data}
        variables = {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}
        return preparation, variables, bytes(ForkingPickler.dumps(job))

    def work(self, pickled: bytes) -> shards.Marker:
        """Commit the shard of a task."""
        if isinstance(self.worker, Exception):
            raise self.worker
        from pipeline.engine.worker import work  # noqa: PLC0415

        task: shards.Task = pickle.loads(pickled)  # noqa: S301 - of our own driver
        return work(self.worker, self.job, task)
