"""The demo's answer to a row of the dataset is what the stages have written of that row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.demo.studio import Studio
from pipeline.frame import tables
from pipeline.frame.stage import Paths
from pipeline.labels.matching import at_temperature
from tests.project import Project

CLOSE = 0.05  # of probabilities: the picture, which the dataset holds as JPEG, is made a JPEG once more


def rows_of(project: Project, folder: str) -> pd.DataFrame:
    parts = sorted((project.root / "data" / folder).glob("part-*.parquet"))
    rows: pd.DataFrame = pd.concat([pq.read_table(part).to_pandas() for part in parts]).set_index("id")
    return rows


def test_a_row_gets_the_speech_the_scores_and_the_label_that_it_has(tiny_build: Project) -> None:
    paths = Paths(tiny_build.root)
    studio = Studio(paths, paths.checkpoints / "parallelnet")
    clean, speech, labels, scores = (
        rows_of(tiny_build, name) for name in ("clean", "speech", "labels", "scores/speech")
    )
    predicted = pd.read_parquet(paths.data / "predictions" / "parallelnet.parquet").set_index("id")
    # Those that a little more or less would not change.
    sure = (labels["speech_max"] - labels["image_max"]).abs() > CLOSE
    sure &= (labels["confidence"] - studio.rule.threshold).abs() > CLOSE
    kept = labels[sure & labels["kept"]].index
    seen = [identity for identity in kept if identity in predicted.index][:2]
    assert seen
    for identity in [*seen, *kept[:2], *labels[sure & ~labels["kept"]].index[:2]]:
        said = studio.answer(clean.loc[identity, "image"], clean.loc[identity, "text"], None)
        row = labels.loc[identity]
        assert said.given.said == clean.loc[identity, "spoken_text"]
        assert said.given.speech == speech.loc[identity, "audio"]
        heard = scores.loc[[identity], [tables.PROBABILITY_PREFIX + name for name in said.teachers["speech"]]]
        told = at_temperature(heard.to_numpy(dtype=np.float32), studio.rule.temperatures.speech)[0]
        np.testing.assert_allclose(list(said.teachers["speech"].values()), told, atol=1e-5)
        found = said.labelled
        assert (found.would_be, found.decided_by, found.reason) == (row["label"], row["decided_by"], row["reason"])
        assert found.confidence == pytest.approx(row["confidence"], abs=CLOSE)
        if identity in predicted.index:
            told = predicted.loc[identity, [tables.PROBABILITY_PREFIX + name for name in said.network]]
            np.testing.assert_allclose(list(said.network.values()), told.astype(float), atol=CLOSE)
