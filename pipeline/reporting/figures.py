"""Every chart and matrix of the page, from what stages reported.

In   `Reports`
Out  charts by name, and `Matrix`es: counts with the share of each row that a cell holds
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.frame.tables import MODALITIES
from pipeline.labels import words
from pipeline.reporting import embedding
from pipeline.reporting.charts import Axis, Chart, Lines, Measured, Points, Style, chart, interval_chart
from pipeline.reporting.stage_reports import Reports, series
from pipeline.reporting.threshold import Thresholds
from pipeline.reporting.vega import Spec, compiled

SHOWN_NETWORKS = 12  # in a chart; of more, the first
NAMES = {"speech": "speech", "image": "picture"}  # of modalities, on the page
FULL = (0.0, 1.0)


@dataclass(frozen=True)
class Matrix:
    """Counts by row and column."""

    title: str
    down: str  # what rows are
    across: str  # what columns are
    rows: Sequence[str]
    columns: Sequence[str]
    counts: Sequence[Sequence[int]]  # [rows][columns]
    note: str = ""  # what to see or to beware of

    @property
    def shares(self) -> list[list[float]]:
        """Each cell's share of its row; 0 in an empty one."""
        return [[cell / (sum(row) or 1) for cell in row] for row in self.counts]


def charts(reports: Reports, threshold: float, model: str) -> dict[str, Chart]:
    """All charts by name, with the label rule's threshold marked; `model` is whose accuracy by confidence is shown."""
    plots = reports.plots
    rows, steps = Axis("rows", whole=True), Style(steps=True)
    confidence, accuracy = Axis("confidence", percent=True, limits=FULL), Axis("accuracy", percent=True, limits=FULL)
    maxima = {NAMES[name]: points for name, points in series(plots["confidence"], "confidence", "rows").items()}
    curves = series(plots["curves"], "epoch", "validation_loss")
    by_confidence = [row for row in plots["accuracy_by_confidence"] if row["series"] == model]
    drawn = {
        "thresholds": chart(
            "Kept rows by threshold", _thresholds(series(plots["thresholds"], "threshold", "rows")), Axis("threshold"),
            rows, Style(marked=(threshold, f"chosen: {threshold:g}"), marks=False),
        ),
        "confidence": chart(
            "Largest probability of each teacher", maxima, confidence, rows, steps,
            note="Before the label rule; each step begins at the lower edge of its bin.",
        ),
        "label_quality": chart(
            "Label quality", series(plots["label_quality"], "label_quality", "rows"),
            Axis("probability of the label", percent=True, limits=FULL), rows, steps,
        ),
        "word_error_rate": chart(
            "Word error rate of the speech", series(plots["word_error_rate"], "word_error_rate", "texts"),
            Axis("word error rate", percent=True), Axis("texts", whole=True), steps,
            note="What a speech recogniser hears, against what should have been said.",
        ),
        "accuracy_by_confidence": chart(
            "Accuracy by the label's confidence", series(by_confidence, "confidence", "accuracy"),
            Axis("confidence of the label", percent=True), accuracy,
            note=f"{model}, test rows, by bins of confidence.",
        ),
        "curves": chart(
            "Validation loss by epoch", _apart(curves), Axis("epoch", whole=True), Axis("validation loss"),
            note=_rest(len(curves)),
        ),
        "seeds": _seeds(reports.metrics["evaluate"]),
        "comparisons": _comparisons(reports, model),
    }  # fmt: skip
    for modality, name in NAMES.items():
        points = series(plots[f"teacher_{modality}_reliability"], "mean_confidence", "accuracy")
        chose = reports.metrics[f"train_teacher_{modality}"].get("rows_chose")
        sure = "Below the dashed line the teacher is surer than it is right."
        drawn[f"{modality}_reliability"] = chart(
            f"Reliability of the {name} teacher", {"teacher": points.get("", [])}, confidence, accuracy,
            Style(diagonal=True), note=f"{sure} {chose[0].upper()}{chose[1:]}." if chose else sure,
        )  # fmt: skip
        for kind, moved in (("deletion", "go"), ("insertion", "come")):
            drawn[f"{kind}_{modality}"] = chart(
                f"{kind.capitalize()}, {name}: parts {moved}, best first",
                _by_baselines(series(plots[f"{kind}_{modality}"], "share", "change")),
                Axis("share of parts", percent=True), Axis("change of the answer"), Style(marks=False),
            )  # fmt: skip
    return drawn


def validity(thresholds: Thresholds) -> Chart | None:
    """How labels and sentiment go together at other thresholds; None where no text has a sentiment."""
    lines = thresholds.validity()
    at = thresholds.grid[thresholds.chosen]
    return chart(
        "Validity by threshold", lines, Axis("threshold"), Axis("Cramér’s V with the sentiment", limits=FULL),
        Style(marked=(at, f"chosen: {at:g}"), marks=False),
        "By chance: what as many rows give whose labels have nothing to do with the sentiment, if each stood for "
        "itself. Few rows reach a high V by chance alone.",
    ) if lines else None  # fmt: skip


def scatter() -> Spec:
    """The map of rows, whose points, colours and size the page's script fills in."""
    place = {"type": "quantitative", "axis": None, "scale": {"domain": [-20, embedding.SIDE + 20], "nice": False}}
    told = ("id", "label", "decider", "answer", "split", "confidence", "text")
    return compiled({
        "width": 600, "height": 420, "padding": 0, "data": {"name": "points", "values": []},
        "params": [{"name": "region", "select": "interval"}],
        "mark": {"type": "point", "filled": True},
        "encoding": {
            "x": {"field": "x", **place}, "y": {"field": "y", **place},
            "color": {"field": "colour", "type": "nominal", "scale": None},
            "shape": {"field": "shape", "type": "nominal", "scale": None},
            "size": {"field": "size", "type": "quantitative", "scale": None},
            "opacity": {"condition": {"param": "region", "value": 0.85}, "value": 0.12},
            "tooltip": [{"field": name, "type": "nominal"} for name in told],
        },
    })  # fmt: skip


def _thresholds(lines: Lines) -> dict[str, Lines]:
    """All rows with two parts of them in one panel, each label in one of its own."""
    parts = [name for name in ("all", "teachers agree", "decided by speech") if name in lines]
    labels = {name: {name: points} for name, points in lines.items() if name not in parts}
    return {"all labels": {name: lines[name] for name in parts}, **labels} if parts else dict(labels)


def _by_baselines(lines: Lines) -> dict[str, Lines]:
    """Series are named "<order of the parts>, <what stands for the absent>": a panel for each of the latter."""
    panels: dict[str, dict[str, Points]] = {}
    for name, points in lines.items():
        order, _, absent = name.partition(", ")
        panels.setdefault(absent, {})[order] = points
    return dict(panels)


def _apart(lines: Lines) -> dict[str, Lines]:
    return {name: {name: points} for name, points in list(lines.items())[:SHOWN_NETWORKS]}


def _seeds(evaluated: Mapping[str, Any]) -> Chart:
    """Networks of the dataset's labels beside what one gets by naming its largest class."""
    simple = evaluated["without_training"]["sier"]["majority_class"]["accuracy"]
    measured = []
    for name, network in list(evaluated["models"].items())[:SHOWN_NETWORKS]:
        test, runs = network["test"], network["runs"]
        if network["rows"] == "sier":
            low, high = test["intervals"]["accuracy"]
            each = tuple(run["accuracy"] for run in runs["per_run"]) if runs else ()
            measured.append(Measured(name, test["accuracy"], low, high, each, f"{test['rows']} rows"))
    return interval_chart(
        "Accuracy on the test rows, by network", measured, Axis("accuracy", percent=True),
        (simple, f"always the commonest label: {simple:.1%}"),
        "The filled mark is the network that is published, with its 95 % interval; open marks are networks of single "
        f"folds and seeds. Right is what equals the pseudo-label.{_rest(len(evaluated['models']))}",
    )  # fmt: skip


def _comparisons(reports: Reports, model: str) -> Chart:
    records = [row for row in reports.tables["comparisons"] if row["against"] == model]
    measured = [
        Measured(str(row["model"]), row["difference"], row["low"], row["high"], note=_p_value(row["p_groups_holm"]))
        for row in records[:SHOWN_NETWORKS]
    ]
    return interval_chart(
        f"Accuracy less that of {model}, on the same rows", measured, Axis("difference of accuracies", percent=True),
        (0.0, f"as good as {model}"),
        "95 % intervals by groups of like rows. p of a test by groups, corrected for the number of comparisons (Holm): "
        f"an interval beside the dashed line says little where p is large.{_rest(len(records))}",
    )  # fmt: skip


def _rest(networks: int) -> str:
    return f" The first {SHOWN_NETWORKS} of {networks} networks." if networks > SHOWN_NETWORKS else ""


def _p_value(p: float | None) -> str:
    return "" if p is None else f"p {p:.3f}"


def matrices(reports: Reports, labels: Sequence[str], model: str) -> dict[str, Matrix]:
    """All matrices by name."""
    metrics = reports.metrics
    result = {
        "validity": _validity(reports, labels),
        "agreement": _agreement(metrics["label"]),
        "fig_4": Matrix(
            f"{model} on the test split (the paper's Fig. 4)", "label", "answer", labels, labels,
            metrics["evaluate"]["models"][model]["test"]["confusion_matrix"],
            "The paper prints its Fig. 4 as a picture only, so there are no figures per class to compare with.",
        ),
    }  # fmt: skip
    for modality, items in zip(MODALITIES, ("utterances", "pictures"), strict=True):
        held_out = metrics[f"train_teacher_{modality}"]["held_out"]
        if not held_out["rows"]:  # of a table of scores that others made
            continue
        classes = list(held_out["per_class"])
        result[f"{modality}_confusion"] = Matrix(
            f"{NAMES[modality].capitalize()} teacher on held-out {items}", "class", "answer", classes, classes,
            held_out["confusion_matrix"], f"{held_out['protocol']}, {held_out['rows']:,} rows.",
        )  # fmt: skip
    return result


def _validity(reports: Reports, names: Sequence[str]) -> Matrix:
    """Label against the texts' sentiment, if any has one; of very many rows an even choice, as stage label plots it."""
    label = reports.metrics["label"]
    sentiments = list(reports.metrics["clean"]["sentiment"])
    counts = Counter((row["label"], row["sentiment"]) for row in reports.plots["validity"])
    return Matrix(
        "Label against the text's own sentiment", "label", "sentiment", names, sentiments,
        [[counts[name, sentiment] for sentiment in sentiments] for name in names],
        f"{words.figures(label['validity']['table'][0])}. {label['validity']['note']}.",
    )  # fmt: skip


def _agreement(label: Mapping[str, Any]) -> Matrix:
    rows: Mapping[str, Mapping[str, Any]] = label["rows_by_speech_and_image_label"]
    classes = sorted({*rows, *(name for row in rows.values() for name in row)})
    counts = [[rows.get(speech, {}).get(image, 0) for image in classes] for speech in classes]
    return Matrix(
        "What both teachers say of a row, before the rule", "speech teacher", "picture teacher", classes, classes,
        counts, f"On the diagonal they agree: {words.agreement(label['agreement']['all_rows'])}.",
    )  # fmt: skip
