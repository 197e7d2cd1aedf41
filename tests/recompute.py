"""Every number of Tables 2 and 3, of validity, of the check for leaks and of the dataset's card, by other code.

    python -m tests.recompute [PROJECT]

It reads data/ and reports/ of a project that was built, imports nothing of it, and prints each figure that does not
come out again; exit code 1 if there is one. Figures that rest on random draws are drawn anew and may differ by as much
as draws do.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

EXACT, DRAWN = 1e-5, 0.06  # reports are rounded to six digits
Z = stats.norm.ppf(0.975)
NAMES = {
    "SER only": "ser_only", "IER only": "ier_only", "Baseline 1": "baseline_1", "Baseline 2": "baseline_2",
    "Baseline 3": "baseline_3",
}  # fmt: skip
SENTIMENTS = ("negative", "neutral", "positive")


@dataclass(frozen=True)
class Figure:
    """What a report tells, and what comes out."""

    name: str
    told: float | None
    found: float | None
    tolerance: float = EXACT

    @property
    def holds(self) -> bool:
        """Whether both are the same, or nothing."""
        if self.told is None or self.found is None:
            return self.told is self.found
        return abs(self.told - self.found) <= self.tolerance


class Built:
    """A project's data and reports, as plain tables."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def table(self, folder: str, columns: list[str] | None = None, pattern: str = "*.parquet") -> pd.DataFrame:
        """All rows of the files of a folder of data/ that fit the pattern."""
        paths = sorted((self.root / "data" / folder).glob(pattern))
        parts: list[pd.DataFrame] = [pd.read_parquet(path, columns=columns) for path in paths]
        return pd.concat(parts, ignore_index=True)

    def report(self, name: str) -> Any:
        """A JSON file of reports/."""
        return json.loads((self.root / "reports" / f"{name}.json").read_bytes())

    def csv(self, name: str) -> pd.DataFrame:
        """A CSV file of reports/."""
        return pd.read_csv(self.root / "reports" / f"{name}.csv")

    @cached_property
    def sier(self) -> pd.DataFrame:
        """The dataset without its media; `split`, and labels by their names."""
        parts = []
        for split in ("train", "test"):
            part = self.table("sier/data", None, f"{split}-*.parquet").drop(columns=["audio", "image"])
            parts.append(part.assign(split=split))
        rows = pd.concat(parts, ignore_index=True)
        return rows.assign(label=[self.labels[place] for place in rows["label"]])

    @cached_property
    def labels(self) -> list[str]:
        """Of the dataset, in the order of their ids."""
        return list(self.report("assemble")["labels"])

    @cached_property
    def clean(self) -> pd.DataFrame:
        """Texts, sentiments and groups of all pairs."""
        return self.table("clean", ["id", "tweet_id", "text", "sentiment", "group_id", "source_split", "image_phash"])

    @cached_property
    def rule(self) -> Any:
        """How labels were made."""
        return json.loads((self.root / "data" / "labels" / "rule.json").read_bytes())

    @cached_property
    def models(self) -> dict[str, str]:
        """Kind of rows by network."""
        return {name: found["rows"] for name, found in self.report("evaluate")["models"].items()}

    def unseen(self, kind: str) -> tuple[pd.DataFrame, pd.Series]:
        """Test rows (id, label, group_id), and labels of train."""
        if kind == "sier":
            test = self.sier[self.sier["split"] == "test"]
            return test, self.sier.loc[self.sier["split"] == "train", "label"]
        spoken = self.clean[self.clean["id"].isin(self.table("speech", ["id"])["id"]) & self.clean["sentiment"].notna()]
        spoken = spoken.assign(label=spoken["sentiment"])
        return spoken[spoken["source_split"] == "test"], spoken.loc[spoken["source_split"] == "train", "label"]


def largest(frame: pd.DataFrame, prefix: str) -> np.ndarray:
    """Of each row the column with the largest number, of those with this prefix, without it."""
    columns = [str(name) for name in frame.columns if str(name).startswith(prefix)]
    names = np.array([name.removeprefix(prefix) for name in columns])
    return np.asarray(names[frame[columns].to_numpy().argmax(axis=1)])


def said(frame: pd.DataFrame) -> np.ndarray:
    """Name of each row's largest probability."""
    return largest(frame, "p_")


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


def validity(built: Built) -> Iterator[Figure]:
    """Cramer's V with the texts' sentiment of labels, teachers, VADER and other rules, and what chance gives."""
    speech = built.table("speech", ["id", "heard"])
    rows = built.table("labels").merge(built.clean, on="id").merge(speech, on="id")
    asked = {(of, over): (answers, chosen) for of, over, answers, chosen in _asked(built, rows)}
    for told in built.report("label")["validity"]["table"]:
        where = f"validity: {told['of']}, {told['over']}"
        answers, chosen = asked[told["of"], told["over"]]
        frame = pd.DataFrame({"said": answers, "sentiment": rows["sentiment"], "group": rows["group_id"]})[chosen]
        frame = frame.dropna()
        yield Figure(f"{where}: rows", told["rows"], len(frame))
        yield Figure(f"{where}: groups", told["groups"], frame["group"].nunique())
        yield Figure(f"{where}: V", told["cramers_v"], _cramers_v(frame["said"], frame["sentiment"]))
        if told["cramers_v"] is None:
            continue
        rng, by_chance = np.random.default_rng(5), []
        # Each group's sentiments go to the group after it in a random order, over and over where that is larger.
        groups = [part.to_numpy() for _, part in frame.groupby("group")["sentiment"]]
        ordered = frame.sort_values("group", kind="stable")["said"]
        for _ in range(200):
            order = rng.permutation(len(groups))
            dealt = np.concatenate(
                [np.resize(groups[place], len(own)) for place, own in zip(order, groups, strict=True)]
            )
            by_chance.append(_cramers_v(ordered, dealt) or 0.0)
        yield Figure(f"{where}: by chance", told["by_chance"], float(np.mean(by_chance)), DRAWN / 2)
        reached = float(np.mean(np.array(by_chance) >= told["cramers_v"] - EXACT))
        yield Figure(f"{where}: p", told["p_value"], reached, 2 * DRAWN)


def _cramers_v(one: Any, other: Any) -> float | None:
    table = pd.crosstab(np.asarray(one), np.asarray(other)).to_numpy()
    if min(table.shape) < 2:
        return None
    return float(stats.contingency.association(table, method="cramer"))


def _asked(built: Built, rows: pd.DataFrame) -> Iterator[tuple[str, str, Any, np.ndarray]]:
    kept, every = rows["kept"].to_numpy(), np.ones(len(rows), dtype=bool)
    labels = rows["source_label"].map(lambda name: built.rule["remap"].get(name, name)).to_numpy()
    by_speech = (rows["decided_by"] == "speech").to_numpy()
    yield "labels", "kept rows", labels, kept
    yield "labels decided by speech", "kept rows", labels, kept & by_speech
    yield "labels decided by the picture", "kept rows", labels, kept & ~by_speech
    alone = [
        ("speech teacher", rows["speech_label"], rows["speech_max"], every),
        ("picture teacher", rows["image_label"], rows["image_max"], every),
    ]
    analyzer = SentimentIntensityAnalyzer()
    for name, column in (("VADER on the text", "text"), ("VADER on the words as heard", "heard")):
        read = rows[column].notna().to_numpy()
        compound = rows[column].fillna("").map(lambda text: analyzer.polarity_scores(text)["compound"])
        named = np.where(compound >= 0.05, "positive", np.where(compound <= -0.05, "negative", "neutral"))
        alone.append((name, pd.Series(named), compound.abs(), read))
    for of, said_, sure, read in alone:
        yield of, "all rows", said_.to_numpy(), read
        yield of, "kept rows", said_.to_numpy(), read & kept
        yield of, "as many of the surest rows", said_.to_numpy(), _surest(sure, read, kept.mean() * read.sum())
    threshold, neutral = built.rule["threshold"], built.rule["neutral"]
    agree = (rows["speech_label"] == rows["image_label"]).to_numpy()
    surer = np.where(rows["speech_max"] >= rows["image_max"], rows["speech_label"], rows["image_label"])
    one = {
        "agreement": (surer, rows[["speech_max", "image_max"]].max(axis=1), agree),
        "max_probability": (surer, rows[["speech_max", "image_max"]].max(axis=1), every),
        "log_pool": (*_pool(built, rows), every),
    }
    for rule, (said_by, sure, among) in one.items():
        eligible = among & ~np.isin(said_by, neutral)
        named = np.array([built.rule["remap"].get(name, name) for name in said_by])
        yield f"rule {rule}", "rows that it keeps", named, eligible & (sure >= np.float32(threshold)).to_numpy()
        yield f"rule {rule}", "as many of the surest rows", named, _surest(sure, eligible, kept.mean() * len(rows))


def _surest(sure: pd.Series, among: np.ndarray, wanted: float) -> np.ndarray:
    order = sure[among].sort_values(ascending=False, kind="stable").index[: round(min(wanted, among.sum()))]
    return sure.index.isin(order)


def _pool(built: Built, rows: pd.DataFrame) -> tuple[np.ndarray, pd.Series]:
    """Class and probability of the weighted geometric mean, over classes of both teachers."""
    weights = {"speech": built.rule["speech_weight"], "image": 1 - built.rule["speech_weight"]}
    shares: dict[str, pd.DataFrame] = {}
    for modality in weights:
        scored = built.table(f"scores/{modality}").set_index("id").loc[rows["id"]].filter(regex="^p_")
        hot = scored.astype(float) ** (1 / built.rule["temperatures"][modality])
        shares[modality] = hot.div(hot.sum(axis=1), axis=0)
    both = [name for name in shares["speech"] if name in shares["image"]]
    power = pd.DataFrame(1.0, index=shares["speech"].index, columns=both)
    for modality, weight in weights.items():
        of_both = shares[modality][both]
        power = power * of_both.div(of_both.sum(axis=1), axis=0) ** weight
    pooled = power.div(power.sum(axis=1), axis=0).reset_index(drop=True)
    return said(pooled), pooled.max(axis=1).astype(np.float32)


def figures(root: Path) -> list[Figure]:
    """All of them."""
    built = Built(root)
    return [figure for part in (result_tables, comparisons, validity) for figure in part(built)]


def main() -> int:
    """Print what does not hold; the number of figures."""
    found = figures(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    wrong = [figure for figure in found if not figure.holds]
    for figure in wrong:
        print(f"{figure.name}: the report tells {figure.told}, recomputed {figure.found}")
    print(f"{len(found)} figures, {len(wrong)} of them wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
