"""Shared by the tests of the sample maker: digests of a folder, and a place where everything is different."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SEED = 3


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def size_bytes(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


@contextmanager
def elsewhere(folder: Path) -> Iterator[Path]:
    """Another folder, working directory, time zone and, for spawned workers, another hash seed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("TZ", "Pacific/Auckland")
        patch.setenv("PYTHONHASHSEED", "12345")
        time.tzset()
        yield folder / "another" / "folder"
    time.tzset()
