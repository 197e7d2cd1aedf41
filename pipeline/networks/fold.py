"""training: one network on one fold, with one seed.

In   a `Job`; the memory-mapped rows of `pipeline.networks.inputs`
Out  `<job.folder>/net` (config, weights and code; where `Job.keeps_network`), out_of_fold.parquet (id, seed, fold,
     label, p_<label> of the rows held out), run.json (rows, epochs and the curve of each epoch), curves/ (dvclive);
     their seal is written last

The protocol is that of section 4.2; validation rows decide when the learning rate falls, when training stops and which
epoch is kept, so their figures flatter. After a stop the same job goes on from its last whole epoch.
"""

import json
import os
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from scipy.special import softmax
from sklearn.metrics import accuracy_score, f1_score
from torch.utils.data import Dataset
from transformers import EarlyStoppingCallback, EvalPrediction, TrainingArguments

from models.parallelnet.losses import CombinedLoss
from models.parallelnet.parallelnet import ParallelNet
from pipeline.engine import files, sealed
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.media.augmentation import AugmentParams, flips, mask_spectrogram
from pipeline.networks import performance, trainers
from pipeline.networks.build import build
from pipeline.networks.curves import CurvesCallback
from pipeline.networks.inputs import Inputs, Item, collate
from pipeline.networks.job import CHECKPOINTS_FOLDER, CURVES_FOLDER, NET_FOLDER, RESULT_FILE, Job
from pipeline.networks.params import TrainParams
from pipeline.networks.trainers import (
    Augmented,
    BalancedSampler,
    LossTrainer,
    best_epoch,
    class_weights,
    training_arguments,
)

KERAS_MIN_DELTA = 1e-4


def train_fold(job: Job, inputs: Inputs) -> None:
    """Raises UserError: as `make_trainer` does; or weights are missing, or the loss is no number."""
    trainers.start(job.seed)
    net = build(job.model, job.train, inputs.labels)
    trainer = make_trainer(job, net, inputs)
    epochs = trainers.train(trainer, name=job.title, section="train")
    with trainers.quiet():
        logits = np.asarray(trainer.predict(trainer.eval_dataset).predictions)
    if trainer.is_world_process_zero():
        _save(job, net, inputs, logits, epochs)


def make_trainer(job: Job, net: ParallelNet, inputs: Inputs) -> LossTrainer:
    """Trainer of `net`; `inputs` are the rows that train and those held out, and UserError says if one has none."""
    train_rows, held_out = (np.flatnonzero(mask) for mask in fold_masks(inputs.rows, job.fold))
    if not len(train_rows) or not len(held_out):
        raise UserError(f"{job.title}: {len(train_rows)} rows to train on, {len(held_out)} held out")
    labels = inputs.rows["label"].to_numpy()[train_rows]
    weights = None
    if job.train.balance == "class_weights":
        weights = torch.from_numpy(class_weights(labels, len(inputs.labels)))
    performance.lay_out(net, job.train)
    return LossTrainer(
        model=net,
        args=arguments(job),
        loss=CombinedLoss(job.train.focal_weight, job.train.focal_gamma, weights, job.train.focal_alpha),
        sampler=BalancedSampler(labels, job.seed) if job.train.balance == "sampler" else None,
        train_dataset=_learnt_from(job, inputs, train_rows),
        eval_dataset=inputs.select(held_out),
        data_collator=collate,
        compute_metrics=_figures,
        optimizer_cls_and_kwargs=performance.optimizer_of(job.train),
        callbacks=[
            EarlyStoppingCallback(job.train.early_stopping_patience),
            CurvesCallback(job.folder / CURVES_FOLDER),
        ],
    )


def _learnt_from(job: Job, inputs: Inputs, rows: np.ndarray) -> Dataset[Item]:
    """The rows that train, augmented where that is asked for."""
    chosen, augment = inputs.select(rows), job.train.augment
    if augment == AugmentParams():
        return chosen
    return Augmented(chosen, partial(augmented, augment), job.seed)


def augmented(augment: AugmentParams, item: Item, random: np.random.Generator) -> Item:
    """A row of `InputRows` with its picture mirrored by chance, and its spectrogram masked."""
    changed = dict(item)
    if augment.flip and flips(random):
        changed["pixel_values"] = item["pixel_values"][..., ::-1]
    if augment.spec_augment is not None:
        changed["spectrogram"] = mask_spectrogram(item["spectrogram"], augment.spec_augment, random)
    return changed


def arguments(job: Job) -> TrainingArguments:
    """Trainer's arguments for the protocol of section 4.2; UserError if the device cannot do what it asks for."""
    train = job.train
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if train.batch_size % processes:
        raise UserError(f"train.batch_size = {train.batch_size}: expected a multiple of the {processes} processes")
    return training_arguments(
        job.folder, "train", seed=job.seed, device=job.device, mixed_precision=train.mixed_precision,
        batch_size=train.batch_size // processes, num_train_epochs=train.epochs, learning_rate=train.learning_rate,
        lr_scheduler_type="reduce_lr_on_plateau",
        lr_scheduler_kwargs=plateau(train),
        metric_for_best_model=train.best_by, greater_is_better=train.best_by != "loss",
        max_grad_norm=0.0,  # the paper clips nothing
        tf32=train.performance.tf32 if performance.has_tf32(job.device) else None,
        torch_compile=train.performance.compile,
        ddp_backend="gloo" if job.device == "cpu" and processes > 1 else None,
    )  # fmt: skip


def plateau(train: TrainParams) -> dict[str, Any]:
    """What torch must be told so that the learning rate falls when it does in Keras, the paper's library by all signs.

    There it falls after as many epochs as its patience without a figure that is better by 0.0001; torch waits for one
    more, and by default compares relatively.
    """
    return {
        "mode": "min" if train.best_by == "loss" else "max",
        "factor": train.plateau_factor, "patience": train.plateau_patience - 1, "threshold": KERAS_MIN_DELTA,
        "threshold_mode": "abs",
    }  # fmt: skip


def fold_masks(rows: pd.DataFrame, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows train and which are held out, bool [n] each.

    Rows of the dataset's train split have a fold each; other rows (fold -1 throughout) follow their own split, which
    counts as fold 0.
    """
    if (rows["fold"] < 0).all():
        return (rows["split"] == "train").to_numpy(), (rows["split"] == "val").to_numpy()
    held_out = (rows["fold"] == fold).to_numpy()
    return ~held_out, held_out


def _figures(prediction: EvalPrediction) -> dict[str, float]:
    """What is logged of the validation rows after each epoch, beside their loss."""
    predicted = np.asarray(prediction.predictions).argmax(axis=1)
    return {
        "accuracy": float(accuracy_score(prediction.label_ids, predicted)),
        "macro_f1": float(f1_score(prediction.label_ids, predicted, average="macro", zero_division=0)),
    }


def _save(job: Job, net: ParallelNet, inputs: Inputs, logits: np.ndarray, epochs: list[dict[str, float]]) -> None:
    train_rows, held_out = fold_masks(inputs.rows, job.fold)
    rows = inputs.rows[held_out]
    table = pd.DataFrame({"id": rows["id"].to_numpy(), "seed": np.int32(job.repetition), "fold": np.int8(job.fold)})
    table["label"] = [inputs.labels[label] for label in rows["label"]]
    probabilities = softmax(logits.astype(np.float64), axis=1).astype(np.float32)
    for column, name in enumerate(inputs.labels):
        table[tables.PROBABILITY_PREFIX + name] = probabilities[:, column]
    content = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata()
    files.write_atomically(job.folder / tables.OUT_OF_FOLD_FILE, lambda temporary: pq.write_table(content, temporary))
    longest = job.train.inputs.duration_seconds
    said = set(probabilities.argmax(axis=1).tolist())
    if job.keeps_network:
        files.remove_tree(job.folder / NET_FOLDER)
        net.save_pretrained(job.folder / NET_FOLDER)
        for path in (job.folder / NET_FOLDER).iterdir():
            path.chmod(0o644)  # weights come out readable by their owner only, and DVC shares what it caches
    result = {
        "seed": job.repetition,
        "fold": job.fold,
        "train_rows": int(train_rows.sum()),
        "validation_rows": len(rows),
        "cut_rows": int((inputs.rows["duration_seconds"] > longest)[train_rows | held_out].sum()),
        "best_epoch": best_epoch(epochs, job.train.best_by)["epoch"],
        "epochs": len(epochs),
        "never_predicted": [name for label, name in enumerate(inputs.labels) if label not in said],
        "stopped_early": len(epochs) < job.train.epochs,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "history": epochs,
    }
    files.write_bytes(job.folder / RESULT_FILE, (json.dumps(result, indent=2) + "\n").encode())
    sealed.seal(job.folder, without=CHECKPOINTS_FOLDER)
    files.remove_tree(job.folder / CHECKPOINTS_FOLDER)
