"""A trained network, read back from `data/checkpoints/<model>` and applied to rows.

In   config.json and model.safetensors (`ParallelNet.save_pretrained`); training.json; out_of_fold.parquet: id, fold,
     label, p_<label> of the rows that each fold held out
Out  `Trained`; the network in evaluation mode; probabilities, float32 [rows, classes]
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.frame import tables


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
