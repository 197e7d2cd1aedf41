"""How labels, teachers, VADER and other rules go with the texts' sentiment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from tests.recompute.built import DRAWN, EXACT, Built, Figure, cramers_v, said


def validity(built: Built) -> Iterator[Figure]:
    """Cramer's V with the texts' sentiment of labels, teachers, VADER and other rules, and what chance gives."""
    speech = built.table("speech", ["id", "heard"])
    rows = built.table("labels").merge(built.clean, on="id").merge(speech, on="id")
    asked = {(of, over): (answers, chosen) for of, over, answers, chosen in _asked(built, rows)}
    for told in built.report("label")["validity"]["table"]:
        where = f"validity: {told['of']}, {told['over']}"
        answers, chosen = asked[told["of"], told["over"]]
        frame = pd.DataFrame({"said": answers, "sentiment": rows["sentiment"], "group": rows["group_id"]})[chosen]
        frame = frame.dropna()
        yield Figure(f"{where}: rows", told["rows"], len(frame))
        yield Figure(f"{where}: groups", told["groups"], frame["group"].nunique())
        yield Figure(f"{where}: V", told["cramers_v"], cramers_v(frame["said"], frame["sentiment"]))
        if told["cramers_v"] is None:
            continue
        rng, by_chance = np.random.default_rng(5), []
        # Each group's sentiments go to the group after it in a random order, over and over where that is larger.
        groups = [part.to_numpy() for _, part in frame.groupby("group")["sentiment"]]
        ordered = frame.sort_values("group", kind="stable")["said"]
        for _ in range(200):
            order = rng.permutation(len(groups))
            dealt = np.concatenate(
                [np.resize(groups[place], len(own)) for place, own in zip(order, groups, strict=True)]
            )
            by_chance.append(cramers_v(ordered, dealt) or 0.0)
        yield Figure(f"{where}: by chance", told["by_chance"], float(np.mean(by_chance)), DRAWN / 2)
        reached = float(np.mean(np.array(by_chance) >= told["cramers_v"] - EXACT))
        yield Figure(f"{where}: p", told["p_value"], reached, 2 * DRAWN)


def _asked(built: Built, rows: pd.DataFrame) -> Iterator[tuple[str, str, Any, np.ndarray]]:
    kept, every = rows["kept"].to_numpy(), np.ones(len(rows), dtype=bool)
    labels = rows["source_label"].map(lambda name: built.rule["remap"].get(name, name)).to_numpy()
    by_speech = (rows["decided_by"] == "speech").to_numpy()
    yield "labels", "kept rows", labels, kept
    yield "labels decided by speech", "kept rows", labels, kept & by_speech
    yield "labels decided by the picture", "kept rows", labels, kept & ~by_speech
    alone = [
        ("speech teacher", rows["speech_label"], rows["speech_max"], every),
        ("picture teacher", rows["image_label"], rows["image_max"], every),
    ]
    analyzer = SentimentIntensityAnalyzer()
    for name, column in (("VADER on the text", "text"), ("VADER on the words as heard", "heard")):
        read = rows[column].notna().to_numpy()
        compound = rows[column].fillna("").map(lambda text: analyzer.polarity_scores(text)["compound"])
        named = np.where(compound >= 0.05, "positive", np.where(compound <= -0.05, "negative", "neutral"))
        alone.append((name, pd.Series(named), compound.abs(), read))
    for of, said_, sure, read in alone:
        yield of, "all rows", said_.to_numpy(), read
        yield of, "kept rows", said_.to_numpy(), read & kept
        yield of, "as many of the surest rows", said_.to_numpy(), _surest(sure, read, kept.mean() * read.sum())
    threshold, neutral = built.rule["threshold"], built.rule["neutral"]
    agree = (rows["speech_label"] == rows["image_label"]).to_numpy()
    surer = np.where(rows["speech_max"] >= rows["image_max"], rows["speech_label"], rows["image_label"])
    one = {
        "disagreement": (surer, rows[["speech_max", "image_max"]].max(axis=1), ~agree),
        "agreement": (surer, rows[["speech_max", "image_max"]].max(axis=1), agree),
        "max_probability": (surer, rows[["speech_max", "image_max"]].max(axis=1), every),
        "log_pool": (*_pool(built, rows), every),
    }
    for rule, (said_by, sure, among) in one.items():
        eligible = among & ~np.isin(said_by, neutral)
        named = np.array([built.rule["remap"].get(name, name) for name in said_by])
        yield f"rule {rule}", "rows that it keeps", named, eligible & (sure >= np.float32(threshold)).to_numpy()
        yield f"rule {rule}", "as many of the surest rows", named, _surest(sure, eligible, kept.mean() * len(rows))


def _surest(sure: pd.Series, among: np.ndarray, wanted: float) -> np.ndarray:
    order = sure[among].sort_values(ascending=False, kind="stable").index[: round(min(wanted, among.sum()))]
    return sure.index.isin(order)


def _pool(built: Built, rows: pd.DataFrame) -> tuple[np.ndarray, pd.Series]:
    """Class and probability of the weighted geometric mean, over classes of both teachers."""
    weights = {"speech": built.rule["speech_weight"], "image": 1 - built.rule["speech_weight"]}
    shares: dict[str, pd.DataFrame] = {}
    for modality in weights:
        scored = built.table(f"scores/{modality}").set_index("id").loc[rows["id"]].filter(regex="^p_")
        hot = scored.astype(float) ** (1 / built.rule["temperatures"][modality])
        shares[modality] = hot.div(hot.sum(axis=1), axis=0)
    both = [name for name in shares["speech"] if name in shares["image"]]
    power = pd.DataFrame(1.0, index=shares["speech"].index, columns=both)
    for modality, weight in weights.items():
        of_both = shares[modality][both]
        power = power * of_both.div(of_both.sum(axis=1), axis=0) ** weight
    pooled = power.div(power.sum(axis=1), axis=0).reset_index(drop=True)
    return said(pooled), pooled.max(axis=1).astype(np.float32)
