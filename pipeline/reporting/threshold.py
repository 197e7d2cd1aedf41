"""What other thresholds would keep: counts from which the page's script tells it without the rows themselves.

In   data/labels; the sentiments of data/clean
Out  `Thresholds`: how many rows of each kind there are by the largest threshold of `grid` that keeps them; all rows are
     counted, however many there are, and the page grows with the kinds only
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.engine import shards
from pipeline.frame import tables
from pipeline.labels.association import cramers_v
from pipeline.labels.rules import AppliedRule

STEPS = 100  # of the thresholds from 0 to 1
NO_SENTIMENT = -1


@dataclass(frozen=True)
class Thresholds:
    """Rows that the rule without its threshold keeps, by kind."""

    grid: list[float]  # thresholds, increasing; with the one that was chosen
    chosen: int  # place of that one
    rows: int  # that both teachers scored
    sentiments: list[str]
    cells: list[tuple[int, int, int, int, int, int]]  # place in grid, label, by speech, agree, sentiment, rows

    def validity(self) -> dict[str, list[tuple[float, float]]]:
        """(threshold, Cramer's V of label and sentiment) of the kept rows; and what chance gives as many."""
        cells = np.array(self.cells, dtype=np.int64).reshape(-1, 6)
        cells = cells[cells[:, 4] != NO_SENTIMENT]
        lines: dict[str, list[tuple[float, float]]] = {"labels": [], "by chance": []}
        for place, at in enumerate(self.grid):
            kept = cells[cells[:, 0] >= place]
            table = np.zeros((cells[:, 1].max(initial=0) + 1, len(self.sentiments)))
            np.add.at(table, (kept[:, 1], kept[:, 4]), kept[:, 5])
            r, c = (int(np.count_nonzero(table.sum(axis=axis))) for axis in (1, 0))
            if min(r, c) > 1 and table.sum() > max(r, c):
                lines["labels"].append((at, float(cramers_v(table[np.newaxis])[0])))
                lines["by chance"].append((at, float(np.sqrt((max(r, c) - 1) / (table.sum() - 1)))))
        return {name: points for name, points in lines.items() if points}


def read(data: Path, labels: Sequence[str], rule: AppliedRule) -> Thresholds:
    """Raises UserError: a folder is missing or damaged."""
    names = ["id", "speech_label", "image_label", "decided_by", "source_label", "label", "confidence"]
    scored = shards.read_parts(data / "labels", shards.read_manifest(data / "labels", "label"), columns=names)
    rows: pd.DataFrame = scored.to_pandas()
    markers = shards.read_manifest(data / "clean", "clean")
    told = [shards.read_part(data / "clean", marker, columns=["id", "sentiment"]).to_pandas() for marker in markers]
    sentiment = rows["id"].map(pd.concat(told).set_index("id")["sentiment"])
    agree = rows["speech_label"] == rows["image_label"]
    eligible = ~rows["source_label"].isin(rule.neutral)
    if rule.rule in ("agreement", "disagreement"):
        eligible &= agree == (rule.rule == "agreement")
    grid = np.unique(np.array([*np.arange(STEPS + 1) / STEPS, rule.threshold]))
    known = [name for name in tables.SENTIMENTS if (sentiment == name).any()]
    kinds = pd.DataFrame(
        {
            # In float32, as the rule compares: a stored 0.7 reaches a threshold of 0.7.
            "place": np.searchsorted(grid.astype(np.float32), rows["confidence"].to_numpy(np.float32), "right") - 1,
            "label": rows["label"].map({name: number for number, name in enumerate(labels)}),
            "speech": (rows["decided_by"] == "speech").astype(int),
            "agree": agree.astype(int),
            "sentiment": sentiment.map({name: number for number, name in enumerate(known)}).fillna(NO_SENTIMENT),
        }
    )[eligible.to_numpy()].astype(int)
    counted = kinds.value_counts(sort=False).reset_index().to_numpy().tolist()
    return Thresholds(
        grid.tolist(), int(np.searchsorted(grid, rule.threshold)), len(rows), known, [tuple(row) for row in counted]
    )
