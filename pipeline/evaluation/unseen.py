"""Rows that no network has seen, with what a comparison needs besides.

In   data/sier: test rows, and labels of train; or data/clean and data/speech: B-T4SA's own test split
Out  `Unseen`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.evaluation.crossing import crossing_rows
from pipeline.frame import tables

if TYPE_CHECKING:
    from pipeline.frame.stage import Context
    from pipeline.networks.inputs import InputRows
    from pipeline.networks.params import InputParams


@dataclass(frozen=True)
class Unseen:
    """The test rows of the dataset (`sier`) or of B-T4SA's own split (`clean`)."""

    labels: tuple[str, ...]  # in the order of class ids
    frame: pd.DataFrame  # id, label (class id), group_id; of the dataset also confidence, agreement, decided_by
    inputs: InputRows  # the same rows as a network takes them
    train: NDArray[np.int64]  # class ids of the rows of train
    crossing: NDArray[np.bool_] | None  # see `crossing_rows`, [rows]; None of the dataset, whose splits part no group

    @property
    def truth(self) -> NDArray[np.int64]:
        """Class ids, [rows]."""
        return self.frame["label"].to_numpy(dtype=np.int64)


def open_unseen(kind: str, params: InputParams, context: Context, *, words: bool = False) -> Unseen:
    """Test rows of the kind that a network was trained on, `sier` or `clean`; decoded, and heard, if they are not yet.

    Raises UserError: data is missing or damaged, or there is no row to train on or to test with.
    """
    from pipeline.networks.inputs import open_inputs  # noqa: PLC0415 - torch takes seconds, wrong parameters none

    data = context.paths.data
    inputs = open_inputs("sier_test" if kind == "sier" else "clean", params, context, words=words)
    if kind == "sier":
        chosen = np.arange(len(inputs.rows))
        train = read_sier(data / "sier", "train", teachers=False)["label"]
    else:
        chosen = np.flatnonzero(inputs.rows["split"] == "test")
        train = inputs.rows.loc[inputs.rows["split"] == "train", "label"]
    if not len(chosen) or train.empty:
        raise UserError(f"{data / kind}: {len(train)} rows in train and {len(chosen)} in test; expected some in both")
    frame = inputs.rows.iloc[chosen].reset_index(drop=True)
    groups = _groups(data, kind)
    frame["group_id"] = groups.loc[frame["id"]].to_numpy()
    crossing = None if kind == "sier" else crossing_rows(inputs.rows, groups)[chosen]
    return Unseen(inputs.labels, frame, inputs.select(chosen), train.to_numpy(dtype=np.int64), crossing)


def _groups(data: Path, kind: str) -> pd.Series:
    """`group_id` by id, of the test rows at least."""
    if kind == "sier":
        frame = read_sier(data / "sier", "test", teachers=False, more=["group_id"])
    else:
        markers = shards.read_manifest(data / "clean", "clean")
        frame = shards.read_parts(data / "clean", markers, columns=["id", "group_id"]).to_pandas()
    by_id: pd.Series = frame.set_index("id")["group_id"]
    return by_id


def read_sier(folder: Path, split: str, *, teachers: bool, more: Sequence[str] = ()) -> pd.DataFrame:
    """Columns id, label (a class id) and `more` of a split, and with `teachers` those of all probabilities; no media.

    Raises UserError: the dataset is missing or damaged.
    """
    parts = []
    for marker in shards.read_manifest(folder, "assemble"):
        if Path(marker.part.name).name.startswith(f"{split}-"):
            columns = pq.read_schema(folder / marker.part.name).names
            scores = [name for name in columns if teachers and name.startswith(tables.PROBABILITY_PREFIX)]
            parts.append(shards.read_part(folder, marker, columns=["id", "label", *more, *scores]))
    if not parts:
        raise UserError(f"{folder}: no file of split {split}; run: dvc repro assemble")
    frame: pd.DataFrame = pa.concat_tables(parts).to_pandas()
    return frame
