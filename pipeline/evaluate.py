"""evaluate: every trained network on rows that it has not seen, beside the paper's tables.

In   data/checkpoints/<model> of section `models`; data/sier and data/labels/rule.json, or data/clean and data/speech,
     as the networks' rows ask for; data/corpora/b_t4sa/manifest.json
Out  data/predictions/<model>.parquet: id, label, p_<label> of the test rows
     reports/evaluate.json, reports/table_2.{csv,md}, reports/table_3.{csv,md}, the plots of `pipeline.evaluation.plots`

Validation figures are those of the rows that each fold held out in training, which is what the paper reports; those
rows also decided when training stopped. The test split is read here, once, and nowhere else.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.engine import files
from pipeline.engine.environment import device_from_environment
from pipeline.evaluation import pairs, plots, result_tables
from pipeline.evaluation.findings import confusion, notes, scale, test_results, validation_results, without_training
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.unseen import Unseen, open_unseen
from pipeline.frame import acquired, tables
from pipeline.frame.metrics_files import write_metrics, write_plot
from pipeline.frame.params import section
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.networks import trained
from pipeline.networks.params import InputParams, ModelParams, TrainParams, read_models


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
    predicted = _predict_all(params, context, models, left, rows, inputs)
    results = {
        name: {
            "rows": model.rows,
            "parameters": left[name].training["parameters"],
            "same_design_as": next(other for other, design in models.items() if design == model),
            "beyond_the_paper": model.hears_words,
            "validation": validation_results(left[name]),
            "test": test_results(params, rows[model.rows], predicted[name], context.base.seed),
        }
        for name, model in models.items()
    }
    corpus = context.paths.data / "corpora" / "b_t4sa"
    findings = {
        "origin": acquired.read_manifest(corpus)["origin"],
        "format": acquired.read_format(corpus),
        "rows": {kind: scale(unseen) for kind, unseen in rows.items()},
        "models": results,
        "paired": _paired(params, context, models, rows, predicted),
        "without_training": {kind: without_training(params, kind, unseen, context) for kind, unseen in rows.items()},
    }
    histories = {name: network.training["folds"][0]["history"] for name, network in left.items()}
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


def _predict_all(
    params: EvaluateParams,
    context: Context,
    models: Mapping[str, ModelParams],
    left: Mapping[str, trained.Trained],
    rows: Mapping[str, Unseen],
    inputs: InputParams,
) -> dict[str, NDArray[np.int64]]:
    """Write data/predictions; class ids by network, int64 [rows]."""
    from pipeline.networks.loading import load_net, predict  # noqa: PLC0415 - torch takes seconds, wrong names none

    device = device_from_environment()
    predicted = {}
    total = sum(len(rows[model.rows].frame) for model in models.values())
    with (
        files.replacing(context.paths.data / "predictions") as new,
        tqdm(total=total, desc="evaluate", unit="row", disable=None) as bar,
    ):
        for name, model in models.items():
            unseen = rows[model.rows]
            net = load_net(left[name], inputs, device)
            probabilities = predict(
                net, unseen.inputs, batch_size=params.batch_size, device=device, progress=bar.update
            )
            _write_predictions(new / f"{name}.parquet", unseen, probabilities)
            predicted[name] = probabilities.argmax(axis=1).astype(np.int64)
    return predicted


def _write_predictions(path: Path, unseen: Unseen, probabilities: NDArray[np.float32]) -> None:
    columns: dict[str, Any] = {
        "id": unseen.frame["id"].tolist(),
        "label": [unseen.labels[place] for place in unseen.truth],
    }
    columns |= {tables.PROBABILITY_PREFIX + name: probabilities[:, n] for n, name in enumerate(unseen.labels)}
    table = pa.table(columns, schema=trained.predictions_schema(unseen.labels, fold=False))
    files.write_atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def _write_reports(
    reports: Path, findings: Mapping[str, Any], histories: Mapping[str, Any], matrix: list[tuple[str, str]]
) -> None:
    write_metrics(reports / "evaluate.json", findings)
    for name, table in (("table_2", result_tables.table_2(findings)), ("table_3", result_tables.table_3(findings))):
        write_plot(reports / f"{name}.csv", result_tables.COLUMNS, result_tables.csv_rows(table))
        files.write_bytes(reports / f"{name}.md", result_tables.markdown(table).encode())
    plots.write_all(findings, histories, matrix, reports / "plots")


if __name__ == "__main__":
    raise SystemExit(stage_main("evaluate", EvaluateParams, run, kept=""))
