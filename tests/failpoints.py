"""Places where a process dies on demand, so that a crash can be had between any two steps of a commit.

`SIER_FAILPOINT=<point>[:n]` kills the process by SIGKILL at its n-th (1 unless told) arrival at a point, where
`tests/hooks` is in PYTHONPATH. The points are the engine's own steps; the product knows nothing of them.
"""

from __future__ import annotations

import os
import signal
import stat
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from pipeline.engine import files, shards, store, work

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
_replaced: list[Path] = []  # by a folder that has just got its name


def hit(point: str, file: Path | None = None) -> None:
    """Arrive at a point; where the process is to die there, `file` loses its second half first."""
    name, _, number = os.environ.get(VARIABLE, "").partition(":")
    if name != point:
        return
    _hits[point] += 1
    if _hits[point] == int(number or "1"):
        if file is not None:
            os.truncate(file, file.stat().st_size // 2)
        os.write(2, f"{VARIABLE}: killed at {point}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)


def install() -> None:
    """Put the points between the engine's steps."""
    if not os.environ.get(VARIABLE):
        return
    assert os.environ[VARIABLE].partition(":")[0] in POINTS
    _replace(os, "fsync", _fsync)
    _before(store, "write_bytes", "marker", lambda path, _: path.name.startswith("part-"))
    _before(files, "write_bytes", "manifest", lambda path, _: path.name == shards.MANIFEST)
    _before(work, "finish", "finish", lambda *_: True)
    _after(store, "fetch", "link", lambda source, *_: source.parent.name != "rejects")
    _before(Path, "rename", "replace", lambda folder, _: folder.suffix == ".new")
    _after(Path, "rename", "", _note_replaced)
    _after(files, "sync", "retire", _was_replaced)
    _after(Path, "replace", "rename", lambda path, _: path.suffix == ".tmp")


_real_fsync = os.fsync


def _fsync(descriptor: Any) -> None:
    """Of a file of the engine's there is a point before, where it is half written, and one after."""
    temporary = Path(f"/proc/self/fd/{descriptor}").readlink()
    ours = temporary.suffix == ".tmp" and stat.S_ISREG(os.fstat(descriptor).st_mode)
    if ours:
        hit("write", temporary)
    _real_fsync(descriptor)
    if ours:
        hit("fsync")


def _replace(owner: Any, name: str, function: Callable[..., Any]) -> None:
    setattr(owner, name, function)


def _note_replaced(folder: Path, _target: Path) -> bool:
    if folder.suffix == ".new":
        _replaced.append(folder)
    return False


def _was_replaced(_folder: Path) -> bool:
    return bool(_replaced) and _replaced.pop() is not None


def _before(owner: Any, name: str, point: str, applies: Callable[..., bool]) -> None:
    function = getattr(owner, name)

    @wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if applies(*arguments):
            hit(point)
        return function(*arguments, **named)

    _replace(owner, name, wrapped)


def _after(owner: Any, name: str, point: str, applies: Callable[..., bool]) -> None:
    function = getattr(owner, name)

    @wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        if applies(*arguments):
            hit(point)
        return result

    _replace(owner, name, wrapped)
