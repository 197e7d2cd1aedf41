"""What a `dvc repro` of the sample costs besides computing with models, and what a repro with nothing to do takes.

    python -m benchmarks.overhead [--quick] [--json FILE] [--folder FOLDER]

Runs in a copy of this checkout in a temporary folder, from nothing. In every process that starts there a thread looks
ten times a second at what the main thread is doing, and books the CPU seconds that the process has used since under it:
a model (onnxruntime, CTranslate2, torch modules, gradients and optimisers, scikit-learn's fit), the import of a
package, or the innermost function of this project. So waiting costs nothing; the share is one of CPU seconds.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks import measure
from tests.project import TINY, Project, new_project

MOST_SHARE = 0.25
NO_OP_SECONDS = 10.0
LISTED = 10
MODEL = "model: "


def booked(folder: Path) -> dict[str, float]:
    """CPU seconds by what they were spent on, of all processes, the largest first."""
    total: defaultdict[str, float] = defaultdict(float)
    for path in folder.glob("*.tsv"):
        for line in path.read_text(encoding="utf-8").splitlines():
            what, _, seconds = line.rpartition("\t")
            total[what] += float(seconds)
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def repro(project: Project, **environment: str) -> measure.Run:
    """One `dvc repro`."""
    variables = {name: value for name, value in project.variables(**environment).items() if name != "SIER_THREADS"}
    variables["SIER_WORKERS"] = variables["SIER_THREADS"] = str(measure.cores())
    return measure.run(measure.python("-m", "dvc", "repro"), project.root, **variables)


def main() -> None:
    parser = measure.arguments("overhead", __doc__, "the tests' tiny project: that it runs")
    parser.add_argument("--folder", type=Path, help="for the copy, some 1 GB; by default a temporary one")
    options = parser.parse_args()
    facts = measure.machine()
    folder = Path(tempfile.mkdtemp(prefix="sier-overhead-", dir=options.folder))
    try:
        project = new_project(folder / "project", TINY if options.quick else {})
        hook, found = folder / "hook", folder / "found"
        hook.mkdir()
        found.mkdir()
        shutil.copy(Path(__file__).with_name("sampling.py"), hook / "sitecustomize.py")
        first = repro(project, PYTHONPATH=str(hook), SIER_BENCH_FOUND=str(found))
        total = booked(found)
        nothing = [repro(project) for _ in range(3)]
    finally:
        shutil.rmtree(folder)

    models = sum(seconds for what, seconds in total.items() if what.startswith(MODEL))
    everything = sum(total.values())
    print(f"dvc repro: {first.seconds:.0f} s, {first.cpu_seconds:.0f} s CPU, of which {everything:.0f} s were seen")
    print(f"\n{'CPU s':>8}  {'share':>6}  models")
    for what, seconds in total.items():
        if what.startswith(MODEL):
            print(f"{seconds:8.1f}  {seconds / everything:6.1%}  {what.removeprefix(MODEL)}")
    print(f"\n{'CPU s':>8}  {'share':>6}  the largest other costs")
    others = [(what, seconds) for what, seconds in total.items() if not what.startswith(MODEL)]
    for what, seconds in others[:LISTED]:
        print(f"{seconds:8.1f}  {seconds / everything:6.1%}  {what}")
    idle = sorted(run.seconds for run in nothing)[1]
    checked = [
        measure.Target("share of other than models", 1 - models / everything, MOST_SHARE, at_most=True),
        measure.Target("dvc repro with nothing to do, s", idle, NO_OP_SECONDS, at_most=True),
    ]
    measure.tell(checked)
    results = {
        "seconds": first.seconds,
        "cpu_seconds": first.cpu_seconds,
        "cpu_seconds_by_cost": total,
    }
    measure.write_json("overhead", facts, results | measure.as_json(checked), options.json)


if __name__ == "__main__":
    main()
