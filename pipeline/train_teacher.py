"""train_teacher: the speech teacher from IEMOCAP, the image teacher from FI.

In   data/corpora/iemocap or data/corpora/fi; for words data/corpora/emotion_texts
Out  data/checkpoints/{ser,ier}: the teacher, and rejects.csv: utterances or pictures that could not be used
     reports/train_teacher_<modality>.json; reports/plots/teacher_<modality>_{confusion,reliability}.csv

Held-out figures: leave one session out for speech (a random split leaks speakers and reads some 10 points too high);
15 % of the pictures, stratified, for images. The speech teacher that is kept is trained on all sessions; the image
teacher that is kept is the one that was measured.
"""

from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.teachers.calibration import reliability_bins
from models.teachers.teacher import Teacher
from pipeline.corpora.checks import expect_named
from pipeline.engine import files
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.frame.intervals import NOT_MEASURED, accuracy_in_words, of_share
from pipeline.frame.metrics_files import write_metrics, write_plot
from pipeline.frame.stage import Context, Report, stage_main
from pipeline.teachers import corpora, reliability
from pipeline.teachers.material import Material, MeasuredTeacher, Reject
from pipeline.teachers.params import SECTION, TeacherParams, Teachers, expect_consistent

CORPORA = {"speech": "iemocap", "image": "fi"}
# Fewer training rows than this and a class's figures say little; the metrics name such classes.
FEW_ROWS = 20


def run(params: TeacherParams, context: Context) -> Report:
    """Raises UserError: the corpus is missing or too small, or the class map does not fit it."""
    modality = context.item
    share: float = context.sections.get("synthesize", {}).get("recognition", {}).get("share", 1.0)
    expect_consistent(modality, params, share)
    folder = context.paths.data / "corpora" / CORPORA[modality]
    corpus = corpora.read(CORPORA[modality], folder)
    classes = _classes(params, corpus.labels, f"train_teacher.{modality}.classes")
    wanted = [item for item in corpus.items if params.classes[item.label] is not None]
    if not wanted:
        raise UserError(f"{folder}: no item has a label that train_teacher.{modality}.classes keeps")
    material = Material(context, folder, wanted, params.classes, classes, list(corpus.rejects))
    trained = _train(params, material)
    items, rejects, classes = trained.items, material.rejects, trained.teacher.classes
    labels = [material.label(item) for item in items]
    _save(trained.teacher, [*rejects, *trained.text_rejects], context.paths.checkpoints / tables.CHECKPOINTS[modality])

    support = Counter(labels)
    learns = params.kind != "scores"
    few = [f"{name}: {support[name]} rows" for name in classes if learns and support[name] < FEW_ROWS]
    metrics = {
        "kind": params.kind,
        "features": trained.teacher.features if modality == "speech" else None,
        "rows_in": corpus.rows_in,
        "used": len(items),
        "left_out_by_the_class_map": len(corpus.items) - len(wanted),
        "rejected": dict(sorted(Counter(status for _, status, _ in rejects).items())),
        "support": {name: support[name] for name in classes},
        "too_few_to_learn": few,
        "held_out": trained.held_out,
        "shown": shown(trained),
        "reliability": reliability.measure(
            trained.probabilities, trained.truth, classes, _groups(trained), context.base.seed
        ),
        **trained.further,
        "rows_chose": rows_chose(trained),
        "corpus_warnings": corpus.warnings,
        "digest": trained.teacher.digest,
    }
    _write_reports(metrics, trained, classes, modality, context.paths.reports)
    notes = _notes(params, trained, metrics)
    notes.append(f"{metrics['left_out_by_the_class_map']} rows have labels that the class map leaves out")
    notes += [f"too few to learn: {line}" for line in few]
    notes += [metrics["rows_chose"]] if metrics["rows_chose"] else []
    return Report(corpus.rows_in, len(items), metrics["rejected"], (*notes, *corpus.warnings))


def _notes(params: Teachers, trained: MeasuredTeacher, metrics: Mapping[str, Any]) -> list[str]:
    """How good it is."""
    measured = shown(trained, steadiest=False)
    if measured is None:
        return [f"{NOT_MEASURED}: the scores have no id of a row of the corpus; that is their maker's to tell"]
    recall = trained.held_out["unweighted_average_recall"]
    foreign = {"probe": "", "finetune": "", "scores": "what made the scores", "endpoint": "the model"}.get(
        params.kind, "the checkpoint"
    )
    seen = f", which {foreign} may have been trained on" if foreign else ""
    what = "accuracy" if seen else "held-out accuracy"
    notes = [f"{what} {accuracy_in_words(measured)}, unweighted recall {recall:.1%}{seen}"]
    if metrics["shown"] != measured:
        notes.append(f"steadier, of all pictures: {accuracy_in_words(metrics['shown'])}")
    return [*notes, metrics["reliability"]["words"]]


def shown(trained: MeasuredTeacher, *, steadiest: bool = True) -> dict[str, Any] | None:
    """Accuracy as it is to be read: protocol, rows, accuracy, low, high, commonest_class (its share of the rows).

    Of a probe of pictures that over folds of all of them, where `steadiest`: its test split is a handful. The interval
    is by speakers, where those are known. None of a table of scores that has no row of the corpus.
    """
    if not len(trained.truth):
        return None
    classes, truth = trained.teacher.classes, np.asarray(trained.truth)
    folds = trained.further.get("cross_validation")
    if steadiest and folds and folds["accuracy"] is not None:
        rows, hits = folds["rows"], round(folds["accuracy"] * folds["rows"])
        protocol, correct, groups = f"{folds['folds']} folds", np.arange(rows) < hits, np.arange(rows)
        truth = np.array([item.label for item in trained.items])
    else:
        protocol = trained.held_out["protocol"]
        correct = np.array(classes)[trained.probabilities.argmax(axis=1)] == truth
        groups = _groups(trained)
    low, high = of_share(correct, groups)
    most = Counter(truth.tolist()).most_common(1)[0][1] / len(truth)
    return {
        "protocol": protocol, "rows": len(correct), "accuracy": float(correct.mean()), "low": low, "high": high,
        "commonest_class": most,
    }  # fmt: skip


def _groups(trained: MeasuredTeacher) -> NDArray[Any]:
    """Of each held-out row its speaker, where all are known; else each is a group of its own."""
    alike = len(trained.items) == len(trained.truth) and all(item.speaker for item in trained.items)
    return np.array([item.speaker for item in trained.items]) if alike else np.arange(len(trained.truth))


def rows_chose(trained: MeasuredTeacher) -> str:
    """Which rows fitted the temperature, and how many of them its reliability is then shown on; empty without one."""
    fitted = trained.further.get("calibration")
    if fitted is None:
        return ""
    rows, again = fitted["rows"], fitted["measured_too"]
    said = f"temperature {trained.further['temperature']:.2f} was fitted on {rows:,} rows that its model had not seen"
    if again:
        return f"{said}; {again:,} of the {len(trained.truth):,} rows whose reliability is shown are among them"
    return f"{said}; none of the {len(trained.truth):,} rows whose reliability is shown is among them"


def _classes(params: TeacherParams, labels: tuple[str, ...], where: str) -> tuple[str, ...]:
    expect_named(labels, params.classes, where)
    classes = tuple(dict.fromkeys(name for name in params.classes.values() if name is not None))
    if len(classes) < 2:
        raise UserError(f"{where} keeps the classes {list(classes)}; expected two or more")
    return tuple(sorted(classes))


def _train(params: TeacherParams, material: Material) -> MeasuredTeacher:
    # Each kind is a module, and needs libraries that take seconds to import.
    kind = import_module(f"pipeline.teachers.{params.kind}")
    trained: MeasuredTeacher = kind.train(params, material)
    return trained


def _save(teacher: Teacher, rejects: list[Reject], target: Path) -> None:
    with files.replacing(target) as new:
        teacher.save(new)
        write_plot(new / "rejects.csv", ("id", "status", "reason"), sorted(rejects))


def _write_reports(
    metrics: dict[str, Any], trained: MeasuredTeacher, classes: tuple[str, ...], modality: str, reports: Path
) -> None:
    probabilities, truth = trained.probabilities, trained.truth
    write_metrics(reports / f"train_teacher_{modality}.json", metrics)
    predictions = [classes[place] for place in probabilities.argmax(axis=1)]
    pairs = zip(truth, predictions, strict=True)
    write_plot(reports / "plots" / f"teacher_{modality}_confusion.csv", ("actual", "predicted"), pairs)
    bins = reliability_bins(probabilities, truth, classes, reliability.BINS)
    rows = (tuple(row.values()) for row in bins.to_pylist())
    write_plot(reports / "plots" / f"teacher_{modality}_reliability.csv", bins.column_names, rows)


if __name__ == "__main__":
    raise SystemExit(stage_main("train_teacher", dict.fromkeys(tables.MODALITIES, SECTION), run, sharded=True))
