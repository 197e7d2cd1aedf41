"""Distributions over the dataset's labels, by hand and against the labels themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.labels.pool import pool
from pipeline.labels.rules import AppliedRule, Temperatures, votes
from pipeline.labels.soft import soft_labels

LABELS = ("anger", "happy", "sad")
REMAP = {"anger": "anger", "excitement": "happy", "sadness": "sad", "grief": "sad"}


def rule(kind: str, neutral: tuple[str, ...] = ()) -> AppliedRule:
    return AppliedRule(rule=kind, threshold=0.5, remap=REMAP, neutral=neutral, temperatures=Temperatures())  # type: ignore[arg-type]


def rows(decided_by: list[str], **columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"decided_by": decided_by, **columns})


def test_the_decider_speaks_through_the_map_by_hand() -> None:
    frame = rows(
        ["speech", "image"], p_speech_anger=[0.6, 0.4], p_speech_sadness=[0.3, 0.3], p_speech_grief=[0.1, 0.3],
        p_image_anger=[0.5, 0.1], p_image_excitement=[0.5, 0.9],
    )  # fmt: skip
    found = soft_labels(frame, rule("max_probability"), LABELS)
    assert found == pytest.approx(np.array([[0.6, 0.0, 0.4], [0.1, 0.9, 0.0]]))


def test_what_is_neutral_has_no_label_and_the_rest_sums_to_1() -> None:
    frame = rows(
        ["speech"], p_speech_anger=[0.5], p_speech_sadness=[0.1], p_speech_neutral=[0.4], p_image_anger=[1.0]
    )  # fmt: skip
    assert soft_labels(frame, rule("agreement", ("neutral",)), LABELS) == pytest.approx(np.array([[5 / 6, 0, 1 / 6]]))


@pytest.mark.parametrize("kind", ["max_probability", "log_pool"])
def test_the_largest_share_is_the_label(kind: str) -> None:
    rng = np.random.default_rng(0)
    speech, image = (rng.dirichlet(np.ones(3), 200).astype(np.float32) for _ in range(2))
    classes = ("anger", "excitement", "sadness")
    if kind == "log_pool":
        voted = pool(speech, classes, image, classes, 0.5, ())
    else:
        voted = votes(speech, classes, image, classes)  # type: ignore[assignment]
    decided_by = np.where(voted.speech_decides, "speech", "image").tolist()
    columns = {
        f"p_{modality}_{name}": values[:, place].tolist()
        for modality, values in (("speech", speech), ("image", image))
        for place, name in enumerate(classes)
    }
    found = soft_labels(rows(decided_by, **columns), rule(kind), LABELS)
    assert found.sum(axis=1) == pytest.approx(np.ones(200), abs=1e-6)
    assert [LABELS[place] for place in found.argmax(axis=1)] == [REMAP[name] for name in voted.source_label]
