"""evaluate: every trained network on rows that it has not seen, beside the paper's tables.

In   data/checkpoints/<model> of section `models`; data/sier and data/labels/rule.json, or data/clean and data/speech,
     as the networks' rows ask for; data/corpora/b_t4sa/manifest.json
Out  data/predictions: see `pipeline.evaluation.answers`
     reports/evaluate.json, reports/table_2.{csv,md}, reports/table_3.{csv,md}, reports/comparisons.{csv,md}, the plots
     of `pipeline.evaluation.plots`

Validation figures are those of the rows that each run held out in training, which is what the paper reports; those
rows also decided when training stopped. The test split is read here, once, and nowhere else.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.engine import files
from pipeline.evaluation import comparisons, pairs, plots, result_tables
from pipeline.evaluation.answers import ask_all
from pipeline.evaluation.findings import (
    compared,
    confusion,
    notes,
    results_of_runs,
    scale,
    test_results,
    validation_results,
    without_training,
)
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.unseen import Unseen, open_unseen
from pipeline.frame import acquired, tables
from pipeline.frame.metrics_files import write_metrics, write_plot
from pipeline.frame.params import section
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.networks import trained
from pipeline.networks.params import ModelParams, TrainParams, read_models


def run(params: EvaluateParams, context: Context) -> Report:
    """Raises UserError: a network or its rows are missing, damaged or do not fit each other."""
    models = read_models(dict(context.sections))
    inputs = section(context.sections, "train", TrainParams).inputs
    # What training left is looked at before any row is decoded: so a fault costs seconds.
    left = {
        name: trained.read(context.paths.checkpoints, name, model.rows, _labels(model.rows, context))
        for name, model in models.items()
    }
    hearing = {model.rows for model in models.values() if model.hears_words}
    rows: dict[str, Unseen] = {
        kind: open_unseen(kind, inputs, context, words=kind in hearing)
        for kind in sorted({model.rows for model in models.values()})
    }
    answers = ask_all(models, left, rows, inputs, context.paths.data / "predictions", batch_size=params.batch_size)
    predicted = {name: found.predicted for name, found in answers.items()}
    results = {
        name: {
            "rows": model.rows,
            "parameters": left[name].training["parameters"],
            "same_design_as": next(other for other, design in models.items() if design == model),
            "beyond_the_paper": model.hears_words,
            "validation": validation_results(left[name]),
            "test": test_results(params, rows[model.rows], predicted[name], context.base.seed),
            "runs": results_of_runs(params, rows[model.rows], answers[name], context.base.seed),
        }
        for name, model in models.items()
    }
    corpus = context.paths.data / "corpora" / "b_t4sa"
    findings = {
        "origin": acquired.read_manifest(corpus)["origin"],
        "format": acquired.read_format(corpus),
        "rows": {kind: scale(unseen) for kind, unseen in rows.items()},
        "models": results,
        "comparisons": compared(
            params, rows, answers, {name: model.rows for name, model in models.items()}, context.base.seed
        ),
        "paired": _paired(params, context, models, rows, predicted),
        "without_training": {kind: without_training(params, kind, unseen, context) for kind, unseen in rows.items()},
    }
    histories = {name: network.training["runs"][0]["history"] for name, network in left.items()}
    _write_reports(context.paths.reports, findings, histories, confusion(findings, rows, predicted))
    total = sum(len(rows[model.rows].truth) for model in models.values())
    return Report(total, total, notes=tuple(notes(findings)))


def _labels(rows: str, context: Context) -> tuple[str, ...]:
    return context.base.labels if rows == "sier" else tables.SENTIMENTS


def _paired(
    params: EvaluateParams,
    context: Context,
    models: Mapping[str, ModelParams],
    rows: Mapping[str, Unseen],
    predicted: Mapping[str, NDArray[np.int64]],
) -> list[dict[str, Any]]:
    """Networks beyond the paper against their counterparts in it, on the same rows."""
    found: list[dict[str, Any]] = []
    for name, against in pairs.counterparts(models):
        sier = rows["sier"]
        by_kind = pairs.compare(
            predicted[name] == sier.truth, predicted[against] == sier.truth,
            sier.frame["group_id"], sier.frame["decided_by"],
            samples=params.bootstrap_samples, seed=context.base.seed,
        )  # fmt: skip
        found.append({"model": name, "against": against, **by_kind})
    return found


def _write_reports(
    reports: Path, findings: Mapping[str, Any], histories: Mapping[str, Any], matrix: list[tuple[str, str]]
) -> None:
    write_metrics(reports / "evaluate.json", findings)
    for name, table in (("table_2", result_tables.table_2(findings)), ("table_3", result_tables.table_3(findings))):
        write_plot(reports / f"{name}.csv", result_tables.COLUMNS, result_tables.csv_rows(table))
        files.write_bytes(reports / f"{name}.md", result_tables.markdown(table).encode())
    compared_rows = [[row[column] for column in comparisons.COLUMNS] for row in findings["comparisons"]]
    write_plot(reports / "comparisons.csv", comparisons.COLUMNS, compared_rows)
    files.write_bytes(reports / "comparisons.md", result_tables.comparisons_markdown(findings["comparisons"]).encode())
    plots.write_all(findings, histories, matrix, reports / "plots")


if __name__ == "__main__":
    raise SystemExit(stage_main("evaluate", EvaluateParams, run, kept=""))
