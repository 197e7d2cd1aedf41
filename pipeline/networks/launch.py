"""launch: train on several devices or machines by `accelerate launch`. Not a stage.

`SIER_ACCELERATE` holds the launcher's arguments, such as "--num_processes 4" or "--config_file cluster.yaml"; the stage
`train` then starts this module through it once per run, and goes on when all processes are done. Without it the stage
trains in its own process. It is no parameter: the protocol's batch is divided among the processes.
"""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from pydantic import TypeAdapter

from pipeline.engine import files, lifecycle
from pipeline.engine.environment import engine_from_environment
from pipeline.errors import STOPPING, UserError
from pipeline.frame.stage import Context, Paths
from pipeline.networks.job import Job

VARIABLE = "SIER_ACCELERATE"
STAGE_VARIABLE = "SIER_STAGE_PROCESS"


def wanted() -> bool:
    """Whether the user asks for the launcher."""
    return bool(os.environ.get(VARIABLE, "").strip())


def launch(job: Job) -> None:
    """Train `job` in the processes that the launcher starts; raises UserError if it fails."""
    path = job.folder / "job.json"
    files.write_bytes(path, TypeAdapter(Job).dump_json(job))
    launcher = [sys.executable, "-m", "accelerate.commands.launch", *shlex.split(os.environ[VARIABLE])]
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    environment[STAGE_VARIABLE] = str(os.getpid())
    process = subprocess.run([*launcher, "-m", "pipeline.networks.launch", str(path)], env=environment, check=False)
    if process.returncode:
        raise UserError(
            f"{VARIABLE} = {os.environ[VARIABLE]}: accelerate launch ended with exit code {process.returncode}; "
            "see what its processes said above"
        )


def main(arguments: list[str]) -> int:
    """One of the launcher's processes."""
    from pipeline.networks.fold import train_fold  # noqa: PLC0415 - torch takes seconds, which the stage does not need
    from pipeline.networks.soft_targets import open_rows  # noqa: PLC0415

    lifecycle.die_with_parent(os.getppid(), signal.SIGKILL)
    lifecycle.stop_with(int(os.environ[STAGE_VARIABLE]))
    job = TypeAdapter(Job).validate_json(Path(arguments[0]).read_bytes())
    context = Context(job.base, Paths(Path()), engine_from_environment())
    try:
        train_fold(job, open_rows(job, context))
    except STOPPING as error:
        print(f"train@{job.name}: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
