"""What `evaluate` found, as CSV files for `dvc plots`.

evaluate_confusion      Fig. 4: a row per test row
model_accuracy          accuracy of each network: the paper's, on validation rows, on test rows; and without training
accuracy_by_confidence  test accuracy by the confidence of the label
accuracy_by_agreement   test accuracy where the teachers agree or not, and by the teacher that decided the label
curves                  losses and validation figures by epoch, of the networks that are kept
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.frame.metrics_files import write_plot
from pipeline.frame.paper import TABLE_2, TABLE_3

GROUPS = {
    "by_agreement": {"true": "teachers agree", "false": "teachers disagree"},
    "by_decided_by": {"speech": "decided by speech", "image": "decided by image"},
}
CURVES = ("train_loss", "validation_loss", "validation_accuracy", "validation_macro_f1", "learning_rate")
ACCURACY = ("accuracy", "low", "high", "rows")


def write_all(
    findings: Mapping[str, Any],
    histories: Mapping[str, Sequence[Mapping[str, float]]],
    confusion: Sequence[tuple[str, str]],
    folder: Path,
) -> None:
    """Write the five files, from the content of reports/evaluate.json, each network's epochs (epoch, `CURVES`) and the
    (actual, predicted) label of each test row.
    """
    tests = {name: result["test"] for name, result in findings["models"].items()}
    write_plot(folder / "evaluate_confusion.csv", ("actual", "predicted"), confusion)
    write_plot(folder / "model_accuracy.csv", ("series", "model", *ACCURACY), _accuracies(findings))
    bins = [
        (name, *(entry[key] for key in ("mean", *ACCURACY, "lower", "upper")))
        for name, test in tests.items()
        for entry in test.get("by_confidence", ())
        if entry["rows"]
    ]
    columns = ("series", "confidence", *ACCURACY, "lower", "upper")
    write_plot(folder / "accuracy_by_confidence.csv", columns, bins)
    groups = [
        (words, name, *(test[group][key][part] for part in ACCURACY))
        for group, names in GROUPS.items()
        for key, words in names.items()
        for name, test in tests.items()
        if group in test and test[group][key]["rows"]
    ]
    write_plot(folder / "accuracy_by_agreement.csv", ("series", "model", *ACCURACY), groups)
    epochs = [
        (name, epoch["epoch"], *(epoch.get(key) for key in CURVES))
        for name, history in histories.items()
        for epoch in history
    ]
    write_plot(folder / "curves.csv", ("series", "epoch", *CURVES), epochs)


def _accuracies(findings: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    paper = {row.model: row.accuracy for row in (*TABLE_2, *TABLE_3) if row.model}
    for name, result in findings["models"].items():
        if name in paper:
            yield ("paper", name, paper[name], None, None, None)
        rows = sum(run["rows"] for run in result["validation"]["per_run"])
        yield ("validation", name, result["validation"]["accuracy"]["mean"], None, None, rows)
        yield ("test", name, *_accuracy(result["test"]))
    for kind, baselines in findings["without_training"].items():
        for name, test in baselines.items():
            yield ("without training", f"{name} ({kind})", *_accuracy(test))


def _accuracy(test: Mapping[str, Any]) -> tuple[Any, ...]:
    low, high = test["intervals"]["accuracy"]
    return (test["accuracy"], low, high, test["rows"])
