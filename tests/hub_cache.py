"""A cache of the Hub in which small networks stand under the names of large ones: what reads it cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

COMMIT = "0" * 40


def put(cache: Path, name: str, write: Callable[[Path], None]) -> Path:
    """Let `write` put the files of repository `name` into its folder of the cache; returns the folder."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    write(snapshot)
    return snapshot
