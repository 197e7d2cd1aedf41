"""Which test rows stage `explain` explains, and whether it can cut them as it is asked to.

In   data/predictions/<model>.parquet, data/sier (ids of test rows), parameters
Out  rows in the order in which they are chosen; a task for each, in the order of the dataset

Labels take turns, and with them rows that the network gets right and wrong; within these, rows come by the sha256 of
their id. So a larger sample holds a smaller one, and no row is chosen for its looks.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.shapley import MAX_EXACT_PLAYERS, grid_players, grid_shape, segment_players
from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.explanation.params import ExplainParams
from pipeline.frame import tables
from pipeline.frame.params import PARAMS_FILE
from pipeline.networks import trained
from pipeline.networks.params import InputParams, ModelParams

# Exact values of a network that does not factor: 2^12 forwards of a VGG take half an hour.
MAX_PLAIN_PLAYERS = 12


@dataclass(frozen=True)
class Chosen:
    """A row to explain: where it lies, and what `evaluate` said of it; payload of a task."""

    marker: shards.Marker
    id: str
    label: str
    predicted: str
    score: float
    figure: bool

    def explained(self, target: Literal["predicted", "labelled"]) -> str:
        """The class whose output is explained."""
        return self.predicted if target == "predicted" else self.label


def check_parts(params: ExplainParams, model: ModelParams, inputs: InputParams) -> None:
    """Look before anything is loaded whether pictures and speech can be cut into the parts asked for.

    Raises UserError: more cells than pixels, more segments than frames, cells of speech for a network that hears words,
    or more players than the methods can take.
    """
    size = inputs.image_size_px
    segments = params.segments or 2**params.times
    try:
        rows, columns = params.grid or grid_shape(params.times, size, size)
        grid_players(size, size, rows, columns)
        segment_players(inputs.n_frames, segments)
        if params.segmentation == "cells":
            grid_shape(params.times, inputs.n_mels, inputs.n_frames)
    except ValueError as error:
        raise UserError(f"{PARAMS_FILE}: explain: {error}; set times, grid or segments lower") from None
    if params.segmentation == "cells" and model.hears_words:
        raise UserError(
            f"{PARAMS_FILE}: explain: {params.model} hears words, which have no frequency: expected segmentation time "
            "or words, found cells"
        )
    counts = {"image": rows * columns, "speech": segments}
    players = sum(counts.values()) if model.modalities == "both" else counts[model.modalities]
    methods = {params.method, *([params.figure_method] if params.figures else [])}
    factors = model.modalities == "both" and model.fusion == 3
    most = MAX_EXACT_PLAYERS if factors else MAX_PLAIN_PLAYERS
    if "exact" in methods and players > most:
        kind = "" if factors else " of a network that does not factor"
        raise UserError(
            f"{PARAMS_FILE}: explain: exact values{kind} are for at most {most} parts, found {players}: "
            "set times, grid or segments lower, or use another method"
        )
    needed = 2 + 2 * params.permutations * (players - 1)
    if "sample" in methods and params.max_evals is not None and needed > params.max_evals:
        raise UserError(
            f"{PARAMS_FILE}: explain: {params.permutations} permutations of {players} parts need {needed} evaluations; "
            f"max_evals = {params.max_evals} allows fewer"
        )


def read_predictions(folder: Path, model: str, labels: Sequence[str]) -> pd.DataFrame:
    """What stage `evaluate` found: id, label, predicted, score (of the predicted label), correct; test rows in order.

    Raises UserError: the file is missing, damaged or of other labels.
    """
    path = folder / f"{model}.parquet"
    schema = trained.predictions_schema(labels, runs=False)
    try:
        table = pq.read_table(path, columns=schema.names, partitioning=None).cast(schema)
    except (OSError, ValueError, pa.ArrowException):
        raise UserError(
            f"{path}: missing, damaged or without the columns {', '.join(schema.names)}; run: dvc repro evaluate"
        ) from None
    frame: pd.DataFrame = table.to_pandas()
    probabilities = frame[[tables.PROBABILITY_PREFIX + label for label in labels]].to_numpy()
    frame["predicted"] = [labels[label] for label in probabilities.argmax(axis=1)]
    frame["score"] = probabilities.max(axis=1).astype(float)
    frame["correct"] = frame["predicted"] == frame["label"]
    return frame[["id", "label", "predicted", "score", "correct"]]


def choose(predictions: pd.DataFrame, labels: Sequence[str], count: int | None) -> list[str]:
    """Ids of the rows to explain, at most `count` (None: all), in the order in which they are chosen."""
    waiting: dict[tuple[str, bool], list[str]] = {(label, right): [] for label in labels for right in (True, False)}
    for row in predictions.itertuples():
        waiting[str(row.label), bool(row.correct)].append(str(row.id))
    for ids in waiting.values():
        ids.sort(key=lambda identity: hashlib.sha256(identity.encode()).hexdigest(), reverse=True)
    chosen: list[str] = []
    wanted = len(predictions) if count is None else min(count, len(predictions))
    turn = 0
    while len(chosen) < wanted:
        for index, label in enumerate(labels):
            right = (turn + index) % 2 == 0
            ids = waiting[label, right] or waiting[label, not right]
            if ids:
                chosen.append(ids.pop())
        turn += 1
    return chosen[:wanted]


def stand_for(predictions: pd.DataFrame, explained: Collection[str]) -> pd.Series:
    """How many test rows each explained row stands for, by id: those of its label and correctness, over the explained.

    The inverse of its probability to be drawn (D. Horvitz and D. Thompson, J. Am. Stat. Assoc. 47, 1952). Of a kind of
    which none is explained, nothing is said.
    """
    by_id = predictions.set_index("id")
    kinds = by_id["label"].astype(str) + by_id["correct"].map({True: " right", False: " wrong"})
    of_explained = kinds.loc[sorted(explained)]
    weights: pd.Series = of_explained.map(kinds.value_counts() / of_explained.value_counts())
    return weights


def tasks(folder: Path, predictions: pd.DataFrame, chosen: Sequence[str], figures: int) -> list[shards.Task]:
    """A task per chosen row; the first `figures` of them get a picture.

    Raises UserError: the dataset is missing or damaged, or its test rows are not those of the predictions.
    """
    rows = [
        (marker, identity)
        for marker in shards.read_manifest(folder, "assemble")
        if marker.part.name.startswith("data/test-")
        for identity in shards.read_part(folder, marker, columns=["id"])["id"].to_pylist()
    ]
    predicted = {str(row.id): row for row in predictions.itertuples()}
    if sorted(identity for _, identity in rows) != sorted(predicted):
        raise UserError(f"{folder}: its test rows are not those of data/predictions; run: dvc repro evaluate")
    rank = {identity: index for index, identity in enumerate(chosen)}
    result: list[shards.Task] = []
    for marker, identity in rows:
        if identity in rank:
            row, figure = predicted[identity], rank[identity] < figures
            payload = Chosen(marker, identity, str(row.label), str(row.predicted), float(str(row.score)), figure)
            result.append(shards.Task(len(result), 1, payload))
    return result
