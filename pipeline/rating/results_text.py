"""Table 1 as text: a column for each condition, the paper's figures below ours."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from pipeline.rating.conditions import OVERALL
from pipeline.rating.results import LEVEL, Cell, Column

NOTES = (
    f"In % [{LEVEL:.0%} interval]: how often people name the dataset's label; the mean over raters, overall the mean",
    "over labels. i: image, ss: synthetic speech, hs: human speech. The interval is over rows and takes the raters as",
    "they are. alpha: Krippendorff's, nominal, of rows that two or more judged: 1 is agreement, 0 chance.",
)


def render(columns: Sequence[Column], labels: Sequence[str]) -> str:
    """Lines of text."""
    rows = [["", *(column.condition.symbol for column in columns)]]
    for name in [*labels, OVERALL]:
        rows.append([name, *(_cell(column.cells[name]) for column in columns)])
        rows.append(["  paper", *(_share(column.condition.paper.get(name)) for column in columns)])
    rows += [
        ["ratings", *(str(column.ratings) for column in columns)],
        ["rows", *(str(column.rows) for column in columns)],
        ["raters", *(str(column.raters) for column in columns)],
        ["skipped", *(str(column.skipped) for column in columns)],
        ["alpha", *("-" if column.alpha is None else f"{column.alpha:.2f}" for column in columns)],
    ]
    table = tabulate(
        rows,
        tablefmt="plain",
        colglobalalign="right",
        colalign=["left"],
        disable_numparse=True,
        preserve_whitespace=True,
    )
    return "\n".join([table, "", *NOTES])


def _cell(cell: Cell | None) -> str:
    return "-" if cell is None else f"{100 * cell.accuracy:.1f} [{100 * cell.low:.1f}, {100 * cell.high:.1f}]"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
