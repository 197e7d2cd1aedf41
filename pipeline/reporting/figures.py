"""Every chart and matrix of the page, from what stages reported.

In   `Reports`
Out  charts by name, and `Matrix`es: counts with the share of each row that a cell holds
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.reporting.charts import Axis, Chart, Style, chart
from pipeline.reporting.inputs import Record, Reports, series

SHOWN_NETWORKS = 8  # in a chart of lines; more cannot be told apart


@dataclass(frozen=True)
class Matrix:
    """Counts by row and column.

    Attributes:
        title: heading.
        across, down: what columns and rows are.
        columns, rows: their names.
        counts: [rows][columns].
        note: what to see or to beware of; may be empty.
    """

    title: str
    down: str
    across: str
    rows: Sequence[str]
    columns: Sequence[str]
    counts: Sequence[Sequence[int]]
    note: str = ""

    @property
    def shares(self) -> list[list[float]]:
        """Each cell's share of its row; 0 in an empty one."""
        return [[cell / (sum(row) or 1) for cell in row] for row in self.counts]


def charts(reports: Reports, threshold: float, model: str) -> dict[str, Chart]:
    """All charts by name.

    Args:
        reports: of the stages.
        threshold: of the label rule, marked in the threshold curves.
        model: whose accuracy by confidence is shown.
    """
    plots = reports.plots
    rows = Axis("rows", whole=True)
    share = Axis("confidence", percent=True, limits=(0.0, 1.0))
    found = {
        "thresholds": chart(
            "Kept rows by threshold", series(plots["thresholds"], "threshold", "rows"), Axis("threshold"), rows,
            Style(marked=(threshold, f"chosen: {threshold:g}"), marks=False),
        ),
        "confidence": chart(
            "Largest probability of each teacher",
            {_named(name): points for name, points in series(plots["confidence"], "confidence", "rows").items()},
            share, rows, Style(steps=True),
            note="Before the label rule; each step begins at the lower edge of its bin.",
        ),
        "label_quality": chart(
            "Label quality", series(plots["label_quality"], "label_quality", "rows"),
            Axis("probability of the label", percent=True, limits=(0.0, 1.0)), rows, Style(steps=True),
        ),
        "word_error_rate": chart(
            "Word error rate of the speech", series(plots["word_error_rate"], "word_error_rate", "texts"),
            Axis("word error rate", percent=True), Axis("texts", whole=True), Style(steps=True),
            note="What a speech recogniser hears, against what should have been said.",
        ),
        "accuracy_by_confidence": chart(
            "Accuracy by the label's confidence",
            series(_of(plots["accuracy_by_confidence"], "series", model), "confidence", "accuracy"),
            Axis("confidence of the label", percent=True), Axis("accuracy", percent=True, limits=(0.0, 1.0)),
            note=f"{model}, test rows, by bins of confidence.",
        ),
        "curves": chart(
            "Validation loss by epoch", _first(series(plots["curves"], "epoch", "validation_loss")),
            Axis("epoch", whole=True), Axis("validation loss"),
        ),
    }  # fmt: skip
    for modality in ("speech", "image"):
        points = series(plots[f"teacher_{modality}_reliability"], "mean_confidence", "accuracy")
        found[f"{modality}_reliability"] = chart(
            f"Reliability of the {_named(modality)} teacher", {"teacher": points.get("", [])}, share,
            Axis("accuracy", percent=True, limits=(0.0, 1.0)), Style(diagonal=True),
            note="Below the dashed line the teacher is surer than it is right.",
        )  # fmt: skip
        for kind, moved in (("deletion", "go, best first"), ("insertion", "come, best first")):
            name = f"{kind}_{modality}"
            lines = _first(series(plots[name], "share", "change"))
            found[name] = chart(
                f"{kind.capitalize()}, {_named(modality)}: parts {moved}", lines,
                Axis("share of parts", percent=True), Axis("change of the answer"), Style(marks=False),
            )  # fmt: skip
    return found


def matrices(reports: Reports, labels: Sequence[str], model: str) -> dict[str, Matrix]:
    """All matrices by name."""
    metrics = reports.metrics
    found = {
        "validity": _validity(metrics["label"], reports, labels),
        "agreement": _agreement(metrics["label"]["rows_by_speech_and_image_label"]),
        "fig_4": Matrix(
            f"{model} on the test split (the paper's Fig. 4)", "label", "answer", labels, labels,
            metrics["evaluate"]["models"][model]["test"]["confusion_matrix"],
            "The paper prints its Fig. 4 as a picture only, so there are no figures per class to compare with.",
        ),
    }  # fmt: skip
    for modality in ("speech", "image"):
        teacher = metrics[f"train_teacher_{modality}"]
        classes = list(teacher["held_out"]["per_class"])
        held_out = "utterances" if modality == "speech" else "pictures"
        found[f"{modality}_confusion"] = Matrix(
            f"{_named(modality).capitalize()} teacher on held-out {held_out}",
            "true class", "answer", classes, classes, teacher["held_out"]["confusion_matrix"],
            f"{teacher['held_out']['protocol']}, {teacher['held_out']['rows']:,} rows.",
        )  # fmt: skip
    return found


def _validity(metrics: Any, reports: Reports, labels: Sequence[str]) -> Matrix:
    """Label against the texts' sentiment; of very many rows an even choice, as stage label plots it."""
    sentiments = list(reports.metrics["clean"]["sentiment"])
    counts = {(label, sentiment): 0 for label in labels for sentiment in sentiments}
    for row in reports.plots["validity"]:
        counts[row["label"], row["sentiment"]] += 1
    return Matrix(
        "Label against the text's own sentiment", "label", "sentiment", labels, sentiments,
        [[counts[label, sentiment] for sentiment in sentiments] for label in labels], metrics["validity"]["note"],
    )  # fmt: skip


def _agreement(found: dict[str, dict[str, int]]) -> Matrix:
    classes = sorted({*found, *(name for row in found.values() for name in row)})
    counts = [[found.get(speech, {}).get(image, 0) for image in classes] for speech in classes]
    return Matrix(
        "What both teachers say of a row, before the rule", "speech teacher", "picture teacher", classes, classes,
        counts, "On the diagonal they agree.",
    )  # fmt: skip


def _of(rows: Sequence[Record], column: str, value: str) -> list[Record]:
    return [row for row in rows if row[column] == value]


def _first(lines: dict[str, list[tuple[float, float]]]) -> dict[str, list[tuple[float, float]]]:
    return dict(list(lines.items())[:SHOWN_NETWORKS])


def _named(modality: str) -> str:
    return "picture" if modality == "image" else modality
