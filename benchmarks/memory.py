"""How much memory do stages take that hold media or vectors of many rows? Made-up corpora through the stages.

    python -m benchmarks.memory [--quick] [--json FILE] [--folder FOLDER] [--rows ROWS ...] [--stages STAGE ...]

Peak memory (of a stage and its workers together) and time of `clean`, of `train_teacher` for pictures, and of `report`,
each in a made-up project: a B-T4SA and an FI whose pictures, some 3 kB each, are decoded, hashed and encoded as any
others; and a finished dataset with its labels, predictions and explanations. FI has two pictures for each row, for the
class map leaves out every second one. Growth is that of the peak from the least to the largest number of rows.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import measure
from pipeline.engine.fingerprint import PROJECT

ROWS = (5_000, 50_000)
QUICK_ROWS = (60, 120)
# Stages, the projects that they run in, and what runs there before them.
STAGES = {
    "clean": ("corpora", "pipeline.acquire", "b_t4sa"),
    "train_teacher": ("corpora", "pipeline.acquire", "fi"),
    "report": ("dataset",),
}
ITEMS = {"train_teacher": ["image"]}
# At the largest number of rows. A picture's vector is 5 kB, and a fit holds it seven times, most of them in float64.
LIMITS_MIB = {"clean": 2048, "train_teacher": 4096, "report": 1024}


def measure_rows(rows: int, folder: Path, stages: Sequence[str]) -> dict[str, dict[str, float]]:
    """Peak and seconds of each stage."""
    found = {}
    for stage in stages:
        project, *before = STAGES[stage]
        root = folder / project
        if not root.exists():
            measure.run(measure.python("-m", "benchmarks.memory_steps", project, str(root), str(rows)), PROJECT)
        if before:
            measure.run(measure.python("-m", *before), root, PYTHONPATH=str(PROJECT))
        command = measure.python("-m", f"pipeline.{stage}", *ITEMS.get(stage, []))
        ended = measure.run(command, root, PYTHONPATH=str(PROJECT))
        found[stage] = {"peak_mib": ended.peak_mib, "seconds": ended.seconds, "cpu_seconds": ended.cpu_seconds}
        times = f"{ended.seconds:10.1f} s {ended.cpu_seconds:10.1f} s CPU"
        print(f"{rows:>8,}  {stage:<16}{times} {ended.peak_mib:8,.0f} MiB", flush=True)
    return found


def main() -> None:
    parser = measure.arguments("memory", __doc__, "60 and 120 rows: that it runs, not how it grows")
    parser.add_argument("--rows", type=int, nargs="+", help="other numbers of rows")
    parser.add_argument("--folder", type=Path, help="for what is made up, some 2 GB; by default a temporary one")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES), help="by default all")
    options = parser.parse_args()
    facts = measure.machine()
    figures: dict[int, dict[str, dict[str, float]]] = {}
    print(f"{'rows':>8}  stage")
    for rows in options.rows or (QUICK_ROWS if options.quick else ROWS):
        folder = Path(tempfile.mkdtemp(prefix="sier-memory-", dir=options.folder))
        try:
            figures[rows] = measure_rows(rows, folder, options.stages)
        finally:
            shutil.rmtree(folder)
    first, last = min(figures), max(figures)
    growth = {
        stage: (figures[last][stage]["peak_mib"] - figures[first][stage]["peak_mib"]) * 1024 / max(1, last - first)
        for stage in options.stages
    }
    for stage, kilobytes in growth.items() if not options.quick else ():
        print(f"growth of {stage:<16}{kilobytes:8.1f} kB a row")
    limits = [
        measure.Target(f"{stage}, MiB", figures[last][stage]["peak_mib"], limit, at_most=True)
        for stage, limit in LIMITS_MIB.items()
        if stage in options.stages
    ]
    measure.tell(limits)
    results = {"figures": figures, "kilobytes_a_row": growth} | measure.as_json(limits)
    measure.write_json("memory", facts, results, options.json)


if __name__ == "__main__":
    main()
