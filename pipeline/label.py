"""label: one of the dataset's labels for each row, or the reason why there is none.

In   data/scores/{speech,image}: id, p_<class>; data/clean: id, sentiment; data/speech: id, voice
Out  data/labels: one shard of `tables.LABELS`, kept and dropped rows alike
     reports/label.json and the plots of `pipeline.labels.plots`

No probability is computed anew: a user may try rules and thresholds in seconds.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.metrics_files import write_metrics
from pipeline.frame.params import STRICT
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.labels import rules
from pipeline.labels.metrics import PAPER, label_metrics
from pipeline.labels.plots import Labelled, write_all


@dataclass(frozen=True, config=STRICT)
class LabelParams:
    """Section `label`.

    Attributes:
        rule: see `pipeline.labels.rules.drop_reasons`.
        threshold: least max(max_1, max_2) of a kept row.
        remap: teacher class -> label of the dataset.
    """

    rule: rules.Rule
    threshold: Annotated[float, Field(ge=0, le=1)]
    remap: dict[str, str]


def run(params: LabelParams, context: Context) -> Report:
    """See the module's docstring.

    Raises:
        UserError: the map misses a class or names an unknown label; no row is kept.
    """
    unknown = sorted(set(params.remap.values()) - set(context.base.labels))
    if unknown:
        raise UserError(f"label.remap: {unknown[0]} is not a label; base.labels are {list(context.base.labels)}")
    rows, votes = _votes(params, context)
    reasons = rules.drop_reasons(params.rule, params.threshold, votes)
    kept = reasons == ""
    if not kept.any():
        raise UserError(f"label.threshold = {params.threshold}: no row of {len(rows)} is kept; expected a lower one")
    labels = rules.remap(votes.source_label, params.remap)
    _write(params, context, rows, votes, labels, reasons)
    metrics = label_metrics(context, rows, votes, labels, kept)
    write_metrics(context.paths.reports / "label.json", metrics)
    plots = Labelled(rows, votes, labels, kept, context.base.labels, tuple(params.remap.items()))
    write_all(plots, params.rule, PAPER, context.paths.reports / "plots")
    dropped = {
        str(reason): int(count) for reason, count in zip(*np.unique(reasons[~kept], return_counts=True), strict=True)
    }
    return Report(len(rows), int(kept.sum()), dropped, tuple(_notes(metrics)))


def _votes(params: LabelParams, context: Context) -> tuple[pd.DataFrame, rules.Votes]:
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
    parts = [shards.read_part(folder, marker, columns=columns) for marker in markers]
    table: pd.DataFrame = pa.concat_tables(parts).to_pandas().set_index("id")
    if not table.index.is_unique:
        again = table.index[table.index.duplicated()][0]
        raise UserError(f"{folder}: id {again} stands there twice; run: dvc repro {stage} --force")
    return table


def _write(
    params: LabelParams,
    context: Context,
    rows: pd.DataFrame,
    votes: rules.Votes,
    labels: NDArray[np.str_],
    reasons: NDArray[np.str_],
) -> None:
    table = pa.table(
        {
            "id": rows["id"],
            "speech_label": votes.speech_label,
            "speech_max": votes.speech_max,
            "image_label": votes.image_label,
            "image_max": votes.image_max,
            "decided_by": np.where(votes.speech_decides, "speech", "image"),
            "source_label": votes.source_label,
            "label": labels,
            "kept": reasons == "",
            "reason": reasons,
        },
        schema=tables.LABELS,
    )
    work = context.paths.work / "label"
    marker = shards.commit(work, shards.Task(0, table.num_rows, None), shards.Output(table), "")
    rule = (json.dumps(asdict(params), indent=1) + "\n").encode()
    shards.publish(work, [marker], context.paths.data / "labels", {tables.RULE_FILE: rule})


def _notes(metrics: dict[str, Any]) -> list[str]:
    share = metrics["share_decided_by_speech"]
    notes = []
    if metrics["dominant_modality"]:
        notes.append(f"WARNING: {metrics['dominant_modality']} decides {max(share, 1 - share):.0%} of the kept rows")
    ours = ", ".join(f"{name} {count}" for name, count in metrics["labels"].items())
    paper = ", ".join(f"{name} {PAPER[name]:,}" for name in metrics["labels"] if name in PAPER)
    notes.append(f"labels: {ours} (paper: {paper} of {PAPER['rows_in']:,} rows)")
    notes.append(f"decided by: speech {metrics['decided_by']['speech']}, image {metrics['decided_by']['image']}")
    value = metrics["validity"]["all"]["cramers_v"]
    chance = metrics["validity"]["all"]["by_chance"]
    shown = "not defined" if value is None else f"Cramer's V {value:.2f}, by chance {chance:.2f}"
    notes.append(f"label against text sentiment: {shown} ({metrics['validity']['note']})")
    return notes


if __name__ == "__main__":
    raise SystemExit(stage_main("label", LabelParams, run))
