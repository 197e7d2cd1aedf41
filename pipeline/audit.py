"""audit: which labels a network doubts that was not trained on them (confident learning).

In   data/checkpoints/<model>/out_of_fold.parquet: probabilities of rows that the network did not see (stage train), of
     the first seed
Out  data/audit/audit.parquet: `AUDIT`, a row for each row that a fold held out
     reports/audit.json, reports/doubtful_rows.csv, reports/plots/label_quality.csv

The labels are the teachers', so a doubt says that pictures and speech of that kind mostly have another label, not that
the label is wrong. Nothing is written back into data/sier; publish and report join by id. Northcutt et al. 2021,
"Confident Learning: Estimating Uncertainty in Dataset Labels", by the authors' library.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from cleanlab.count import compute_confident_joint, estimate_joint
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.engine import files
from pipeline.frame.audit_table import AUDIT, AUDIT_FILE
from pipeline.frame.metrics_files import write_metrics, write_plot
from pipeline.frame.params import STRICT, expect_network_of_sier
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.networks import trained
from pipeline.networks.trained import Trained

ROWS_CHOSE = (
    "The same rows chose the epoch that each fold's network keeps, so that its errors and doubts may be fewer than on "
    "rows that chose nothing."
)
QUALITY_BINS = np.round(np.arange(0.0, 1.01, 0.1), 2)


@dataclass(frozen=True, config=STRICT)
class AuditParams:
    """Section `audit`.

    Attributes:
        model: key of `models` whose out-of-fold probabilities are used; its rows must be those of data/sier.
        doubtful_rows: length of the list of rows with the lowest quality.
    """

    model: Annotated[str, Field(min_length=1)]
    doubtful_rows: Annotated[int, Field(ge=1)]


def run(params: AuditParams, context: Context) -> Report:
    """Raises UserError: the network is not one of data/sier, or was not trained."""
    expect_network_of_sier(context.sections, "audit.model", params.model)
    labels = context.base.labels
    found = trained.read(context.paths.checkpoints, params.model, "sier", labels)
    table = audit(found)
    _write(table, context.paths.data / "audit")
    metrics = _metrics(table, found)
    reports = context.paths.reports
    write_metrics(reports / "audit.json", metrics)
    frame: pd.DataFrame = table.to_pandas()
    write_plot(reports / "plots" / "label_quality.csv", ("series", "label_quality", "rows"), _histogram(frame, labels))
    doubtful = frame.sort_values(["label_quality", "id"], kind="stable").head(params.doubtful_rows)
    columns = ["id", "label", "suggested_label", "label_quality", "is_issue"]
    write_plot(reports / "doubtful_rows.csv", columns, doubtful[columns].itertuples(index=False))
    return Report(len(frame), len(frame), notes=tuple(_notes(metrics)))


def audit(network: Trained) -> pa.Table:
    """A row of `AUDIT` for each held-out row, in the order of ids.

    `label_quality` is self-confidence: the probability of the row's own label. `is_issue`: off the diagonal of
    the confident joint, that is, another class is as probable as it is on average for the rows with that label.
    """
    truth, probabilities = _present(network)
    quality = probabilities[np.arange(len(truth)), truth]
    issues = np.zeros(len(truth), dtype=bool)
    if probabilities.shape[1] > 1:
        quality = get_label_quality_scores(truth, probabilities, method="self_confidence")
        issues = find_label_issues(truth, probabilities, filter_by="confident_learning", n_jobs=1)
    names, found = np.array(network.labels), network.first
    rows = pd.DataFrame({
        "id": found.ids, "fold": found.fold, "label": names[found.truth],
        "suggested_label": names[found.predicted], "label_quality": quality.astype(np.float32), "is_issue": issues,
    }).sort_values("id")  # fmt: skip
    return pa.Table.from_pandas(rows, schema=AUDIT, preserve_index=False)


def _present(network: Trained) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Class ids and probabilities without classes that no held-out row has, which the library cannot take."""
    present = np.unique(network.first.truth)
    probabilities = network.first.probabilities[:, present].astype(np.float64) + np.finfo(np.float32).tiny
    return np.searchsorted(present, network.first.truth), probabilities / probabilities.sum(axis=1, keepdims=True)


def _metrics(table: pa.Table, network: Trained) -> dict[str, Any]:
    frame: pd.DataFrame = table.to_pandas()
    return {
        "model": network.name,
        "rows": len(frame),
        "folds": sorted(int(fold) for fold in np.unique(network.first.fold)),
        # A network that knows little doubts much: read the figures below beside this one.
        "out_of_fold_accuracy": float((network.first.predicted == network.first.truth).mean()),
        "rows_chose": ROWS_CHOSE,
        "issues": int(frame["is_issue"].sum()),
        "estimated_label_noise": _noise(network),
        "mean_label_quality": float(frame["label_quality"].mean()),
        "labels": {
            name: {
                "rows": len(rows),
                "issues": int(rows["is_issue"].sum()),
                "mean_label_quality": float(rows["label_quality"].mean()),
            }
            for name, rows in frame.groupby("label")
        },
    }


def _noise(network: Trained) -> float | None:
    """Share of the estimated joint distribution of labels and answers that is off its diagonal; None for one label."""
    truth, probabilities = _present(network)
    if probabilities.shape[1] < 2:
        return None
    joint = estimate_joint(truth, probabilities, confident_joint=compute_confident_joint(truth, probabilities))
    return 1.0 - float(np.trace(joint))


def _histogram(frame: pd.DataFrame, labels: tuple[str, ...]) -> list[tuple[str, float, int]]:
    """(label, lower edge of a bin of label_quality, rows)."""
    counts = {
        label: np.histogram(frame.loc[frame["label"] == label, "label_quality"], QUALITY_BINS)[0] for label in labels
    }
    return [
        (label, float(low), int(rows))
        for label in labels
        for low, rows in zip(QUALITY_BINS, counts[label], strict=False)
    ]


def _write(table: pa.Table, target: Path) -> None:
    with files.replacing(target) as new:
        pq.write_table(table, new / AUDIT_FILE)


def _notes(metrics: dict[str, Any]) -> list[str]:
    noise = metrics["estimated_label_noise"]
    said = "their rows have one label only" if noise is None else f"estimated label noise {noise:.1%}"
    right = f"right on {metrics['out_of_fold_accuracy']:.0%} of {metrics['rows']} rows that it did not see"
    notes = [f"{metrics['model']}, {right}, doubts the labels of {metrics['issues']}; {said}"]
    notes.append(metrics["rows_chose"])
    if len(metrics["folds"]) == 1:
        notes.append(f"only fold {metrics['folds'][0]} was held out (train.folds), so only its rows are audited")
    return notes


if __name__ == "__main__":
    raise SystemExit(stage_main("audit", AuditParams, run, kept=""))
