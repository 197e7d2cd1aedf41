"""Rows that both teachers scored, and what the teachers say of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.stage import Context
from pipeline.labels import rules
from pipeline.labels.further import FurtherVoter, further_voter
from pipeline.labels.matching import at_temperature, matching_temperature
from pipeline.labels.pool import PooledVotes, pooled_votes
from pipeline.labels.rules import LabelParams

COLUMNS = {
    "clean": ("clean", ["id", "sentiment", "group_id", "text", "spoken_text"]),
    "speech": ("synthesize", ["id", "voice", "duration_seconds", "heard"]),
}  # folder of data/ -> the stage that made it, and what is read of it


@dataclass(frozen=True)
class Scored:
    """Rows that both teachers scored: `COLUMNS` of them, and what the teachers say.

    `pooled` is None where the teachers' classes cannot be pooled; `temperatures`: of each modality's teacher.
    """

    rows: pd.DataFrame
    alone: rules.Votes
    pooled: PooledVotes | None
    temperatures: rules.Temperatures
    lone_classes: tuple[str, ...]  # that one voter has and another lacks, neutral ones aside
    further: tuple[FurtherVoter, ...] = ()

    @property
    def possible_rules(self) -> tuple[rules.Rule, ...]:
        """Those that can be applied."""
        return tuple(rule for rule in rules.RULES if rule != "log_pool" or self.pooled)

    def votes(self, rule: rules.Rule) -> rules.Votes:
        """What is said under one of `possible_rules`."""
        return self.pooled if rule == "log_pool" and self.pooled else self.alone

    def decisions(self, params: LabelParams) -> dict[str, NDArray[Any]]:
        """The columns of `tables.LABELS` without the ids, each [rows]; UserError where a class has no label."""
        said = self.votes(params.rule)
        reasons = rules.drop_reasons(params.rule, params.threshold, said, params.neutral)
        return {
            "speech_label": said.speech_label,
            "speech_max": said.speech_max,
            "image_label": said.image_label,
            "image_max": said.image_max,
            "decided_by": np.where(said.speech_decides, "speech", "image"),
            "source_label": said.source_label,
            "label": rules.remap(said.source_label, params.remap, params.neutral),
            "confidence": said.confidence,
            "kept": reasons == "",
            "reason": reasons,
        }


def read_scored(params: LabelParams, context: Context) -> Scored:
    """Raises UserError: a class has no label, the rule finds too few classes, or no row has both scores."""
    data = context.paths.data
    speech, speech_classes = _scores(context, "speech")
    image, image_classes = _scores(context, "image")
    others = [_by_id(data / folder, stage, columns) for folder, (stage, columns) in COLUMNS.items()]
    # Faster than three merges, and the rows stay in the order of the speech scores.
    places = np.stack([table.index.get_indexer(speech.index) for table in (speech, image, *others)])
    places = places[:, (places >= 0).all(axis=0)]
    if not places.shape[1]:
        raise UserError("data/scores: no row has both a speech and an image score; run: dvc repro score")
    columns = {
        name: table[name].array[place]
        for table, place in zip(others, places[2:], strict=True)
        for name in table.columns
    }  # fmt: skip
    rows = pd.DataFrame({"id": speech.index[places[0]], **columns})
    of_speech, of_image = (
        table.to_numpy(dtype=np.float32)[place] for table, place in zip((speech, image), places[:2], strict=True)
    )
    return scored(params, rows, of_speech, speech_classes, of_image, image_classes)


def scored(
    params: LabelParams, rows: pd.DataFrame, of_speech: NDArray[np.float32], speech_classes: Sequence[str],
    of_image: NDArray[np.float32], image_classes: Sequence[str],
) -> Scored:  # fmt: skip
    """What two teachers say of `rows`, given the probabilities float32 [rows, classes] of each.

    Raises UserError: a class has no label, or the rule finds too few classes.
    """
    params.expect_classes(speech_classes, image_classes)
    temperatures = rules.Temperatures()
    if params.calibrate == "match":
        temperatures = rules.Temperatures(
            matching_temperature(of_speech, params.threshold, "speech"),
            matching_temperature(of_image, params.threshold, "image"),
        )
    further = [further_voter(one, f"label.further.{place}", rows["id"], params)
               for place, one in enumerate(params.further)]  # fmt: skip
    params.expect_classes(speech_classes, image_classes, *(one.classes for one in further))
    temperatures = replace(temperatures, further={one.params.name: one.temperature for one in further})
    said: dict[str, rules.Said] = {
        "speech": (at_temperature(of_speech, temperatures.speech), speech_classes),
        "image": (at_temperature(of_image, temperatures.image), image_classes),
        **{one.params.name: (one.values, one.classes) for one in further},
    }
    known = [classes for _, classes in said.values()]
    every = {name for classes in known for name in classes} - set(params.neutral)
    pooled = pooled_votes(said, params) if rules.can_pool(known, params.neutral) else None
    lone = sorted(name for name in every if not all(name in classes for classes in known))
    alone = rules.votes(*said["speech"], *said["image"])
    return Scored(rows, alone, pooled, temperatures, tuple(lone), tuple(further))


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
