"""finetuning: one network on one split of a corpus, by the Trainer of transformers.

In   a `Fit`
Out  `<fit.folder>/said.safetensors`: logits float32 of the validation and of the test rows; fit.json: rows of each kind
     and losses by epoch; `net`: network and preprocessor, where they are kept; said.safetensors is written last

Adam with weight decay; the rate rises over the first tenth of the steps and falls to 0. Validation rows choose the
epoch that is kept. After a stop the same fit goes on from its last whole epoch. The convolutions of wav2vec2 and its
like stay as they are, as their authors fine-tune them.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_model
from torch.utils.data import Dataset
from transformers import PrinterCallback, Trainer, TrainingArguments
from transformers.utils import SAFE_WEIGHTS_NAME

from models.teachers.ready_network import Modality, ReadyNetwork, features, load_pretrained
from pipeline.engine import files
from pipeline.errors import UserError
from pipeline.networks import trainers
from pipeline.networks.balance import class_weights
from pipeline.teachers import corpora
from pipeline.teachers.params import FinetuneParams

FIT_FILE = "fit.json"
SAID_FILE = "said.safetensors"
NET_FOLDER = "net"
CHECKPOINTS_FOLDER = "checkpoints"
WARMUP_SHARE = 0.1
WEIGHT_DECAY = 0.01

Rows = Sequence[tuple[corpora.Item, int]]  # items and the places of their classes


@dataclass(frozen=True)
class Fit:
    """One network on one split.

    Attributes:
        params: of the teacher.
        section: of the parameters, for messages.
        modality: speech or image.
        classes: in the order of the network's outputs.
        train: rows to learn from.
        validation: rows that choose the epoch.
        test: rows that the network is asked about, and never sees; may be none.
        seed: of the project.
        device: cpu or cuda.
        folder: of the results, and of checkpoints until there are results.
        keep: whether the network is wanted, or only what it says.
    """

    params: FinetuneParams
    section: str
    modality: Modality
    classes: tuple[str, ...]
    train: Rows
    validation: Rows
    test: Rows
    seed: int
    device: str
    folder: Path
    keep: bool

    @property
    def own_seed(self) -> int:
        """Of the new head and the order of rows; another for each fit."""
        digest = hashlib.sha256(f"{self.seed} {self.section} {self.folder.name}".encode()).digest()
        return int.from_bytes(digest[:4], "little") % 2**31


@dataclass(frozen=True)
class Said:
    """What a network said: logits float32 [rows, classes]; and figures of its training."""

    validation: NDArray[np.float32]
    test: NDArray[np.float32]
    figures: dict[str, Any]


class Decoded(Dataset[dict[str, Any]]):
    """Rows, decoded when they are asked for."""

    def __init__(self, modality: Modality, rows: Rows) -> None:
        self.decode, self.rows = corpora.DECODE[modality], rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        item, label = self.rows[place]
        return {"content": self.decode(item.path)[0], "label": label}


class ClassTrainer(Trainer):
    """Trainer with cross-entropy, weighted by class if asked for."""

    # The loss is a mean over the batch, which Trainer itself has to divide by the steps of an accumulated batch.
    loss_is_scaled_for_ga = False

    def __init__(self, *, weights: torch.Tensor | None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.weights = weights

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002
        # Trainer writes weights under the names of the library's files, reads them back by the names of modules, and
        # passes over those that differ: of a ViT it would read next to nothing, at a resume as for the best epoch.
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.model, str(folder / SAFE_WEIGHTS_NAME))

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """A checkpoint that does not fit is a fault of this project's."""
        if load_result.missing_keys or load_result.unexpected_keys:
            raise RuntimeError(f"a checkpoint of training does not fit its network: {load_result}")

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """Mean loss of a batch; a scalar, and the outputs where asked for."""
        logits = model(**{name: value for name, value in inputs.items() if name != "labels"}).logits.float()
        weights = None if self.weights is None else self.weights.to(logits.device)
        loss = torch.nn.functional.cross_entropy(logits, inputs["labels"], weights)
        return (loss, {"logits": logits}) if return_outputs else loss


def fit(job: Fit) -> Said:
    """See the module's docstring; at once where an earlier run has finished it.

    Raises:
        UserError: a side has no rows, the checkpoint is none, the device cannot, or the loss is no number.
    """
    if not (job.folder / SAID_FILE).is_file():
        _fit(job)
    said = load_file(job.folder / SAID_FILE)
    figures: dict[str, Any] = json.loads((job.folder / FIT_FILE).read_bytes())
    return Said(said["validation"], said["test"], figures)


def _fit(job: Fit) -> None:
    if not job.train or not job.validation:
        raise UserError(f"{job.section}: {len(job.train)} rows to train on, {len(job.validation)} to choose an epoch")
    params, checkpoints = job.params, job.folder / CHECKPOINTS_FOLDER
    trainers.start(job.own_seed)
    network, preprocessor = load_pretrained(params.checkpoint, job.modality, job.classes)
    if hasattr(network, "freeze_feature_encoder"):
        network.freeze_feature_encoder()
    labels = np.array([label for _, label in job.train], dtype=np.int64)

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        made = features(preprocessor, job.modality, [row["content"] for row in rows])
        return {**made, "labels": torch.tensor([row["label"] for row in rows])}

    shared = trainers.shared_arguments(
        checkpoints, section=job.section, seed=job.own_seed, device=job.device, mixed_precision=params.mixed_precision
    )
    trainer = ClassTrainer(
        weights=torch.from_numpy(class_weights(labels, len(job.classes))) if params.class_weights else None,
        model=network,
        args=TrainingArguments(
            **shared,
            num_train_epochs=params.epochs,
            per_device_train_batch_size=params.batch_size,
            per_device_eval_batch_size=params.batch_size,
            learning_rate=params.learning_rate,
            weight_decay=WEIGHT_DECAY,
            warmup_steps=WARMUP_SHARE,
            prediction_loss_only=True,
        ),
        train_dataset=Decoded(job.modality, job.train),
        eval_dataset=Decoded(job.modality, job.validation),
        data_collator=collate,
    )
    trainer.remove_callback(PrinterCallback)
    with warnings.catch_warnings():
        # A GPU's pinned memory, and what the networks' own code is warned of: nothing that a user could act on.
        warnings.simplefilter("ignore", UserWarning)
        trainer.train(resume_from_checkpoint=trainers.last_checkpoint(checkpoints))
    losses = {
        name: [entry[logged] for entry in trainer.state.log_history if logged in entry]
        for name, logged in (("training_loss", "loss"), ("validation_loss", "eval_loss"))
    }
    if trainer.state.best_metric is None or not all(map(math.isfinite, losses["validation_loss"])):
        raise UserError(f"{job.section}: the loss is no number; lower {job.section}.learning_rate")
    ready = ReadyNetwork(network, preprocessor, job.modality, device=job.device, batch_size=params.batch_size)
    said = {"validation": _logits(ready, job.validation), "test": _logits(ready, job.test)}
    if job.keep:
        files.remove_tree(job.folder / NET_FOLDER)
        ready.save(job.folder / NET_FOLDER)
    rows = {"train": len(job.train), "validation": len(job.validation), "test": len(job.test)}
    best = 1 + int(np.argmin(losses["validation_loss"]))
    figures = {"rows": rows, "best_epoch": best, **losses}
    files.write_bytes(job.folder / FIT_FILE, (json.dumps(figures, indent=2) + "\n").encode())
    files.write_atomically(job.folder / SAID_FILE, lambda temporary: save_file(said, temporary))
    files.remove_tree(checkpoints)


def _logits(network: ReadyNetwork, rows: Rows) -> NDArray[np.float32]:
    """Logits float32 [rows, classes]; a few batches are decoded at once."""
    content = Decoded(network.modality, rows)
    size = 8 * network.batch_size
    found = [
        network.logits([content[place]["content"] for place in range(start, min(start + size, len(rows)))])
        for start in range(0, len(rows), size)
    ]
    return np.concatenate(found) if found else np.empty((0, len(network.labels)), dtype=np.float32)
