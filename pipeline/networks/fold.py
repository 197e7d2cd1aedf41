"""training: one network on one fold, by the Trainer of transformers.

In   a `Job`; the memory-mapped rows of `pipeline.networks.inputs`
Out  `<job.folder>/net` (config, weights and code; fold 0 only), out_of_fold.parquet (id, fold, label, p_<label> of the
     rows held out), fold.json (rows, epochs and the curve of each epoch), curves/ (dvclive); fold.json is written last

The protocol is that of section 4.2; validation rows decide when the learning rate falls, when training stops and which
epoch is kept, so their figures flatter. After a stop the same job goes on from its last whole epoch.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from scipy.special import softmax
from sklearn.metrics import accuracy_score, f1_score
from torch.utils.data import Dataset
from transformers import EarlyStoppingCallback, EvalPrediction, PrinterCallback, Trainer, TrainingArguments

from models.parallelnet.losses import CombinedLoss
from models.parallelnet.parallelnet import ParallelNet
from pipeline.engine import files
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.stage import BaseParams
from pipeline.networks import params, trainers
from pipeline.networks.balance import BalancedSampler, class_weights
from pipeline.networks.build import build
from pipeline.networks.curves import CurvesCallback, history
from pipeline.networks.inputs import Inputs, collate

RESULT_FILE = "fold.json"
NET_FOLDER = "net"
CURVES_FOLDER = "curves"
CHECKPOINTS_FOLDER = "checkpoints"


@dataclass(frozen=True)
class Job:
    """One network on one fold.

    Attributes:
        name: of the network, for messages.
        model: its shape.
        train: the protocol.
        base: the project's seed and labels.
        fold: which is held out.
        device: cpu or cuda.
        folder: of the results, and of the checkpoints until there are results.
    """

    name: str
    model: params.ModelParams
    train: params.TrainParams
    base: BaseParams
    fold: int
    device: str
    folder: Path

    @property
    def seed(self) -> int:
        """Of the weights' start and of the order of rows; another for each network and fold."""
        digest = hashlib.sha256(f"{self.base.seed} {self.name} {self.fold}".encode()).digest()
        return int.from_bytes(digest[:4], "little") % 2**31

    @property
    def source(self) -> Literal["sier_train", "clean"]:
        """Rows for `pipeline.networks.inputs.open_inputs`; the test split of the dataset is none of them."""
        return "sier_train" if self.model.rows == "sier" else "clean"


def fold_masks(rows: pd.DataFrame, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows train and which are held out, bool [n] each.

    Rows of the dataset's train split have a fold each; other rows (fold -1 throughout) follow their own split, which
    counts as fold 0.
    """
    if (rows["fold"] < 0).all():
        return (rows["split"] == "train").to_numpy(), (rows["split"] == "val").to_numpy()
    held_out = (rows["fold"] == fold).to_numpy()
    return ~held_out, held_out


class FoldTrainer(Trainer):
    """Trainer with this project's loss and, if asked for, balanced rows."""

    # The loss is a mean over the batch, which Trainer itself has to divide by the steps of an accumulated batch.
    loss_is_scaled_for_ga = False

    def __init__(self, *, loss: CombinedLoss, sampler: BalancedSampler | None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.loss = loss
        self.sampler = sampler

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """Mean loss of a batch; a scalar, and the outputs where asked for."""
        outputs = model(pixel_values=inputs["pixel_values"], spectrogram=inputs["spectrogram"])
        loss = self.loss(outputs.logits, inputs["labels"])
        return (loss, {"logits": outputs.logits}) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Any:
        return self.sampler or super()._get_train_sampler(train_dataset)


def figures(prediction: EvalPrediction) -> dict[str, float]:
    """What is logged of the validation rows after each epoch, beside their loss."""
    found = np.asarray(prediction.predictions).argmax(axis=1)
    return {
        "accuracy": float(accuracy_score(prediction.label_ids, found)),
        "macro_f1": float(f1_score(prediction.label_ids, found, average="macro", zero_division=0)),
    }


def arguments(job: Job) -> TrainingArguments:
    """Trainer's arguments for the protocol of section 4.2.

    Raises:
        UserError: the device cannot do what the parameters ask for.
    """
    train = job.train
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if train.batch_size % processes:
        raise UserError(f"train.batch_size = {train.batch_size}: expected a multiple of the {processes} processes")
    shared = trainers.shared_arguments(
        job.folder / CHECKPOINTS_FOLDER, section="train", seed=job.seed, device=job.device,
        mixed_precision=train.mixed_precision,
    )  # fmt: skip
    return TrainingArguments(
        **shared,
        num_train_epochs=train.epochs,
        per_device_train_batch_size=train.batch_size // processes,
        per_device_eval_batch_size=train.batch_size // processes,
        learning_rate=train.learning_rate,
        lr_scheduler_type="reduce_lr_on_plateau",
        lr_scheduler_kwargs={"factor": train.plateau_factor, "patience": train.plateau_patience},
        max_grad_norm=0.0,  # the paper clips nothing
        ddp_backend="gloo" if job.device == "cpu" and processes > 1 else None,
    )


def make_trainer(job: Job, net: ParallelNet, inputs: Inputs) -> FoldTrainer:
    """Trainer of `net` for a job; `inputs` are all rows, those that train and those held out.

    Raises:
        UserError: a side has no rows, or see `arguments`.
    """
    train_rows, held_out = (np.flatnonzero(mask) for mask in fold_masks(inputs.rows, job.fold))
    if not len(train_rows) or not len(held_out):
        raise UserError(f"{job.name}, fold {job.fold}: {len(train_rows)} rows to train on, {len(held_out)} held out")
    labels = inputs.rows["label"].to_numpy()[train_rows]
    weights = None
    if job.train.balance == "class_weights":
        weights = torch.from_numpy(class_weights(labels, len(inputs.labels)))
    trainer = FoldTrainer(
        model=net,
        args=arguments(job),
        loss=CombinedLoss(job.train.focal_weight, job.train.focal_gamma, weights),
        sampler=BalancedSampler(labels, job.seed) if job.train.balance == "sampler" else None,
        train_dataset=inputs.select(train_rows),
        eval_dataset=inputs.select(held_out),
        data_collator=collate,
        compute_metrics=figures,
        optimizer_cls_and_kwargs=(torch.optim.Adam, {"lr": job.train.learning_rate}),
        callbacks=[
            EarlyStoppingCallback(job.train.early_stopping_patience),
            CurvesCallback(job.folder / CURVES_FOLDER),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def train_fold(job: Job, inputs: Inputs) -> None:
    """See the module's docstring.

    Raises:
        UserError: see `make_trainer`; or weights are missing, or the loss is no number.
    """
    trainers.start(job.seed)
    net = build(job.model, job.train, inputs.labels)
    trainer = make_trainer(job, net, inputs)
    with warnings.catch_warnings():
        # A GPU's pinned memory, and a scheduler that has not stepped yet: nothing that a user could act on.
        warnings.simplefilter("ignore", UserWarning)
        trainer.train(resume_from_checkpoint=trainers.last_checkpoint(job.folder / CHECKPOINTS_FOLDER))
        prediction = trainer.predict(trainer.eval_dataset)
    epochs = history(trainer.state.log_history)
    if trainer.state.best_metric is None or not all(math.isfinite(epoch["validation_loss"]) for epoch in epochs):
        raise UserError(f"{job.name}, fold {job.fold}: the loss is no number; lower train.learning_rate")
    if trainer.is_world_process_zero():
        _save(job, net, inputs, np.asarray(prediction.predictions), epochs)


def _save(job: Job, net: ParallelNet, inputs: Inputs, logits: np.ndarray, epochs: list[dict[str, float]]) -> None:
    train_rows, held_out = fold_masks(inputs.rows, job.fold)
    rows = inputs.rows[held_out]
    table = pd.DataFrame({"id": rows["id"].to_numpy(), "fold": np.int8(job.fold)})
    table["label"] = [inputs.labels[place] for place in rows["label"]]
    probabilities = softmax(logits.astype(np.float64), axis=1).astype(np.float32)
    for place, name in enumerate(inputs.labels):
        table[tables.PROBABILITY_PREFIX + name] = probabilities[:, place]
    content = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata()
    files.write_atomically(job.folder / tables.OUT_OF_FOLD_FILE, lambda temporary: pq.write_table(content, temporary))
    if job.fold == 0:
        files.remove_tree(job.folder / NET_FOLDER)
        net.save_pretrained(job.folder / NET_FOLDER)
        for path in (job.folder / NET_FOLDER).iterdir():
            path.chmod(0o644)  # weights come out readable by their owner only, and DVC shares what it caches
    best = min(epochs, key=lambda epoch: epoch["validation_loss"])
    result = {
        "fold": job.fold,
        "train_rows": int(train_rows.sum()),
        "validation_rows": len(rows),
        "best_epoch": best["epoch"],
        "epochs": len(epochs),
        "stopped_early": len(epochs) < job.train.epochs,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "history": epochs,
    }
    files.write_bytes(job.folder / RESULT_FILE, (json.dumps(result, indent=2) + "\n").encode())
    files.remove_tree(job.folder / CHECKPOINTS_FOLDER)
