"""Rows of a run, with the teachers' distributions as targets where a network asks for them.

In   data/sier, and data/labels/rule.json for how its labels were made
Out  `Inputs`, with `targets`
"""

from dataclasses import replace

import pyarrow.parquet as pq

from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.stage import Context
from pipeline.labels.rules import read_rule
from pipeline.labels.soft import soft_labels
from pipeline.networks.features import open_with_features
from pipeline.networks.inputs import Inputs
from pipeline.networks.job import Job


def open_rows(job: Job, context: Context) -> Inputs:
    """The rows that a run trains on and holds out. Raises UserError as `open_inputs` does."""
    inputs = open_with_features(job, context)
    if job.model.targets == "hard":
        return inputs
    sier, labels = context.paths.data / "sier", context.paths.data / "labels"
    markers = [
        marker for marker in shards.read_manifest(sier, "assemble") if marker.part.name.startswith("data/train-")
    ]
    names = pq.read_schema(sier / markers[0].part.name).names
    columns = ["id", "decided_by", *(name for name in names if name.startswith(tables.PROBABILITY_PREFIX))]
    rows = shards.read_parts(sier, markers, columns=columns).to_pandas()
    targets = soft_labels(rows, read_rule(labels), inputs.labels)
    if rows["id"].tolist() != inputs.rows["id"].tolist():
        raise UserError(f"{sier}: its rows are not those that were decoded; run: dvc repro")
    return replace(inputs, targets=targets)
