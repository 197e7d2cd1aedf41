"""How long stages took and how much memory, for people who plan a larger run.

Out  .work/usage/<stage>.json: seconds, and the resident bytes of its largest process; of the last run only

Only the report reads it, where it is asked to: no output of a stage depends on it.
"""

import contextlib
import json
import resource
from collections.abc import Mapping
from pathlib import Path

from pipeline.engine import files

FOLDER = "usage"
PLAN_FILE = "plan/seconds.json"  # of `sier plan`, by stage


def record(work: Path, name: str, seconds: float) -> None:
    """Write down what this process and its finished children used. A disk that is full costs the record only."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    measured = {"seconds": round(seconds, 1), "peak_bytes": peak * 1024}
    with contextlib.suppress(OSError):
        files.write_bytes(work / FOLDER / f"{name}.json", json.dumps(measured).encode())


def read(work: Path) -> dict[str, tuple[float, int]]:
    """(seconds, bytes) by stage, in the order of names; records that are damaged are left out."""
    usage = {}
    for path in sorted((work / FOLDER).glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            measured = json.loads(path.read_bytes())
            usage[path.stem] = (float(measured["seconds"]), int(measured["peak_bytes"]))
    return usage


def write_plan(work: Path, seconds: Mapping[str, float]) -> None:
    """Keep what stages are expected to take, for those that were never run here."""
    files.write_bytes(work / PLAN_FILE, json.dumps(dict(seconds), indent=1).encode())


def expected(work: Path) -> dict[str, float]:
    """Seconds by stage: of its last run here, else of the last plan."""
    planned: dict[str, float] = {}
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        planned = {str(name): float(seconds) for name, seconds in json.loads((work / PLAN_FILE).read_bytes()).items()}
    return planned | {name: seconds for name, (seconds, _) in read(work).items()}
