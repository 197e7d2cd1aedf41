"""All kept rows with everything but their media."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.stage import Context


def gather_rows(context: Context) -> tuple[pd.DataFrame, tuple[tuple[str, ...], tuple[str, ...]]]:
    """All kept rows with everything but their media, ordered as in clean; and the classes of both teachers."""
    data = context.paths.data
    labels = _read(data / "labels", "label", None)
    kept = labels[labels["kept"]].drop(columns=["kept", "reason"])
    kept["agreement"] = kept["speech_label"] == kept["image_label"]
    kept["confidence"] = kept[["speech_max", "image_max"]].max(axis=1)
    clean_columns = ["id", "tweet_id", "text", "sentiment", "group_id", "image_phash"]
    wanted = pd.Index(kept["id"])
    clean = _read(data / "clean", "clean", clean_columns, "clean_shard", wanted)
    rows = clean.merge(kept, on="id", validate="one_to_one")
    spoken = _read(data / "speech", "synthesize", ["id", "voice", "word_error_rate"], "speech_shard", wanted)
    rows = rows.merge(spoken, on="id", validate="one_to_one")
    classes = []
    for modality in tables.MODALITIES:
        scores = _read(data / "scores" / modality, f"score@{modality}", None, wanted=wanted)
        names = tables.score_classes(list(scores.columns))
        classes.append(names)
        prefix = tables.PROBABILITY_PREFIX
        scores = scores.rename(columns={prefix + name: f"{prefix}{modality}_{name}" for name in names})
        rows = rows.merge(scores.drop(columns="teacher_digest"), on="id", validate="one_to_one")
    if len(rows) != len(kept):
        raise UserError(
            f"data/labels keeps {len(kept)} rows but only {len(rows)} have picture, speech and scores; run: dvc repro"
        )
    return rows, (classes[0], classes[1])


def _read(
    folder: Path,
    stage: str,
    columns: list[str] | None,
    shard_column: str | None = None,
    wanted: pd.Index[str] | None = None,
) -> pd.DataFrame:
    """A finished folder's rows, of those ids that are `wanted`; `shard_column` says where each stands."""
    parts = []
    for index, marker in enumerate(shards.read_manifest(folder, stage)):
        part = shards.read_part(folder, marker, columns=columns)
        if wanted is not None:
            part = part.filter(pa.array(wanted.get_indexer(part["id"].to_pandas()) >= 0))
        if shard_column:
            part = part.append_column(shard_column, pa.array(np.full(part.num_rows, index)))
        parts.append(part)
    table: pd.DataFrame = pa.concat_tables(parts).to_pandas()
    return table
