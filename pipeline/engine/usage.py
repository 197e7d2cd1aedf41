"""How long stages took and how much memory, for people who plan a larger run.

Out  .work/usage/<stage>.json: seconds, and the resident bytes of its largest process; of the last run only

Only the report reads it, where it is asked to: no output of a stage depends on it.
"""

import contextlib
import json
import resource
from pathlib import Path

from pipeline.engine import files

FOLDER = "usage"


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
