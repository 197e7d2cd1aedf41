"""Damage that disks and power cuts do to files."""

import json
from collections.abc import Callable
from pathlib import Path

from pipeline.engine import files
from pipeline.frame import tables

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


def note_digests(network: Path) -> None:
    """Let a network's training.json tell of the other files as they are now, as `train` does when it ends."""
    path = network / tables.TRAINING_FILE
    others = sorted(other for other in network.rglob("*") if other.is_file() and other != path)
    digests = {other.relative_to(network).as_posix(): files.sha256_of(other) for other in others}
    told = {**json.loads(path.read_bytes()), "sha256": digests}
    path.write_text(json.dumps(told))
