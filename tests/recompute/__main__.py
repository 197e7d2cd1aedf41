"""Every number of Tables 2 and 3, of validity, of the check for leaks and of the dataset's card, by other code.

    python -m tests.recompute [PROJECT]

It reads data/ and reports/ of a project that was built, imports nothing of it, and prints each figure that does not
come out again; exit code 1 if there is one. Figures that rest on random draws are drawn anew and may differ by as much
as draws do.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.recompute.built import Built, Figure
from tests.recompute.dataset import card, leaks
from tests.recompute.result_tables import comparisons, result_tables
from tests.recompute.validity import validity


def figures(root: Path) -> list[Figure]:
    """All of them."""
    built = Built(root)
    return [figure for part in (result_tables, comparisons, validity, leaks, card) for figure in part(built)]


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
