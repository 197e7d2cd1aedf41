"""Rows that both teachers scored, and what the teachers say of them."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.stage import Context
from pipeline.labels import rules
from pipeline.labels.rules import LabelParams


def read_votes(params: LabelParams, context: Context) -> tuple[pd.DataFrame, rules.Votes]:
    """Rows scored by both teachers (id, sentiment, voice), and what the teachers say."""
    data = context.paths.data
    speech, speech_classes = _scores(context, "speech")
    image, image_classes = _scores(context, "image")
    rules.remap(np.array([*speech_classes, *image_classes]), params.remap)  # refuses a class that the map misses
    joined = [
        speech,
        image,
        _by_id(data / "clean", "clean", ["id", "sentiment"]),
        _by_id(data / "speech", "synthesize", ["id", "voice"]),
    ]
    # Faster than three merges, and the rows stay in the order of the speech scores.
    places = np.stack([table.index.get_indexer(speech.index) for table in joined])
    places = places[:, (places >= 0).all(axis=0)]
    if not places.shape[1]:
        raise UserError("data/scores: no row has both a speech and an image score; run: dvc repro score")
    columns = {"sentiment": joined[2]["sentiment"].array[places[2]], "voice": joined[3]["voice"].array[places[3]]}
    rows = pd.DataFrame({"id": speech.index[places[0]], **columns})
    probabilities = [table.to_numpy(dtype=np.float32)[place] for table, place in zip(joined[:2], places, strict=False)]
    return rows, rules.votes(probabilities[0], speech_classes, probabilities[1], image_classes)


def _scores(context: Context, modality: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    scores = _by_id(context.paths.data / "scores" / modality, f"score@{modality}", None)
    return scores.drop(columns="teacher_digest"), tables.score_classes(list(scores.columns))


def _by_id(folder: Path, stage: str, columns: list[str] | None) -> pd.DataFrame:
    """A finished folder's rows.

    Raises:
        UserError: an id stands there twice.
    """
    markers = shards.read_manifest(folder, stage)
    table: pd.DataFrame = shards.read_parts(folder, markers, columns=columns).to_pandas().set_index("id")
    if not table.index.is_unique:
        again = table.index[table.index.duplicated()][0]
        raise UserError(f"{folder}: id {again} stands there twice; run: dvc repro {stage} --force")
    return table
