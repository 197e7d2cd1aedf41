"""Which pictures of FI's original lists are to be downloaded: those that the reader would use.

In   `agg/<emotion>_*.csv`: `_, url, disagree, agree`
Out  (id, address) of every well-formed row whose majority agrees, an id once; the reader `fi` rejects the other rows
"""

from __future__ import annotations

import csv
from pathlib import Path

from pipeline.corpora import fi
from pipeline.corpora._files import bounded_lines, open_text, reading, visible_names

_COLUMNS = 4


def needs_pictures(root: Path) -> bool:
    """Whether `root` has the lists but not the pictures."""
    with reading(root):
        return (root / fi.LISTS).is_dir() and not (root / fi.IMAGES).exists()


def lists(root: Path) -> list[Path]:
    """The lists in `root`, sorted by name."""
    folder = root / fi.LISTS
    return [folder / name for name in visible_names(folder) if name.lower().endswith(".csv")]


def addresses(root: Path) -> dict[str, str]:
    """Address by id, which is `<emotion>/<file name>`, in the order of the lists.

    Raises:
        UserError: a list cannot be read.
    """
    found: dict[str, str] = {}
    for path in lists(root):
        emotion = path.stem.split("_")[0]
        with open_text(path) as file:
            rows = csv.reader(bounded_lines(file))
            while True:
                try:
                    row = next(rows)
                except StopIteration:
                    break
                except csv.Error:
                    continue
                name = fi.base_name(row[1]) if len(row) == _COLUMNS else ""
                if name and _majority_agrees(row):
                    found.setdefault(f"{emotion}/{name}", row[1].strip())
    return found


def _majority_agrees(row: list[str]) -> bool:
    votes = [vote.strip() for vote in row[2:]]
    # Longer numbers are no votes, and int() refuses those of thousands of digits.
    return all(vote.isascii() and vote.isdigit() and len(vote) < 10 for vote in votes) and int(votes[0]) < int(votes[1])
