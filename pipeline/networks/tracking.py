"""Curves of a training for trackers, beside dvclive's: whichever `SIER_REPORT_TO` names.

Each training is a run of its own, named as its progress is; `WANDB_*`, `MLFLOW_*` and `TENSORBOARD_LOGGING_DIR` work as
they do with Trainer. What is trained does not depend on it.
"""

import os
import re
from pathlib import Path

from transformers import Trainer
from transformers.integrations import TensorBoardCallback
from transformers.integrations.integration_utils import get_reporting_integration_callbacks

from pipeline.engine.environment import REPORT_TO, tracker_from_environment
from pipeline.errors import UserError, first_line

BOARDS = "runs"  # where tensorboard looks, too


class _Board(TensorBoardCallback):  # type: ignore[misc]
    """A folder for each training; the library's own default lies among checkpoints, which go when they have served."""

    def __init__(self, name: str) -> None:
        super().__init__()
        given = Path(os.environ.get("TENSORBOARD_LOGGING_DIR", BOARDS)).expanduser()
        self.logging_dir = str(given / re.sub(r"[^\w.]+", "-", name))


def begin(trainer: Trainer, name: str) -> None:
    """Let `trainer` report to the tracker that is asked for; UserError if there is none such."""
    tracker = tracker_from_environment()
    if tracker == "none":
        return
    trainer.args.run_name = name
    for kind in get_reporting_integration_callbacks(tracker):
        trainer.add_callback(_Board(name) if issubclass(kind, TensorBoardCallback) else kind)


def end(trainer: Trainer) -> None:
    """The training is over, and a further one in this process is another run."""
    for kind in get_reporting_integration_callbacks(tracker := tracker_from_environment()):
        trainer.remove_callback(kind)
    if tracker == "wandb":
        import wandb  # noqa: PLC0415 - a tracker is the user's to install

        wandb.finish()


def failure(error: Exception) -> UserError | None:
    """What to say of an error that a tracker's own code has raised, such as a log-in that is missing."""
    tracker = tracker_from_environment()
    if type(error).__module__.partition(".")[0] != tracker:
        return None
    return UserError(f"{REPORT_TO} = {tracker}: {first_line(error)}; mend it, or unset {REPORT_TO}")
