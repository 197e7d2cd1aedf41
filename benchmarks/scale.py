"""Does the cost grow linearly, to all of B-T4SA? Made-up rows through the real functions and stages.

    python -m benchmarks.scale [--quick] [--json FILE] [--folder FOLDER]

For three numbers of rows up to B-T4SA's 470,586: seconds, CPU seconds and peak memory of grouping (hashes, texts,
groups), `pipeline.label`, split and folds, leak check, `pipeline.assemble` and `pipeline.verify --media none`, each in
a process of its own. The media are some hundred bytes, so that the memory is that of rows. Growth is the last time over
the first, for ten times the rows at most 12, and the exponent of a line through all three. What compares every test row
with every row of train, in the leak check and in `assemble`, grows with the square, and has a limit of seconds instead.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import measure
from pipeline.engine.fingerprint import PROJECT

ROWS = (47_059, 148_812, 470_586)
QUICK_ROWS = (1_000, 3_162, 10_000)
MOST_GROWTH = 1.2  # of the time, over that of the rows
LIMITS = (
    ("label", "seconds", "s", 5),
    ("grouping", "seconds", "s", 600),
    ("grouping", "peak_mib", "MiB", 4096),
    ("leak_check", "seconds", "s", 600),
    ("leak_check", "peak_mib", "MiB", 2048),
    ("assemble", "seconds", "s", 1800),
    ("assemble", "peak_mib", "MiB", 1024),
)

FUNCTIONS = ("make", "grouping", "project", "split", "leak_check")
STAGES = {
    "label": ("pipeline.label",),
    "assemble": ("pipeline.assemble",),
    "verify": ("pipeline", "verify", "--media", "none"),
}
ORDER = ("make", "grouping", "project", "label", "split", "leak_check", "assemble", "verify")
NOT_MEASURED = ("make", "project")
QUADRATIC = ("leak_check", "assemble")


def measure_rows(rows: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Figures of each step, in the order in which they need each other."""
    found: dict[str, dict[str, Any]] = {}
    for step in ORDER:
        if step in FUNCTIONS:
            ended = measure.run(measure.python("-m", "benchmarks.scale_steps", step, str(folder), str(rows)), PROJECT)
            told: dict[str, Any] = json.loads(ended.output.splitlines()[-1])
        else:
            environment = {name: value for name, value in os.environ.items() if name.startswith("SIER_")}
            ended = measure.run(
                measure.python("-m", *STAGES[step]), folder / "project", PYTHONPATH=str(PROJECT), **environment
            )
            told = {"seconds": ended.seconds, "cpu_seconds": ended.cpu_seconds}
        if step in NOT_MEASURED:
            continue
        found[step] = {**told, "peak_mib": ended.peak_mib}
        print(
            f"{rows:>8,}  {step:<12}{told['seconds']:10.2f} s {told['cpu_seconds']:10.2f} s CPU "
            f"{ended.peak_mib:8,.0f} MiB",
            flush=True,
        )
    return found


def targets(figures: dict[int, dict[str, dict[str, Any]]]) -> list[measure.Target]:
    """Limits at the largest size, and the growth of each step to it."""
    sizes = sorted(figures)
    first, most = figures[sizes[0]], figures[sizes[-1]]
    found = [
        measure.Target(f"{step}, {unit}", most[step][kind], limit, at_most=True) for step, kind, unit, limit in LIMITS
    ]
    limit = MOST_GROWTH * sizes[-1] / sizes[0]
    for step in [name for name in most if name not in QUADRATIC]:
        slope = measure.exponent(sizes, [figures[rows][step]["seconds"] for rows in sizes])
        grown = most[step]["seconds"] / first[step]["seconds"]
        what = f"growth of {step} (exponent {slope:.2f})"
        found.append(measure.Target(what, grown, limit, at_most=True))
    return found


def main() -> None:
    parser = measure.arguments("scale", __doc__, "1,000 to 10,000 rows: that it runs, not how it grows")
    parser.add_argument("--rows", type=int, nargs="+", help="other numbers of rows")
    parser.add_argument("--folder", type=Path, help="for the made-up rows, some 1 GB; by default a temporary one")
    options = parser.parse_args()
    facts = measure.machine()
    figures: dict[int, dict[str, dict[str, Any]]] = {}
    print(f"{'rows':>8}  step", file=sys.stdout)
    for rows in options.rows or (QUICK_ROWS if options.quick else ROWS):
        folder = Path(tempfile.mkdtemp(prefix="sier-scale-", dir=options.folder))
        try:
            figures[rows] = measure_rows(rows, folder)
        finally:
            shutil.rmtree(folder)
    checked = targets(figures)
    measure.tell(checked)
    measure.write_json("scale", facts, {"figures": figures} | measure.as_json(checked), options.json)


if __name__ == "__main__":
    main()
