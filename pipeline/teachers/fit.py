"""finetuning: one network on one split of a corpus.

In   a `Fit`
Out  `<fit.folder>/logits.safetensors`: logits float32 of the validation and of the test rows; fit.json: rows of each
     kind and losses by epoch; `net`: network and preprocessor, where they are kept; their seal is written last

Adam with weight decay; the rate rises over the first tenth of the steps and falls to 0. Validation rows choose the
epoch that is kept. After a stop the same fit goes on from its last whole epoch. The convolutions of wav2vec2 and its
like stay as they are, as their authors fine-tune them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ImageOps
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_model
from torch import Tensor
from torch.utils.data import Dataset
from transformers.utils import SAFE_WEIGHTS_NAME

from models.teachers.pretrained import SAMPLING_RATE_HZ, Modality, load_pretrained
from models.teachers.ready_network import ReadyNetwork, features
from models.teachers.repository import Repository
from pipeline.engine import files, sealed
from pipeline.errors import UserError
from pipeline.media.augmentation import AugmentParams, flips, mask_waveform
from pipeline.networks import trainers
from pipeline.networks.job import CHECKPOINTS_FOLDER
from pipeline.networks.trainers import Augmented, LossTrainer, best_epoch, class_weights, training_arguments
from pipeline.teachers import corpora
from pipeline.teachers.params import FinetuneParams

FIT_FILE = "fit.json"
LOGITS_FILE = "logits.safetensors"
NET_FOLDER = "net"
WARMUP_SHARE = 0.1
WEIGHT_DECAY = 0.01

Rows = Sequence[tuple[corpora.Item, int]]  # items and the indices of their classes


@dataclass(frozen=True)
class Fit:
    """One network on one split; `folder` takes the results, and checkpoints until there are results."""

    params: FinetuneParams
    section: str  # of the parameters, for messages
    base: Repository  # of the pretrained network
    modality: Modality
    classes: tuple[str, ...]  # in the order of the network's outputs
    train: Rows
    validation: Rows  # choose the epoch
    test: Rows  # the network is asked about them, and never sees them; may be none
    seed: int
    device: str
    folder: Path
    keep: bool  # whether the network is wanted, or only its logits


@dataclass(frozen=True)
class Fitted:
    """Logits float32 [rows, classes] of a network, and figures of its training."""

    validation: NDArray[np.float32]
    test: NDArray[np.float32]
    figures: dict[str, Any]


def fit(job: Fit) -> Fitted:
    """Train, or read what an earlier run has finished; UserError if rows are missing or the loss is no number."""
    if not sealed.is_whole(job.folder, without=CHECKPOINTS_FOLDER):
        _fit(job)
    logits = load_file(job.folder / LOGITS_FILE)
    return Fitted(logits["validation"], logits["test"], json.loads((job.folder / FIT_FILE).read_bytes()))


def _fit(job: Fit) -> None:
    if not job.train or not job.validation:
        raise UserError(f"{job.section}: {len(job.train)} rows to train on, {len(job.validation)} to choose an epoch")
    params = job.params
    trainers.start(job.seed)
    network, preprocessor = load_pretrained(job.base, job.modality, job.classes)
    if hasattr(network, "freeze_feature_encoder"):
        network.freeze_feature_encoder()
    if params.augment.spec_augment is not None:
        network.config.apply_spec_augment = False  # wav2vec2's own, which its makers have switched on
    weights = None
    if params.class_weights:
        weights = torch.from_numpy(class_weights(np.array([label for _, label in job.train]), len(job.classes)))

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        inputs = features(preprocessor, job.modality, [row["content"] for row in rows])
        return {**inputs, "labels": torch.tensor([row["label"] for row in rows])}

    trainer = _ExactTrainer(
        loss=torch.nn.CrossEntropyLoss(weights).to(job.device),
        model=network,
        args=training_arguments(
            job.folder, job.section, seed=job.seed, device=job.device, mixed_precision=params.mixed_precision,
            batch_size=params.batch_size, num_train_epochs=params.epochs, learning_rate=params.learning_rate,
            weight_decay=WEIGHT_DECAY, warmup_steps=WARMUP_SHARE, prediction_loss_only=True,
        ),
        train_dataset=_learnt_from(job), eval_dataset=_Decoded(job.modality, job.validation),
        data_collator=collate,
    )  # fmt: skip
    epochs = trainers.train(trainer, name=job.section, section=job.section)
    ready = ReadyNetwork(network, preprocessor, job.modality, device=job.device, batch_size=params.batch_size)
    logits = {"validation": _logits(ready, job.validation), "test": _logits(ready, job.test)}
    if job.keep:
        files.remove_tree(job.folder / NET_FOLDER)
        ready.save(job.folder / NET_FOLDER)
    figures = {
        "rows": {"train": len(job.train), "validation": len(job.validation), "test": len(job.test)},
        "best_epoch": best_epoch(epochs)["epoch"],
        "training_loss": [epoch["train_loss"] for epoch in epochs],
        "validation_loss": [epoch["validation_loss"] for epoch in epochs],
    }
    files.write_bytes(job.folder / FIT_FILE, (json.dumps(figures, indent=2) + "\n").encode())
    files.write_atomically(job.folder / LOGITS_FILE, lambda temporary: save_file(logits, temporary))
    sealed.seal(job.folder, without=CHECKPOINTS_FOLDER)
    files.remove_tree(job.folder / CHECKPOINTS_FOLDER)


class _Decoded(Dataset[dict[str, Any]]):
    """Rows, decoded when they are asked for."""

    def __init__(self, modality: Modality, rows: Rows) -> None:
        self.decode, self.rows = corpora.DECODE[modality], rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item, label = self.rows[index]
        return {"content": self.decode(item.path)[0], "label": label}


def _learnt_from(job: Fit) -> Dataset[dict[str, Any]]:
    """The rows that train, augmented where that is asked for."""
    rows, augment = _Decoded(job.modality, job.train), job.params.augment
    return rows if augment == AugmentParams() else Augmented(rows, partial(_augmented, augment), job.seed)


def _augmented(augment: AugmentParams, row: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
    """A row of `_Decoded` with its picture mirrored by chance, or its waveform masked."""
    content = row["content"]
    if augment.flip and flips(random):
        content = ImageOps.mirror(content)
    if augment.spec_augment is not None:
        content = mask_waveform(content, augment.spec_augment, random, sampling_rate_hz=SAMPLING_RATE_HZ)
    return {**row, "content": content}


class _ExactTrainer(LossTrainer):
    """Writes the weights of a checkpoint under the names by which Trainer reads them back.

    Trainer itself writes the names of the library's files, reads by the names of modules, and passes over those that
    differ: of a ViT it would read next to nothing, at a resume as for the best epoch.
    """

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:  # noqa: ARG002
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.model, str(folder / SAFE_WEIGHTS_NAME))

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """A checkpoint that does not fit is a fault of this project's."""
        if load_result.missing_keys or load_result.unexpected_keys:
            raise RuntimeError(f"a checkpoint of training does not fit its network: {load_result}")


def _logits(network: ReadyNetwork, rows: Rows) -> NDArray[np.float32]:
    """Logits float32 [rows, classes]; a few batches are decoded at once."""
    dataset = _Decoded(network.modality, rows)
    size = 8 * network.batch_size
    chunks = [range(start, min(start + size, len(rows))) for start in range(0, len(rows), size)]
    logits = [network.logits([dataset[index]["content"] for index in chunk]) for chunk in chunks]
    return np.concatenate(logits) if logits else np.empty((0, len(network.labels)), dtype=np.float32)
