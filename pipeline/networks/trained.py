"""What training left in `data/checkpoints/<model>`, without the network itself (`pipeline.networks.loading`).

In   training.json, with the sha256 of the other files; out_of_fold.parquet: id, fold, label, p_<label> of the rows that
     each fold held out
Out  `Trained`
"""

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
from pydantic import TypeAdapter

from pipeline.engine import files
from pipeline.errors import UserError
from pipeline.frame import tables


@dataclass(frozen=True)
class Trained:
    """What training left behind, without the network."""

    name: str
    folder: Path
    labels: tuple[str, ...]  # in the order of class ids
    training: dict[str, Any]  # content of training.json: parameters, folds with their histories
    ids: list[str]
    fold: NDArray[np.int8]  # [rows], the one that held the row out
    truth: NDArray[np.int64]  # [rows], class ids
    probabilities: NDArray[np.float32]  # [rows, classes], of the network that did not train on the row

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Class ids with the largest probabilities, int64 [rows]."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)


def predictions_schema(labels: Sequence[str], *, fold: bool) -> pa.Schema:
    """Columns of out_of_fold.parquet (`fold`) and data/predictions: the label, and probabilities that sum to 1."""
    probabilities = [(tables.PROBABILITY_PREFIX + name, pa.float32()) for name in labels]
    folds = [("fold", pa.int8())] if fold else []
    return pa.schema([("id", pa.string()), *folds, ("label", pa.string()), *probabilities])


def expect_whole(folder: Path) -> None:
    """Raises UserError unless each file of the folder is the one that training left, by training.json."""
    path = folder / tables.TRAINING_FILE
    hint = f"run: dvc repro --single-item --force train@{folder.name}"
    try:
        stated = TypeAdapter(dict[str, str]).validate_python(json.loads(path.read_bytes())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path}: missing or damaged; {hint}") from None
    for name, sha256 in stated.items():
        try:
            found = files.sha256_of(folder / name)
        except OSError:
            found = "missing"
        if found != sha256:
            raise UserError(f"{folder / name}: {found}, expected the sha256 {sha256} of {tables.TRAINING_FILE}; {hint}")


def read(checkpoints: Path, name: str, rows: str, labels: Sequence[str]) -> Trained:
    """What training left of the network `name`.

    Raises UserError if that is missing, damaged, or not of these `rows` and `labels`, the dataset's as it is now.
    """
    hint = f"run: dvc repro train@{name}"
    path = checkpoints / name / tables.TRAINING_FILE
    try:
        training = json.loads(path.read_bytes())
        trained_on = (training["rows"], tuple(training["labels"]))
        expected_rows = sum(fold["validation_rows"] for fold in training["folds"])
        complete = bool(training["folds"]) and "parameters" in training
    except (OSError, ValueError, KeyError, TypeError):
        complete = False
    if not complete:
        raise UserError(f"{path}: missing or damaged; {hint}")
    if trained_on != (rows, tuple(labels)):
        raise UserError(
            f"{path}: trained on rows of {trained_on[0]} with the labels {', '.join(trained_on[1])}; expected rows of "
            f"{rows} with {', '.join(labels)}; {hint}"
        )
    expect_whole(path.parent)
    path = path.with_name(tables.OUT_OF_FOLD_FILE)
    schema = predictions_schema(labels, fold=True)
    try:
        table = pq.read_table(path, columns=schema.names, partitioning=None).cast(schema)
    except (OSError, ValueError, pa.ArrowException):
        raise UserError(f"{path}: missing, damaged or without the columns {', '.join(schema.names)}; {hint}") from None
    frame: pd.DataFrame = table.to_pandas()
    truth = frame["label"].map({label: index for index, label in enumerate(labels)})
    if truth.isna().any() or len(frame) != expected_rows:
        raise UserError(f"{path}: expected {expected_rows} rows with labels of the dataset, found {len(frame)}; {hint}")
    return Trained(
        name=name,
        folder=path.parent,
        labels=tuple(labels),
        training=training,
        ids=frame["id"].tolist(),
        fold=frame["fold"].to_numpy(dtype=np.int8),
        truth=np.asarray(truth, dtype=np.int64),
        probabilities=frame[[tables.PROBABILITY_PREFIX + label for label in labels]].to_numpy(dtype=np.float32),
    )
