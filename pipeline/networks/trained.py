"""What training left in `data/checkpoints/<model>`, without the network itself (`pipeline.networks.loading`).

In   training.json, with the sha256 of the other files; out_of_fold.parquet: id, seed, fold, label, p_<label> of the
     rows that each run held out
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
from pipeline.networks.job import run_folder


@dataclass(frozen=True)
class HeldOut:
    """What the networks of one seed said of the rows that their folds held out."""

    seed: int
    ids: list[str]
    fold: NDArray[np.int8]  # [rows], the one that held the row out
    truth: NDArray[np.int64]  # [rows], class ids
    probabilities: NDArray[np.float32]  # [rows, classes], of the network that did not train on the row

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Class ids with the largest probabilities, int64 [rows]."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True)
class Run:
    """A training with one seed on all folds but one."""

    seed: int
    fold: int
    folder: Path | None  # of its network, where that was kept


@dataclass(frozen=True)
class Trained:
    """What training left behind, without the networks."""

    name: str
    folder: Path  # of the network that is published
    labels: tuple[str, ...]  # in the order of class ids
    training: dict[str, Any]  # content of training.json: parameters, runs with their histories
    held_out: tuple[HeldOut, ...]  # by seed, that of the published network first

    @property
    def first(self) -> HeldOut:
        """Of the seed of the network that is published."""
        return self.held_out[0]

    @property
    def runs(self) -> list[Run]:
        """All runs; the first one's network is the one that is published."""
        runs = []
        for place, run in enumerate(self.training["runs"]):
            further = self.folder / tables.RUNS_FOLDER / run_folder(run["seed"], run["fold"])
            kept = self.folder if place == 0 else further if further.is_dir() else None
            runs.append(Run(run["seed"], run["fold"], kept))
        return runs


def predictions_schema(labels: Sequence[str], *, runs: bool) -> pa.Schema:
    """Columns of out_of_fold.parquet and data/predictions; with `runs` also of which run. Probabilities sum to 1."""
    probabilities = [(tables.PROBABILITY_PREFIX + name, pa.float32()) for name in labels]
    run = [("seed", pa.int32()), ("fold", pa.int8())] if runs else []
    return pa.schema([("id", pa.string()), *run, ("label", pa.string()), *probabilities])


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
        expected_rows = {(run["seed"], run["fold"]): run["validation_rows"] for run in training["runs"]}
        complete = bool(expected_rows) and "parameters" in training
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
    schema = predictions_schema(labels, runs=True)
    try:
        table = pq.read_table(path, columns=schema.names, partitioning=None).cast(schema)
    except (OSError, ValueError, pa.ArrowException):
        raise UserError(f"{path}: missing, damaged or without the columns {', '.join(schema.names)}; {hint}") from None
    frame: pd.DataFrame = table.to_pandas()
    truth = frame["label"].map({label: index for index, label in enumerate(labels)})
    found_rows = frame.groupby(["seed", "fold"]).size().to_dict()
    if truth.isna().any() or found_rows != expected_rows:
        wanted = sum(expected_rows.values())
        raise UserError(
            f"{path}: expected {wanted} rows of {len(expected_rows)} runs with labels of the dataset, found "
            f"{len(frame)} of {len(found_rows)}; {hint}"
        )
    frame["truth"] = truth.astype(np.int64)
    by_seed = frame.groupby("seed", sort=False)
    seeds = dict.fromkeys(seed for seed, _ in expected_rows)  # the order of training
    held_out = tuple(_held_out(seed, by_seed.get_group(seed), labels) for seed in seeds)
    return Trained(name, path.parent, tuple(labels), training, held_out)


def _held_out(seed: int, rows: pd.DataFrame, labels: Sequence[str]) -> HeldOut:
    return HeldOut(
        seed=seed,
        ids=rows["id"].tolist(),
        fold=rows["fold"].to_numpy(dtype=np.int8),
        truth=rows["truth"].to_numpy(dtype=np.int64),
        probabilities=rows[[tables.PROBABILITY_PREFIX + label for label in labels]].to_numpy(dtype=np.float32),
    )
