"""What reports/evaluate.json says of each network, and of answers that need no training."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation import baselines, crossing, metrics, pairs
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.unseen import Unseen, read_sier
from pipeline.frame import tables
from pipeline.frame.stage import Context
from pipeline.labels import rules
from pipeline.networks import trained


def validation_results(network: trained.Trained) -> dict[str, Any]:
    """Metrics of each fold that was held out, and over folds."""
    per_fold = []
    for fold in sorted(set(network.fold.tolist())):
        held_out = network.fold == fold
        values = metrics.overall_metrics(network.truth[held_out], network.predicted[held_out], len(network.labels))
        per_fold.append({"fold": fold, "rows": int(held_out.sum()), **values})
    return {"folds": len(per_fold), **metrics.over_folds(per_fold), "per_fold": per_fold}


def test_results(params: EvaluateParams, unseen: Unseen, predicted: NDArray[np.int64], seed: int) -> dict[str, Any]:
    """Metrics of the test rows; where the labels are two teachers', also by confidence, agreement and decider."""
    groups = unseen.frame["group_id"].to_numpy()
    results = metrics.measure(
        unseen.truth, predicted, unseen.labels, groups, samples=params.bootstrap_samples, seed=seed
    )
    correct = predicted == unseen.truth
    if unseen.crossing is not None:
        results[crossing.KEY] = crossing.without_crossing_groups(correct, groups, unseen.crossing)
    if "confidence" in unseen.frame:
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
