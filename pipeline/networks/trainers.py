"""One training by the Trainer of transformers, the same way for networks and for teachers.

Validation rows choose the epoch that is kept. After a stop a training goes on from its last whole epoch, with the state
of its callbacks, to the same weights.
"""

import json
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sized
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint, rotate_checkpoints

from pipeline.engine import files, sealed
from pipeline.engine.environment import threads_from_environment, workers_from_environment
from pipeline.engine.progress import Progress
from pipeline.errors import UserError
from pipeline.networks import tracking
from pipeline.networks.curves import history
from pipeline.networks.job import CHECKPOINTS_FOLDER
from pipeline.networks.performance import expect_device

MOST_LOADERS = 8

WANTED = ("labels", "targets")  # of the items: what the network should say


Item = dict[str, Any]


class Augmented(Dataset[Item]):
    """Rows of another dataset, changed by random numbers that follow from the seed, the epoch and the row's place."""

    def __init__(self, rows: Dataset[Item], change: Callable[[Item, np.random.Generator], Item], seed: int) -> None:
        self.rows, self.change, self.seed = rows, change, seed
        self.epoch = 0

    def __len__(self) -> int:
        assert isinstance(self.rows, Sized)
        return len(self.rows)

    def __getitem__(self, index: int) -> Item:
        return self.change(self.rows[index], np.random.default_rng((self.seed, self.epoch, index)))


class _TellEpoch(TrainerCallback):  # type: ignore[misc]
    """Before the loader starts its processes, which take copies; also when training goes on after a stop.

    Loaders tell their datasets only where there is one process, and no sampler to tell.
    """

    def on_epoch_begin(self, _: Any, state: Any, __: Any, train_dataloader: Any = None, **___: Any) -> None:
        train_dataloader.dataset.epoch = round(state.epoch)


class LossTrainer(Trainer):  # type: ignore[misc]
    """Trainer with a loss of logits and labels, a mean over the batch, and with rows drawn by `sampler` if given."""

    loss_is_scaled_for_ga = False  # so Trainer itself divides the loss by the steps of an accumulated batch

    def __init__(
        self, *, loss: Callable[[Tensor, Tensor], Tensor], sampler: Sampler[int] | None = None, **arguments: Any
    ) -> None:
        super().__init__(**arguments)
        self.remove_callback(PrinterCallback)
        if isinstance(self.train_dataset, Augmented):
            self.add_callback(_TellEpoch())
        self.loss = loss
        self.sampler = sampler

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """Mean loss of a batch; a scalar, and the outputs where asked for."""
        logits = model(**{name: value for name, value in inputs.items() if name not in WANTED}).logits.float()
        loss = self.loss(logits, inputs.get("targets", inputs["labels"]))
        return (loss, {"logits": logits}) if return_outputs else loss

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()  # each process adds the state of its random numbers
        if self.is_world_process_zero():
            folder, best = str(self.args.output_dir), self.state.best_model_checkpoint
            sealed.seal(Path(folder, f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"))
            # Not by the argument save_total_limit, which removes the one before while this one has no seal.
            rotate_checkpoints(folder, save_total_limit=1, best_model_checkpoint=best, use_mtime=True)

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Any:
        return self.sampler or super()._get_train_sampler(train_dataset)


def training_arguments(
    folder: Path, section: str, *, seed: int, device: str, mixed_precision: str | None, batch_size: int, **more: Any
) -> TrainingArguments:
    """Validate and save after each epoch into `folder`, keep the best, by its loss if no other figure is named.

    Says nothing.

    Raises UserError if the device cannot do what the parameters of `section` ask for.
    """
    expect_device(device, mixed_precision, section, compiled=bool(more.get("torch_compile")))
    return TrainingArguments(
        output_dir=str(folder / CHECKPOINTS_FOLDER),
        eval_strategy="epoch", save_strategy="epoch", logging_strategy="epoch",
        load_best_model_at_end=True,
        restore_callback_states_from_checkpoint=True,  # or early stopping counts anew after a resume
        seed=seed, data_seed=seed,
        per_device_train_batch_size=batch_size, per_device_eval_batch_size=batch_size, remove_unused_columns=False,
        bf16=mixed_precision == "bf16", fp16=mixed_precision == "fp16", use_cpu=device == "cpu",
        dataloader_num_workers=loaders() if device == "cuda" else 0, dataloader_pin_memory=device == "cuda",
        report_to="none", disable_tqdm=True, log_level="error",
        **{"metric_for_best_model": "loss", "greater_is_better": False, **more},
    )  # fmt: skip


def loaders() -> int:
    """Processes that read rows for each process that trains, as many as `SIER_WORKERS` allows and a GPU needs."""
    return max(1, min(MOST_LOADERS, workers_from_environment()) // int(os.environ.get("WORLD_SIZE", "1")))


def start(seed: int) -> None:
    """Before a network is built: the same seed and number of threads whatever this process did before."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()  # of writing weights, which takes no time
    # Set here, since stages that ran in this process may have left another number; it decides in which order sums are
    # taken, and so a weight's last bits.
    torch.set_num_threads(threads_from_environment())
    set_seed(seed)


def train(trainer: LossTrainer, *, name: str, section: str) -> list[dict[str, float]]:
    """Train, or go on from the last whole epoch; leaves the network of the best epoch, and returns the `history`.

    Raises UserError if the loss of `name` is no number; `section` has its learning rate.
    """
    with quiet(), Progress(desc=name, unit="step", disable=not trainer.is_world_process_zero()) as bar:
        trainer.add_callback(_Steps(bar))
        tracking.begin(trainer, name)
        try:
            trainer.train(resume_from_checkpoint=last_checkpoint(Path(trainer.args.output_dir)))
            tracking.end(trainer)
        except Exception as error:
            if said := tracking.failure(error):
                raise said from None
            raise
    epochs = history(trainer.state.log_history)
    if trainer.state.best_metric is None or not all(math.isfinite(epoch["validation_loss"]) for epoch in epochs):
        raise UserError(f"{name}: the loss is no number; lower {section}.learning_rate")
    return epochs


class _Steps(TrainerCallback):  # type: ignore[misc]
    """Moves a bar; early stopping may end it before its end."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 - as Trainer has it
        self.bar.reset(state.max_steps)
        self.bar.update(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.bar.set_postfix_str(f"epoch {math.ceil(state.epoch)} of {state.num_train_epochs}", refresh=False)
        self.bar.update()


def quiet() -> "warnings.catch_warnings[None]":
    """Hide what nobody could act on: warnings of a GPU's pinned memory, of schedulers and of the networks' own code."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)


def last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that can be believed; others are removed.

    Those are torn or damaged, or have lost the checkpoint of their best epoch: Trainer would end with the last one's
    weights instead, and not say so.
    """
    for checkpoint in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        if not sealed.is_whole(checkpoint):
            files.remove_tree(checkpoint)
    for checkpoint in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        best = json.loads((checkpoint / TRAINER_STATE_NAME).read_bytes())["best_model_checkpoint"]
        if best is not None and not Path(best).is_dir():
            files.remove_tree(checkpoint)
    newest: str | None = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    return newest


def class_weights(labels: NDArray[np.int64], classes: int | None = None) -> NDArray[np.float32]:
    """float32 [classes]: inverse to the classes' frequency, 1 if all are even, and 1 where a class has no rows."""
    present = np.unique(labels)
    weights = np.ones(classes or present.max() + 1, dtype=np.float32)
    weights[present] = compute_class_weight("balanced", classes=present, y=labels)
    return weights


class BalancedSampler(Sampler[int]):
    """Draws rows with replacement so that each class is as likely as any other; the same epoch draws the same rows."""

    def __init__(self, labels: NDArray[np.int64], seed: int) -> None:
        self.weights = torch.as_tensor(class_weights(labels)[labels], dtype=torch.double)
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the loader before each epoch, also when training goes on after a stop."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.weights)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return iter(torch.multinomial(self.weights, len(self), replacement=True, generator=generator).tolist())


def best_epoch(epochs: list[dict[str, float]], best_by: str = "loss") -> dict[str, float]:
    """The row of a `history` with the lowest validation loss, or the highest other figure; of equal ones the first."""
    sign = 1 if best_by == "loss" else -1
    return min(epochs, key=lambda epoch: sign * epoch[f"validation_{best_by}"])
