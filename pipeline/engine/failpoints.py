"""Places where a process of a test dies on demand, so that a crash can be had between any two steps of a commit.

`SIER_FAILPOINT=<point>[:n]` kills the process by SIGKILL at its n-th (1 unless told) arrival at a point. It is for
tests of crashes (`make test-faults`); while it is not set, a point costs one look at the environment.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

from pipeline.errors import UserError

VARIABLE = "SIER_FAILPOINT"
POINTS = {
    "write": "a temporary file is half written",
    "fsync": "a temporary file is durable, but has not its name yet",
    "rename": "a file has its name, but its folder is not synced",
    "marker": "a shard's files are there, but not its marker",
    "link": "some shards are linked into the new output",
    "manifest": "all shards are linked, but the manifest is not written",
    "replace": "the old output has been moved away, and the new one is not in its place",
    "retire": "the new output is in its place, and the old one is still there",
    "finish": "the output is published, and work of other fingerprints is still there",
}

_hits: Counter[str] = Counter()


def hit(point: str, file: Path | None = None) -> None:
    """Arrive at `point`, one of `POINTS`; where the process is to die there, `file` loses its second half first.

    Raises:
        UserError: `SIER_FAILPOINT` names no point or no number.
    """
    setting = os.environ.get(VARIABLE)
    if not setting:
        return
    name, _, number = setting.partition(":")
    if name not in POINTS or not (number or "1").isdecimal():
        raise UserError(
            f"{VARIABLE} = {setting}: expected <point>[:n] with a point of {', '.join(POINTS)}; or unset it"
        )
    if name != point:
        return
    _hits[point] += 1
    if _hits[point] == int(number or "1"):
        if file is not None:
            os.truncate(file, file.stat().st_size // 2)
        os.write(2, f"{VARIABLE}: killed at {point}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)
