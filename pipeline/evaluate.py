"""evaluate: every trained network on rows that it has not seen, beside the paper's tables.

In   data/checkpoints/<model> of section `models`; data/sier and data/labels/rule.json, or data/clean and data/speech,
     as the networks' rows ask for; data/corpora/b_t4sa/manifest.json
Out  data/predictions/<model>.parquet: id, label, p_<label> of the test rows
     reports/evaluate.json, reports/table_2.{csv,md}, reports/table_3.{csv,md}, the plots of `pipeline.evaluation.plots`

Validation figures are those of the rows that each fold held out in training, which is what the paper reports; those
rows also decided when training stopped. The test split is read here, once, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass
from tqdm import tqdm

from pipeline.engine import files
from pipeline.engine.environment import device_from_environment
from pipeline.evaluation import baselines, metrics, plots, result_tables
from pipeline.evaluation.unseen import Unseen, open_unseen, read_sier
from pipeline.frame import acquired, tables
from pipeline.frame.metrics_files import write_metrics, write_plot
from pipeline.frame.params import STRICT, section
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.networks import trained
from pipeline.networks.params import InputParams, ModelParams, TrainParams, read_models


@dataclass(frozen=True, config=STRICT)
class EvaluateParams:
    """Section `evaluate`.

    Attributes:
        batch_size: rows given to a network at once.
        bootstrap_samples: draws for each interval.
        confidence_bins: where bins of the label's confidence meet; 0 and 1 are added.
    """

    batch_size: Annotated[int, Field(ge=1)]
    bootstrap_samples: Annotated[int, Field(ge=100)]
    confidence_bins: tuple[Annotated[float, Field(ge=0, le=1)], ...]

    @field_validator("confidence_bins")
    @classmethod
    def _rising(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if list(edges) != sorted(set(edges)):
            raise ValueError("different edges in rising order")
        return edges


def run(params: EvaluateParams, context: Context) -> Report:
    """See the module's docstring.

    Raises:
        UserError: a network or its rows are missing, damaged or do not fit each other.
    """
    models = read_models(dict(context.sections))
    inputs = section(dict(context.sections), "train", TrainParams).inputs
    # What training left is looked at before any row is decoded: so a fault costs seconds.
    left = {
        name: trained.read(context.paths.checkpoints, name, model.rows, _labels(model.rows, context))
        for name, model in models.items()
    }
    rows: dict[str, Unseen] = {
        kind: open_unseen(kind, inputs, context) for kind in sorted({model.rows for model in models.values()})
    }
    predicted = _predict_all(params, context, models, left, rows, inputs)
    results = {
        name: {
            "rows": model.rows,
            "parameters": left[name].training["parameters"],
            "same_design_as": next(other for other, design in models.items() if design == model),
            "validation": _validation(left[name]),
            "test": _test(params, rows[model.rows], predicted[name], context.base.seed),
        }
        for name, model in models.items()
    }
    findings = {
        "origin": acquired.read_manifest(context.paths.data / "corpora" / "b_t4sa")["origin"],
        "rows": {kind: _scale(unseen) for kind, unseen in rows.items()},
        "models": results,
        "without_training": {kind: _without_training(params, kind, unseen, context) for kind, unseen in rows.items()},
    }
    histories = {name: network.training["folds"][0]["history"] for name, network in left.items()}
    _write_reports(context.paths.reports, findings, histories, _confusion(findings, rows, predicted))
    total = sum(len(rows[model.rows].truth) for model in models.values())
    return Report(total, total, notes=tuple(_notes(findings)))


def _labels(rows: str, context: Context) -> tuple[str, ...]:
    return context.base.labels if rows == "sier" else tables.SENTIMENTS


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
    new = context.paths.data / ".predictions.new"
    files.remove_tree(new)
    new.mkdir(parents=True)
    predicted = {}
    total = sum(len(rows[model.rows].frame) for model in models.values())
    with tqdm(total=total, desc="evaluate", unit="row", disable=None) as bar:
        for name, model in models.items():
            unseen = rows[model.rows]
            net = load_net(left[name], inputs, device)
            probabilities = predict(
                net, unseen.inputs, batch_size=params.batch_size, device=device, progress=bar.update
            )
            _write_predictions(new / f"{name}.parquet", unseen, probabilities)
            predicted[name] = probabilities.argmax(axis=1).astype(np.int64)
    files.replace_folder(new, context.paths.data / "predictions")
    return predicted


def _write_predictions(path: Path, unseen: Unseen, probabilities: NDArray[np.float32]) -> None:
    columns: dict[str, Any] = {
        "id": unseen.frame["id"].tolist(),
        "label": [unseen.labels[place] for place in unseen.truth],
    }
    columns |= {tables.PROBABILITY_PREFIX + name: probabilities[:, n] for n, name in enumerate(unseen.labels)}
    table = pa.table(columns, schema=trained.predictions_schema(unseen.labels, fold=False))
    files.write_atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def _validation(left: trained.Trained) -> dict[str, Any]:
    per_fold = []
    for fold in sorted(set(left.fold.tolist())):
        held_out = left.fold == fold
        figures = metrics.figures(left.truth[held_out], left.predicted[held_out], len(left.labels))
        per_fold.append({"fold": fold, "rows": int(held_out.sum()), **figures})
    return {"folds": len(per_fold), **metrics.over_folds(per_fold), "per_fold": per_fold}


def _test(params: EvaluateParams, unseen: Unseen, predicted: NDArray[np.int64], seed: int) -> dict[str, Any]:
    found = metrics.measure(unseen.truth, predicted, unseen.labels, samples=params.bootstrap_samples, seed=seed)
    if "confidence" not in unseen.frame:
        return found
    correct = predicted == unseen.truth
    agreement, decided_by = unseen.frame["agreement"].to_numpy(), unseen.frame["decided_by"].to_numpy()
    return {
        **found,
        "by_confidence": metrics.by_bin(unseen.frame["confidence"].to_numpy(), correct, params.confidence_bins),
        "by_agreement": {
            name: metrics.share(correct[agreement == value]) for name, value in (("true", True), ("false", False))
        },
        "by_decided_by": {name: metrics.share(correct[decided_by == name]) for name in tables.MODALITIES},
    }


def _without_training(params: EvaluateParams, kind: str, unseen: Unseen, context: Context) -> dict[str, Any]:
    """Test figures of the majority class and, for the dataset, of the teachers' own labels."""
    most = baselines.majority(unseen.train, len(unseen.labels))
    predictions = {baselines.MAJORITY: np.full(len(unseen.truth), most)}
    if kind == "sier":
        rows = read_sier(context.paths.data / "sier", "test", teachers=True)
        remap = baselines.read_remap(context.paths.data / "labels" / tables.RULE_FILE)
        rows = rows.set_index("id").loc[unseen.frame["id"]]
        predictions |= baselines.teacher_copies(rows, remap, unseen.labels)
    return {name: _test(params, unseen, found, context.base.seed) for name, found in predictions.items()}


def _scale(unseen: Unseen) -> dict[str, Any]:
    most = unseen.labels[baselines.majority(unseen.train, len(unseen.labels))]
    return {"train": len(unseen.train), "test": len(unseen.truth), "majority_class": most}


def _confusion(
    findings: Mapping[str, Any], rows: Mapping[str, Unseen], predicted: Mapping[str, NDArray[np.int64]]
) -> list[tuple[str, str]]:
    """Actual and predicted label of each test row by ParallelNet (Fig. 4), or by the first network of the dataset."""
    names = [name for name, result in findings["models"].items() if result["rows"] == "sier"]
    if not names:
        return []
    labels = np.array(rows["sier"].labels)
    shown = predicted["parallelnet" if "parallelnet" in names else names[0]]
    return list(zip(labels[rows["sier"].truth].tolist(), labels[shown].tolist(), strict=True))


def _write_reports(
    reports: Path, findings: Mapping[str, Any], histories: Mapping[str, Any], confusion: list[tuple[str, str]]
) -> None:
    write_metrics(reports / "evaluate.json", findings)
    for name, table in (("table_2", result_tables.table_2(findings)), ("table_3", result_tables.table_3(findings))):
        write_plot(reports / f"{name}.csv", result_tables.COLUMNS, result_tables.csv_rows(table))
        files.write_bytes(reports / f"{name}.md", result_tables.markdown(table).encode())
    plots.write_all(findings, histories, confusion, reports / "plots")


def _notes(findings: Mapping[str, Any]) -> list[str]:
    notes = []
    for name, result in findings["models"].items():
        low, high = result["test"]["intervals"]["accuracy"]
        most = findings["without_training"][result["rows"]][baselines.MAJORITY]["accuracy"]
        figures = f"{result['test']['accuracy']:.1%} [{low:.1%}, {high:.1%}], majority class {most:.1%}"
        notes.append(f"{name}: test accuracy {figures}")
    return notes


if __name__ == "__main__":
    raise SystemExit(stage_main("evaluate", EvaluateParams, run))
