"""Damage that disks and power cuts do to files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path], None]


def flip_bit(path: Path) -> None:
    """One bit in the middle, in the file itself: other names of it change too."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        middle = path.stat().st_size // 2
        file.seek(middle)
        byte = file.read(1)[0]
        file.seek(middle)
        file.write(bytes([byte ^ 1]))


def empty(path: Path) -> None:
    """As after a power cut where nobody had made the content durable."""
    path.chmod(0o644)
    path.write_bytes(b"")
