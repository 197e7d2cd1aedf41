"""What reports/evaluate.json says of each network, and of answers that need no training."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation import baselines, comparisons, metrics, pairs
from pipeline.evaluation.answers import Answers, class_ids
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.unseen import Unseen, read_sier
from pipeline.frame import tables
from pipeline.frame.stage import Context
from pipeline.labels import rules
from pipeline.networks import trained


def validation_results(network: trained.Trained) -> dict[str, Any]:
    """Metrics of the rows that each run held out, and over runs; and what of training tells how far to trust them."""
    per_run = []
    for found in network.held_out:
        for fold in sorted(set(found.fold.tolist())):
            rows = found.fold == fold
            values = metrics.overall_metrics(found.truth[rows], found.predicted[rows], len(network.labels))
            per_run.append({"seed": found.seed, "fold": fold, "rows": int(rows.sum()), **values})
    first = network.training["runs"][0]
    return {
        "seeds": len(network.held_out),
        "folds": len({run["fold"] for run in per_run}),
        **metrics.over_runs(per_run),
        "per_run": per_run,
        "best_by": network.training["best_by"],
        **{key: first[key] for key in ("best_epoch", "epochs", "never_predicted", "cut_rows")},
    }


def results_of_runs(params: EvaluateParams, unseen: Unseen, answers: Answers, seed: int) -> dict[str, Any] | None:
    """Metrics of the test rows by each network that is kept, over them, and of their mean answer; None of one only."""
    if len(answers.runs) == 1:
        return None
    per_run = [
        {
            "seed": run.seed,
            "fold": run.fold,
            **metrics.overall_metrics(unseen.truth, class_ids(said), len(unseen.labels)),
        }
        for run, said in answers.runs
    ]
    groups = unseen.frame["group_id"].to_numpy()
    ensemble = metrics.measure(
        unseen.truth, answers.ensemble, unseen.labels, groups, samples=params.bootstrap_samples, seed=seed
    )
    return {"networks": len(per_run), **metrics.over_runs(per_run), "per_run": per_run, "ensemble": ensemble}


def test_results(params: EvaluateParams, unseen: Unseen, predicted: NDArray[np.int64], seed: int) -> dict[str, Any]:
    """Metrics of the test rows; where the labels are two teachers', also by confidence, agreement and decider."""
    groups = unseen.frame["group_id"].to_numpy()
    results = metrics.measure(
        unseen.truth, predicted, unseen.labels, groups, samples=params.bootstrap_samples, seed=seed
    )
    if "confidence" in unseen.frame:
        correct = predicted == unseen.truth
        agree, decided_by = unseen.frame["agreement"].to_numpy(dtype=bool), unseen.frame["decided_by"].to_numpy()
        confidence = unseen.frame["confidence"].to_numpy()
        results["by_confidence"] = metrics.by_bin(confidence, correct, groups, params.confidence_bins)
        for kind, chosen in (
            ("by_agreement", {"true": agree, "false": ~agree}),
            ("by_decided_by", {name: decided_by == name for name in tables.MODALITIES}),
        ):
            results[kind] = {name: metrics.share(correct[rows], groups[rows]) for name, rows in chosen.items()}
    return results


def without_training(params: EvaluateParams, kind: str, unseen: Unseen, context: Context) -> dict[str, Any]:
    """Test results of the majority class and, for the dataset, of the teachers' own labels."""
    most = baselines.majority(unseen.train, len(unseen.labels))
    predictions = {baselines.MAJORITY: np.full(len(unseen.truth), most)}
    if kind == "sier":
        rows = read_sier(context.paths.data / "sier", "test", teachers=True)
        rule = rules.read_rule(context.paths.data / "labels")
        rows = rows.set_index("id").loc[unseen.frame["id"]]
        predictions |= baselines.teacher_copies(rows, rule, unseen.labels)
    return {name: test_results(params, unseen, predicted, context.base.seed) for name, predicted in predictions.items()}


def compared(
    params: EvaluateParams, rows: Mapping[str, Unseen], answers: Mapping[str, Answers], of_rows: Mapping[str, str],
    seed: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Of each kind of rows, its networks and the majority class against its ParallelNet; `of_rows` is kind by name."""
    found = []
    for kind, unseen in rows.items():
        names = [name for name in answers if of_rows[name] == kind]
        right = {name: answers[name].predicted == unseen.truth for name in names}
        right[baselines.MAJORITY] = unseen.truth == baselines.majority(unseen.train, len(unseen.labels))
        found += comparisons.compare(
            right, comparisons.reference(names), unseen.frame["group_id"], rows_of=kind,
            samples=params.bootstrap_samples, seed=seed,
        )  # fmt: skip
    return found


def scale(unseen: Unseen) -> dict[str, Any]:
    """Numbers of rows, and the most frequent class."""
    most = unseen.labels[baselines.majority(unseen.train, len(unseen.labels))]
    return {"train": len(unseen.train), "test": len(unseen.truth), "majority_class": most}


def confusion(
    findings: Mapping[str, Any], rows: Mapping[str, Unseen], predicted: Mapping[str, NDArray[np.int64]]
) -> list[tuple[str, str]]:
    """Actual and predicted label of each test row by ParallelNet (Fig. 4), or by the first network of the dataset."""
    names = [name for name, result in findings["models"].items() if result["rows"] == "sier"]
    if not names:
        return []
    labels = np.array(rows["sier"].labels)
    shown = predicted["parallelnet" if "parallelnet" in names else names[0]]
    return list(zip(labels[rows["sier"].truth].tolist(), labels[shown].tolist(), strict=True))


def notes(findings: Mapping[str, Any]) -> Iterator[str]:
    """A sentence per network."""
    for name, result in findings["models"].items():
        low, high = result["test"]["intervals"]["accuracy"]
        most = findings["without_training"][result["rows"]][baselines.MAJORITY]["accuracy"]
        accuracy = f"{result['test']['accuracy']:.1%} [{low:.1%}, {high:.1%}], majority class {most:.1%}"
        yield f"{name}: test accuracy {accuracy}"
    yield from map(pairs.sentence, findings["paired"])
