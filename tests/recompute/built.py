"""A project's data and reports as plain tables, and a figure told and found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

EXACT, DRAWN = 1e-5, 0.06  # reports are rounded to six digits


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


def cramers_v(one: Any, other: Any) -> float | None:
    """Of two classes of each row; None where one has a single class."""
    table = pd.crosstab(np.asarray(one), np.asarray(other)).to_numpy()
    if min(table.shape) < 2:
        return None
    return float(stats.contingency.association(table, method="cramer"))
