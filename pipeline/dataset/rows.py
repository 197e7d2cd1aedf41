"""Rows of finished folders without their media, as tables in memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.dataset import leakage
from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.stage import Context
from pipeline.labels.matching import scores_at
from pipeline.labels.rules import read_rule
from pipeline.tweets.duplicates import GROUPING_FILE, hash_matrix, read_grouping
from pipeline.tweets.text import comparison_text


def gather_rows(context: Context) -> tuple[pd.DataFrame, tuple[tuple[str, ...], tuple[str, ...]]]:
    """All kept rows with everything but their media, ordered as in clean; and the classes of both teachers."""
    data = context.paths.data
    labels = read_rows(data / "labels", "label")
    rule = read_rule(data / "labels")
    kept = labels[labels["kept"]].drop(columns=["kept", "reason"])
    kept["agreement"] = kept["speech_label"] == kept["image_label"]
    clean_columns = ["id", "tweet_id", "text", "sentiment", "group_id", "image_phash"]
    wanted = pd.Index(kept["id"])
    clean = read_rows(data / "clean", "clean", clean_columns, "clean_shard", wanted)
    rows = clean.merge(kept, on="id", validate="one_to_one")
    spoken = read_rows(data / "speech", "synthesize", ["id", "voice", "word_error_rate"], "speech_shard", wanted)
    rows = rows.merge(spoken, on="id", validate="one_to_one")
    classes = []
    for modality in tables.MODALITIES:
        scores = read_rows(data / "scores" / modality, f"score@{modality}", wanted=wanted)
        scores = scores_at(scores, rule.temperatures.of(modality))  # the dataset has what its labels were made from
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


def read_rows(
    folder: Path, stage: str, columns: list[str] | None = None, shard_column: str | None = None,
    wanted: "pd.Index[str] | None" = None,
) -> pd.DataFrame:  # fmt: skip
    """The rows of a folder that `stage` has finished, of ids that are `wanted`; `shard_column` says where each is."""
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


def check_leakage(rows: pd.DataFrame, data: Path) -> dict[str, Any]:
    """Look for pairs that the grouping promised to keep together but that lie on two sides; returns what was compared.

    Raises:
        UserError: there is one.
    """
    grouping = read_grouping(data / "clean" / GROUPING_FILE)
    sides = {
        name: leakage.Side(
            ids=side["id"].tolist(),
            tweet_ids=side["tweet_id"].tolist(),
            texts=[comparison_text(text) for text in side["text"]],
            phashes=hash_matrix(side["image_phash"].tolist()),
        )
        for name, side in rows.groupby("split")
    }
    check = leakage.find_leaks(
        sides["train"], sides["test"], max_distance_bits=grouping.group_max_bits, min_jaccard=grouping.text_similarity
    )
    if check.leaks:
        first = check.leaks[0]
        raise UserError(
            f"{len(check.leaks)} pairs leak between train and test, first: {first.train_id} and {first.test_id} "
            f"({first.kind}); the grouping of stage clean is at fault, nothing was written"
        )
    return {"found": len(check.leaks), "compared": check.compared}
