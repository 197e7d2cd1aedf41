"""Tables 2 and 3, and the comparisons of networks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from tests.recompute.built import DRAWN, EXACT, Built, Figure, largest, said

Z = stats.norm.ppf(0.975)
SENTIMENTS = ("negative", "neutral", "positive")
NAMES = {
    "SER only": "ser_only", "IER only": "ier_only", "Baseline 1": "baseline_1", "Baseline 2": "baseline_2",
    "Baseline 3": "baseline_3",
}  # fmt: skip


def scores(truth: Any, answer: Any) -> dict[str, float]:
    """Accuracy, macro F1 over the classes that occur, Cohen's kappa."""
    table = pd.crosstab(np.asarray(truth), np.asarray(answer))
    names = table.index.union(table.columns)
    table = table.reindex(index=names, columns=names, fill_value=0)
    hits, true, given = np.diag(table), table.sum(axis=1).to_numpy(), table.sum(axis=0).to_numpy()
    rows = table.to_numpy().sum()
    chance = (true * given).sum() / rows**2
    kappa = math.nan if len(names) == 1 else (hits.sum() / rows - chance) / (1 - chance)
    return {"accuracy": hits.sum() / rows, "macro_f1": float(np.mean(2 * hits / (true + given))), "cohen_kappa": kappa}


def wilson(right: np.ndarray, groups: Any) -> tuple[float, float]:
    """95 % of a share by groups: Wilson's with the rows that, drawn singly, have the groups' variance."""
    frame = pd.DataFrame({"right": right.astype(float), "group": np.asarray(groups)})
    p, rows = frame["right"].mean(), len(frame)
    spread = ((frame["right"] - p).groupby(frame["group"]).sum() ** 2).sum() / rows**2
    n = frame["group"].nunique() if p in {0.0, 1.0} else min(rows, p * (1 - p) / spread) if spread else rows
    roots = np.roots([1 + Z**2 / n, -(2 * p + Z**2 / n), p**2])
    return float(max(0, roots.real.min())), float(min(1, roots.real.max()))


def resampled(truth: Any, answer: Any, groups: Any, name: str) -> tuple[float | None, float | None]:
    """Percentiles of a score over groups drawn with replacement; nothing of fewer than ten."""
    places = [np.asarray(rows) for rows in pd.Series(np.arange(len(truth))).groupby(np.asarray(groups)).groups.values()]
    if len(places) < 10:
        return None, None
    rng, found = np.random.default_rng(20), []
    for _ in range(400):
        rows = np.concatenate([places[place] for place in rng.integers(0, len(places), len(places))])
        found.append(scores(np.asarray(truth)[rows], np.asarray(answer)[rows])[name])
    drawn = np.array(found)[~np.isnan(found)]
    return (float(np.percentile(drawn, 2.5)), float(np.percentile(drawn, 97.5))) if len(drawn) else (None, None)


def result_tables(built: Built) -> Iterator[Figure]:
    """Tables 2 and 3: networks on the rows that they held out and on test rows, and what needs no training."""
    for table, kind in (("table_2", "sier"), ("table_3", "clean")):
        test, train = built.unseen(kind)
        for row in built.csv(table).to_dict("records"):
            told: dict[str, Any] = {str(key): None if pd.isna(value) else value for key, value in row.items()}
            if told["kind"] == "published" or told["test_rows"] is None:
                continue
            name = told["name"].removesuffix(" (beyond the paper)")
            model = NAMES.get(name) or {"sier": "parallelnet", "clean": "parallelnet_sentiment"}[kind]
            model = name if name in built.models else model
            where = f"{table}: {name}"
            if told["kind"] == "network":
                answers = pd.read_parquet(built.root / "data" / "predictions" / f"{model}.parquet").set_index("id")
                answer = said(answers.loc[test["id"]])
                yield from _of_training(built, where, told, model, test)
            else:
                answer = _without_training(built, name, test, train)
            yield from _of_test(where, told, test, answer)


def _of_test(where: str, told: dict[str, Any], test: pd.DataFrame, answer: np.ndarray) -> Iterator[Figure]:
    truth, groups = test["label"].to_numpy(), test["group_id"].to_numpy()
    yield Figure(f"{where}: test rows", told["test_rows"], len(test))
    for metric, value in scores(truth, answer).items():
        yield Figure(f"{where}: {metric}", told[f"test_{metric}"], None if math.isnan(value) else value)
        ends = wilson(truth == answer, groups) if metric == "accuracy" else resampled(truth, answer, groups, metric)
        tolerance = EXACT if metric == "accuracy" else DRAWN
        for part, end in zip(("low", "high"), ends, strict=True):
            yield Figure(f"{where}: {metric} {part}", told[f"test_{metric}_{part}"], end, tolerance)


def _of_training(built: Built, where: str, told: dict[str, Any], model: str, test: pd.DataFrame) -> Iterator[Figure]:
    held_out = pd.read_parquet(built.root / "data" / "checkpoints" / model / "out_of_fold.parquet")
    right = pd.Series(said(held_out) == held_out["label"].to_numpy())
    of_runs = right.groupby([held_out["seed"], held_out["fold"]]).mean()
    yield Figure(f"{where}: seeds", told["seeds"], held_out["seed"].nunique())
    yield Figure(f"{where}: folds", told["folds"], held_out["fold"].nunique())
    yield Figure(f"{where}: validation", told["validation_accuracy"], of_runs.mean())
    yield Figure(f"{where}: validation sd", told["validation_accuracy_sd"], _sd(of_runs))
    path = built.root / "data" / "predictions" / "runs" / f"{model}.parquet"
    if not path.is_file():
        yield Figure(f"{where}: networks", told["networks"], 1)
        return
    runs = pd.read_parquet(path)
    of_networks = pd.Series(said(runs) == runs["label"].to_numpy()).groupby([runs["seed"], runs["fold"]]).mean()
    yield Figure(f"{where}: networks", told["networks"], len(of_networks))
    yield Figure(f"{where}: networks' accuracy", told["networks_test_accuracy"], of_networks.mean())
    yield Figure(f"{where}: networks' sd", told["networks_test_accuracy_sd"], _sd(of_networks))
    mean = runs.groupby("id")[[name for name in runs.columns if str(name).startswith("p_")]].mean().loc[test["id"]]
    together = said(mean) == test["label"].to_numpy()
    yield Figure(f"{where}: ensemble", told["ensemble_test_accuracy"], together.mean())
    for part, end in zip(("low", "high"), wilson(together, test["group_id"]), strict=True):
        yield Figure(f"{where}: ensemble {part}", told[f"ensemble_test_accuracy_{part}"], end)


def _sd(values: pd.Series) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _without_training(built: Built, name: str, test: pd.DataFrame, train: pd.Series) -> np.ndarray:
    if name.startswith("Majority"):
        counts = train.value_counts()
        order = built.labels if set(counts.index) <= set(built.labels) else list(SENTIMENTS)
        return np.full(len(test), max(order, key=lambda label: counts.get(label, 0)))
    rows = built.sier.set_index("id").loc[test["id"]]
    by = {
        modality: np.array([built.rule["remap"][name] for name in largest(rows, f"p_{modality}_")])
        for modality in ("speech", "image")
    }
    modality = next((word for word in by if word in name), None)
    return by[modality] if modality else np.where(rows["decided_by"] == "speech", by["speech"], by["image"])


def comparisons(built: Built) -> Iterator[Figure]:
    """Differences on the same rows, McNemar's test by hand, Holm's correction of each kind of rows."""
    table = built.csv("comparisons")
    for kind, rows in table.groupby("rows_of"):
        test, train = built.unseen(str(kind))
        truth = test["label"].to_numpy()

        def right(name: str, test: pd.DataFrame = test, train: pd.Series = train, truth: Any = truth) -> np.ndarray:
            if name == "majority_class":
                return np.asarray(_without_training(built, "Majority", test, train) == truth)
            frame = pd.read_parquet(built.root / "data" / "predictions" / f"{name}.parquet").set_index("id")
            return np.asarray(said(frame.loc[test["id"]]) == truth)

        for row in rows.to_dict("records"):
            one, other, where = right(row["model"]), right(row["against"]), f"comparisons: {row['model']}"
            only, only_other = int((one & ~other).sum()), int((other & ~one).sum())
            yield Figure(f"{where}: difference", row["difference"], one.mean() - other.mean())
            yield Figure(f"{where}: only right", row["only_right"], only)
            yield Figure(f"{where}: only other right", row["only_other_right"], only_other)
            tail = stats.binom.cdf(min(only, only_other), only + only_other, 0.5) if only + only_other else 1.0
            yield Figure(f"{where}: McNemar", row["p_mcnemar"], min(1.0, 2 * tail))
        for test_name in ("p_mcnemar", "p_groups"):
            order = rows[test_name].sort_values(kind="stable")
            steps = (order * np.arange(len(order), 0, -1)).clip(upper=1).cummax()
            told = rows.loc[steps.index]
            for model, holm, value in zip(told["model"], told[f"{test_name}_holm"], steps, strict=True):
                yield Figure(f"comparisons: {model}: {test_name} by Holm", holm, float(value))
