"""Which pictures of FI's original lists are to be downloaded: those that the reader would use.

In   `agg/<emotion>_*.csv`: `_, url, disagree, agree`
Out  (id, address) of every well-formed row whose majority agrees, an id once; the reader `fi` rejects the other rows
"""

from __future__ import annotations

from pathlib import Path

from pipeline.corpora import fi
from pipeline.corpora._files import reading


def needs_pictures(root: Path) -> bool:
    """Whether `root` has the lists but not the pictures."""
    with reading(root):
        return fi.has_lists(root) and not (root / fi.IMAGES).exists()


def addresses(root: Path) -> dict[str, str]:
    """Address by id, which is `<emotion>/<file name>`, in the order of the lists.

    Raises:
        UserError: a list cannot be read.
    """
    found: dict[str, str] = {}
    for emotion, path in fi.list_files(root):
        for _, row in fi.list_rows(path):
            votes = fi.votes_of(row)
            name = fi.base_name(row[1]) if votes else ""
            if votes and name and votes[0] < votes[1]:
                found.setdefault(f"{emotion}/{name}", row[1].strip())
    return found
