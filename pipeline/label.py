"""label: one of the dataset's labels for each row, or the reason why there is none.

In   data/scores/{speech,image}: id, p_<class>; data/clean: sentiment, group, texts; data/speech: voice,
     duration, what was heard, recordings; reports/score_speech.json
Out  data/labels: one shard of `tables.LABELS`, kept and dropped rows alike
     reports/label.json and the plots of `pipeline.labels.description`

No probability is computed anew: a user may try rules and thresholds in seconds.
"""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.metrics_files import read_json, write_metrics
from pipeline.frame.paper import LABELLED_ROWS
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.labels import rules, words
from pipeline.labels.description import Labelled, label_metrics, write_plots
from pipeline.labels.joining import Scored, read_scored
from pipeline.labels.rules import AppliedRule, LabelParams


def run(params: LabelParams, context: Context) -> Report:
    """Raises UserError: the map misses a class or names an unknown label; no row is kept."""
    params.expect_labels(context.base.labels)
    params.expect_voters()
    scored = read_scored(params, context)
    rows, votes = scored.rows, scored.votes(params.rule)
    decided = scored.decisions(params)
    reasons, kept, labels = decided["reason"], decided["kept"], decided["label"]
    if not kept.any():
        raise UserError(f"label.threshold = {params.threshold}: no row of {len(rows)} is kept{_why(reasons)}")
    _write(_applied(params, scored), context, scored, decided)
    labelled = Labelled(rows, votes, labels, kept, context.base.labels, params)
    scores = read_json(context.paths.reports / "score_speech.json", "dvc repro score@speech")
    metrics = {**label_metrics(labelled, scored, context), "speech_features": scores["features"]}
    write_metrics(context.paths.reports / "label.json", metrics)
    write_plots(labelled, LABELLED_ROWS, context.paths.reports / "plots")
    dropped = {
        str(reason): int(count) for reason, count in zip(*np.unique(reasons[~kept], return_counts=True), strict=True)
    }
    notes = _notes(metrics)
    if params.rule == "log_pool" and scored.lone_classes:
        missing = "not all voters have" if scored.further else "one teacher has alone"
        notes.append(f"log_pool knows no {' or '.join(scored.lone_classes)}, which {missing}")
    return Report(len(rows), int(kept.sum()), dropped, tuple(notes))


def _why(reasons: NDArray[np.str_]) -> str:
    neutral = int((reasons == rules.NEUTRAL).sum())
    return f"; {neutral} are neutral: see label.neutral" if neutral else "; expected a lower one"


def _applied(params: LabelParams, scored: Scored) -> AppliedRule:
    values = vars(params) | {"further": tuple(one.params for one in scored.further)}
    classes = {one.params.name: one.classes for one in scored.further}
    return AppliedRule(**values, temperatures=scored.temperatures, further_classes=classes)


def _write(rule: AppliedRule, context: Context, scored: Scored, decided: dict[str, NDArray[Any]]) -> None:
    said = {name: pa.array(values, from_pandas=True) for one in scored.further for name, values in one.columns.items()}
    table = pa.table({"id": scored.rows["id"], **decided, **said}, schema=tables.labels(rule.further_columns))
    work = context.paths.work / "label"
    marker = shards.commit(work, shards.Task(0, table.num_rows, None), shards.Output(table), "")
    applied = (json.dumps(asdict(rule), indent=1) + "\n").encode()
    shards.publish(work, [marker], context.paths.data / "labels", {tables.RULE_FILE: applied})


def _notes(metrics: dict[str, Any]) -> list[str]:
    ours = ", ".join(f"{name} {count}" for name, count in metrics["labels"].items())
    paper = ", ".join(f"{name} {LABELLED_ROWS[name]:,}" for name in metrics["labels"] if name in LABELLED_ROWS)
    return [
        *words.first_lines(metrics),
        f"labels: {ours} (paper: {paper} of {LABELLED_ROWS['rows_in']:,} rows)",
        f"decided by: speech {metrics['decided_by']['speech']}, image {metrics['decided_by']['image']}",
        *metrics["decided_alone"],
        f"agreement of the teachers: {words.agreement(metrics['agreement']['all_rows'])}",
    ]


if __name__ == "__main__":
    raise SystemExit(stage_main("label", LabelParams, run, kept=""))
