"""What every training by the Trainer of transformers shares: its arguments, silence, and going on after a stop."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from transformers import set_seed
from transformers.trainer_utils import get_last_checkpoint

from pipeline.engine import files
from pipeline.engine.environment import threads_from_environment
from pipeline.errors import UserError

MixedPrecision = Literal["bf16", "fp16"]


def shared_arguments(
    folder: Path, *, section: str, seed: int, device: str, mixed_precision: MixedPrecision | None
) -> dict[str, Any]:
    """Of TrainingArguments: validate and save after each epoch, keep the best by its loss, and say nothing.

    Args:
        folder: of the checkpoints.
        section: of the parameters, for messages.
        seed: of the order of rows and whatever else is drawn.
        device: `cpu` or `cuda`.
        mixed_precision: see the parameters.

    Raises:
        UserError: the device cannot do what the parameters ask for.
    """
    if device == "cpu" and mixed_precision == "fp16":
        raise UserError(f"{section}.mixed_precision = fp16 needs SIER_DEVICE=cuda; on a cpu expected bf16 or null")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("SIER_DEVICE = cuda, but torch finds no such device")
    return {
        "output_dir": str(folder),
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "logging_strategy": "epoch",
        "save_total_limit": 1,  # besides the best
        "load_best_model_at_end": True,
        "metric_for_best_model": "loss",
        "greater_is_better": False,
        "restore_callback_states_from_checkpoint": True,  # or early stopping counts anew after a resume
        "seed": seed,
        "data_seed": seed,
        "bf16": mixed_precision == "bf16",
        "fp16": mixed_precision == "fp16",
        "use_cpu": device == "cpu",
        "dataloader_num_workers": 2 if device == "cuda" else 0,
        "dataloader_pin_memory": device == "cuda",
        "remove_unused_columns": False,
        "report_to": "none",
        "disable_tqdm": not os.isatty(2),
        "log_level": "error",
    }


def start(seed: int) -> None:
    """Before a network is built: the same seed and number of threads whatever this process did before."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()  # of writing weights, which takes no time
    # Set here, since stages that ran in this process may have left another number; it decides in which order sums are
    # taken, and so a weight's last bits.
    torch.set_num_threads(threads_from_environment())
    set_seed(seed)


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint; torn ones, which lack the file that Trainer writes last, are removed."""
    if not folder.is_dir():
        return None
    for checkpoint in folder.glob("checkpoint-*"):
        try:
            json.loads((checkpoint / "trainer_state.json").read_bytes())
        except (OSError, ValueError):
            files.remove_tree(checkpoint)
    found: str | None = get_last_checkpoint(str(folder))
    return found
