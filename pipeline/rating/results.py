"""Table 1 of the paper from ratings: how often people name the dataset's label, by condition and class.

Accuracy of a class: the share of right answers of each rater, averaged over raters, as in section 3.1.1. Overall: the
mean over classes, which is how the paper's last row follows from the rows above it, but for A_hs-i. Skips do not count.

Interval: Clopper-Pearson's, 95 %, with the row as the unit: answers of several people to one row are not independent.
The number of rows is Kish's effective one, 1 / sum(w^2) for the weights w of rows in the accuracy; where raters differ,
rows hold partly right answers, and the interval is wider than it need be. Raters count as fixed: it says nothing about
other people.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import krippendorff
import numpy as np
import pandas as pd
from scipy.stats import beta
from tabulate import tabulate

from pipeline.rating.conditions import CONDITIONS, OVERALL, Condition

LEVEL = 0.95
NOTHING = 1e-9  # of a row: rounding
NOTES = (
    f"In % [{LEVEL:.0%} interval]: how often people name the dataset's label; the mean over raters, overall the mean",
    "over labels. i: image, ss: synthetic speech, hs: human speech. The interval is over rows and takes the raters as",
    "they are. alpha: Krippendorff's, nominal, of rows that two or more judged: 1 is agreement, 0 chance.",
)


@dataclass(frozen=True)
class Cell:
    """An accuracy in [0, 1] with its interval."""

    accuracy: float
    low: float
    high: float
    ratings: int


@dataclass(frozen=True)
class Column:
    """What people did in one condition; a cell is None without an answer, that of `OVERALL` where a class has none."""

    condition: Condition
    cells: dict[str, Cell | None]
    ratings: int
    rows: int
    raters: int
    skipped: int
    alpha: float | None


def table(ratings: pd.DataFrame, labels: Sequence[str]) -> list[Column]:
    """A column for each condition, from ratings: rater, id, condition, label, answer (None: skipped)."""
    columns = []
    for condition in CONDITIONS:
        asked = ratings[ratings["condition"] == condition.name]
        answered = asked[asked["answer"].notna()]
        answered = answered.assign(right=answered["answer"] == answered["label"])
        weights = {label: _weights(answered[answered["label"] == label]) for label in labels}
        cells: dict[str, Cell | None] = {label: _cell(answered, weight) for label, weight in weights.items()}
        whole = pd.concat([weight / len(labels) for weight in weights.values()])
        cells[OVERALL] = _cell(answered, whole) if all(len(weight) for weight in weights.values()) else None
        columns.append(
            Column(condition, cells, len(answered), answered["id"].nunique(), answered["rater"].nunique(),
                   len(asked) - len(answered), alpha(answered, labels))
        )  # fmt: skip
    return columns


def alpha(answered: pd.DataFrame, labels: Sequence[str]) -> float | None:
    """Krippendorff's, nominal, of rows with two answers or more; None if there are none, or all answers are equal."""
    counts = pd.crosstab(answered["id"], answered["answer"]).reindex(columns=list(labels), fill_value=0)
    several = counts[counts.sum(axis=1) >= 2]
    if (several.sum() > 0).sum() < 2:
        return None
    values = several.to_numpy()
    return float(krippendorff.alpha(value_counts=values, value_domain=list(labels), level_of_measurement="nominal"))


def interval(accuracy: float, rows: float, level: float = LEVEL) -> tuple[float, float]:
    """Clopper and Pearson's for a share of `rows` rows, which need be no whole number."""
    right = accuracy * rows
    tail = (1 - level) / 2
    wrong = rows - right
    low = 0.0 if right < NOTHING else float(beta.ppf(tail, right, wrong + 1))
    high = 1.0 if wrong < NOTHING else float(beta.ppf(1 - tail, right + 1, wrong))
    return low, high


def _weights(answered: pd.DataFrame) -> "pd.Series[float]":
    """Of each answer in the mean over raters of their shares; the index is that of `answered`, the sum 1."""
    per_rater = answered.groupby("rater")["rater"].transform("size")
    return 1 / (per_rater.astype(np.float64) * max(1, answered["rater"].nunique()))


def _cell(answered: pd.DataFrame, weights: "pd.Series[float]") -> Cell | None:
    if not len(weights):
        return None
    chosen = answered.loc[weights.index]
    accuracy = min(1.0, float((weights * chosen["right"].astype(np.float64)).sum()))
    by_row = weights.groupby(chosen["id"]).sum().to_numpy()
    return Cell(accuracy, *interval(accuracy, 1 / float(np.square(by_row).sum())), len(chosen))


def render(columns: Sequence[Column], labels: Sequence[str]) -> str:
    """The table as text, the paper's figures below ours."""
    rows: list[list[object]] = [["", *(column.condition.symbol for column in columns)]]
    for name in [*labels, OVERALL]:
        rows.append([name, *(_shown(column.cells[name]) for column in columns)])
        rows.append(["  paper", *(_percent(column.condition.paper.get(name)) for column in columns)])
    counts = ("ratings", "rows", "raters", "skipped")
    rows += [[name, *(getattr(column, name) for column in columns)] for name in counts]
    rows.append(["alpha", *("-" if column.alpha is None else f"{column.alpha:.2f}" for column in columns)])
    text = tabulate(
        rows, tablefmt="plain", colglobalalign="right", colalign=["left"], disable_numparse=True,
        preserve_whitespace=True,
    )  # fmt: skip
    return "\n".join([text, "", *NOTES])


def _shown(cell: Cell | None) -> str:
    return "-" if cell is None else f"{_percent(cell.accuracy)} [{_percent(cell.low)}, {_percent(cell.high)}]"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
