"""A trained network, read back from `data/checkpoints/<model>` and applied to rows.

In   config.json and model.safetensors (`ParallelNet.save_pretrained`); training.json; out_of_fold.parquet: id, fold,
     label, p_<label> of the rows that each fold held out
Out  `Trained`; the network in evaluation mode; probabilities, float32 [rows, classes]
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.metrics_files import DIGITS

if TYPE_CHECKING:
    from models.parallelnet.parallelnet import ParallelNet
    from pipeline.networks.inputs import InputRows
    from pipeline.networks.params import InputParams


@dataclass(frozen=True)
class Trained:
    """What training left behind, without the network.

    Attributes:
        name: of the network, a key of section `models`.
        folder: where it lies.
        labels: in the order of class ids.
        training: content of training.json: parameters, folds with their histories.
        ids: of the rows.
        fold: int [rows], which fold held the row out.
        truth: class ids, int64 [rows].
        probabilities: of the network that did not train on the row, float32 [rows, classes].
    """

    name: str
    folder: Path
    labels: tuple[str, ...]
    training: dict[str, Any]
    ids: list[str]
    fold: NDArray[np.int8]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Class ids with the largest probabilities, int64 [rows]."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)


def predictions_schema(labels: Sequence[str], *, fold: bool) -> pa.Schema:
    """Columns of out_of_fold.parquet (`fold`) and of data/predictions; rows of probabilities sum to 1."""
    return pa.schema(
        [
            pa.field("id", pa.string()),
            *([pa.field("fold", pa.int8())] if fold else []),
            pa.field("label", pa.string()),  # the true one
            *(pa.field(tables.PROBABILITY_PREFIX + name, pa.float32()) for name in labels),
        ]
    )


def read(checkpoints: Path, name: str, rows: str, labels: Sequence[str]) -> Trained:
    """What training said of the network `name`, checked against the dataset as it is now.

    Args:
        checkpoints: folder of all networks.
        name: of this one.
        rows: what it should have been trained on, `sier` or `clean`.
        labels: that those rows have, in the order of class ids.

    Raises:
        UserError: it is missing, damaged, or was trained on something else; names it and what to run.
    """
    folder = checkpoints / name
    hint = f"run: dvc repro train@{name}"
    path = folder / tables.TRAINING_FILE
    try:
        training = json.loads(path.read_bytes())
        found = (training["rows"], tuple(training["labels"]))
        expected_rows = sum(fold["validation_rows"] for fold in training["folds"])
        complete = bool(training["folds"]) and "parameters" in training
    except (OSError, ValueError, KeyError, TypeError):
        complete = False
    if not complete:
        raise UserError(f"{path}: missing or damaged; {hint}")
    if found != (rows, tuple(labels)):
        raise UserError(
            f"{path}: trained on rows of {found[0]} with the labels {', '.join(found[1])}; expected rows of {rows} "
            f"with {', '.join(labels)}; {hint}"
        )
    path = folder / tables.OUT_OF_FOLD_FILE
    schema = predictions_schema(labels, fold=True)
    try:
        table = pq.read_table(path, columns=schema.names, partitioning=None).cast(schema)
    except (OSError, ValueError, pa.ArrowException):
        raise UserError(f"{path}: missing, damaged or without the columns {', '.join(schema.names)}; {hint}") from None
    frame: pd.DataFrame = table.to_pandas()
    place = {label: index for index, label in enumerate(labels)}
    truth = frame["label"].map(place)
    if truth.isna().any() or len(frame) != expected_rows:
        raise UserError(f"{path}: expected {expected_rows} rows with labels of the dataset, found {len(frame)}; {hint}")
    columns = [tables.PROBABILITY_PREFIX + label for label in labels]
    return Trained(
        name=name,
        folder=folder,
        labels=tuple(labels),
        training=training,
        ids=frame["id"].tolist(),
        fold=frame["fold"].to_numpy(dtype=np.int8),
        truth=np.asarray(truth, dtype=np.int64),
        probabilities=frame[columns].to_numpy(dtype=np.float32),
    )


def load_net(trained: Trained, inputs: InputParams, device: str) -> ParallelNet:
    """The network that is kept, on `device`, in evaluation mode; nothing is asked of the network.

    Raises:
        UserError: files are missing or damaged, or it was built for other labels or inputs.
    """
    from pipeline.networks.loading import load_network  # noqa: PLC0415 - seconds, and wrong parameters need none of it

    hint = f"run: dvc repro train@{trained.name}"
    try:
        net = load_network(trained.folder, device)
    except UserError as error:
        raise UserError(f"{error}; {hint}") from None
    names = net.config.id2label or {}
    labels = tuple(names[place] for place in sorted(names))
    if labels != trained.labels:
        raise UserError(
            f"{trained.folder}: the network knows the labels {', '.join(labels)}; the dataset's are "
            f"{', '.join(trained.labels)}; {hint}"
        )
    for field in ("image_size_px", "n_mels", "n_frames", "duration_seconds"):
        expected, found = getattr(inputs, field), getattr(net.config, field)
        if expected != found:
            raise UserError(f"{trained.folder}: {field} is {found}, train.inputs.{field} is {expected}; {hint}")
    return net


def predict(
    net: ParallelNet, rows: InputRows, *, batch_size: int, device: str, progress: Callable[[int], object]
) -> NDArray[np.float32]:
    """Probabilities of each row's classes, float32 [rows, classes], rounded like all that is reported.

    On a cpu with one thread, so that the last bits do not depend on the number of cores.

    Args:
        net: from `load_net`.
        rows: of `pipeline.networks.inputs`, in a fixed order.
        batch_size: rows at once.
        device: that `net` is on.
        progress: called with the number of rows of each finished batch.

    Raises:
        UserError: the network gives no numbers.
    """
    import torch  # noqa: PLC0415
    from torch.utils.data import DataLoader  # noqa: PLC0415

    from pipeline.networks.inputs import collate  # noqa: PLC0415

    torch.set_num_threads(1)
    found = []
    with torch.inference_mode():
        for batch in DataLoader(rows, batch_size=batch_size, collate_fn=collate):
            pixel_values, spectrogram = (batch[name].to(device) for name in ("pixel_values", "spectrogram"))
            logits = net(pixel_values=pixel_values, spectrogram=spectrogram).logits
            found.append(torch.softmax(logits.double(), dim=-1).cpu().numpy())
            progress(len(found[-1]))
    probabilities = np.concatenate(found)
    if not np.isfinite(probabilities).all():
        raise UserError(f"{net.name_or_path}: the network's output is no number; train it with a lower learning rate")
    return np.round(probabilities, DIGITS).astype(np.float32)
