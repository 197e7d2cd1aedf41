"""What every trained network answers on rows that it has not seen.

In   networks of `pipeline.networks.trained`, rows of `pipeline.evaluation.unseen`
Out  data/predictions/<model>.parquet: id, label, p_<label> by the network that is published;
     data/predictions/runs/<model>.parquet: likewise by each of several kept networks, with their seed and fold
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.engine import files
from pipeline.engine.environment import device_from_environment
from pipeline.engine.progress import Progress
from pipeline.evaluation.unseen import Unseen
from pipeline.frame import tables
from pipeline.networks import trained
from pipeline.networks.params import InputParams, ModelParams

Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class Answers:
    """Probabilities [rows, classes] by each network that is kept; the first one is published."""

    runs: tuple[tuple[trained.Run, Probabilities], ...]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Class ids that the published network names, [rows]."""
        return class_ids(self.runs[0][1])

    @property
    def ensemble(self) -> NDArray[np.int64]:
        """Class ids with the largest mean probability over networks, [rows]."""
        return class_ids(np.mean([probabilities for _, probabilities in self.runs], axis=0, dtype=np.float64))


def class_ids(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """The class that each row's largest probability stands for, [rows]."""
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def ask_all(
    models: Mapping[str, ModelParams],
    left: Mapping[str, trained.Trained],
    rows: Mapping[str, Unseen],
    inputs: InputParams,
    folder: Path,
    *,
    batch_size: int,
) -> dict[str, Answers]:
    """Answers by network; writes `folder`. Raises UserError: a network cannot be loaded, or gives no numbers."""
    from pipeline.networks.loading import load_net, predict  # noqa: PLC0415 - torch takes seconds, wrong names none

    device = device_from_environment()
    kept = {name: [run for run in left[name].runs if run.folder] for name in models}
    total = sum(len(kept[name]) * len(rows[model.rows].frame) for name, model in models.items())
    answers = {}
    with files.replacing(folder) as new, Progress(total=total, desc="evaluate", unit="row") as bar:
        for name, model in models.items():
            unseen = rows[model.rows]
            given = []
            for run in kept[name]:
                assert run.folder is not None
                net = load_net(replace(left[name], folder=run.folder), inputs, device)
                probabilities = predict(net, unseen.inputs, batch_size=batch_size, device=device, progress=bar.update)
                given.append((run, probabilities))
            answers[name] = Answers(tuple(given))
            _write(new / f"{name}.parquet", [_table(unseen, given[0][1])])
            if len(given) > 1:
                _write(
                    new / tables.RUNS_FOLDER / f"{name}.parquet",
                    [_table(unseen, probabilities, run) for run, probabilities in given],
                )
    return answers


def _table(unseen: Unseen, probabilities: Probabilities, run: trained.Run | None = None) -> pa.Table:
    rows = len(unseen.truth)
    columns: dict[str, Any] = {"id": unseen.frame["id"].tolist()}
    if run:
        columns |= {"seed": np.full(rows, run.seed), "fold": np.full(rows, run.fold)}
    columns["label"] = [unseen.labels[place] for place in unseen.truth]
    columns |= {tables.PROBABILITY_PREFIX + name: probabilities[:, n] for n, name in enumerate(unseen.labels)}
    return pa.table(columns, schema=trained.predictions_schema(unseen.labels, runs=run is not None))


def _write(path: Path, parts: list[pa.Table]) -> None:
    path.parent.mkdir(exist_ok=True)
    table = pa.concat_tables(parts)
    files.write_atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))
