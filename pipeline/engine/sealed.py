"""A folder of finished work, believed only as long as its bytes are those that were sealed.

A file that is there proves nothing: after a power cut weights may be empty beside a result that is whole, and disks
flip bits. So the seal, a file with the sha256 of all others, is written last and checked before anything is used.
"""

import json
from pathlib import Path

from pipeline.engine import files

SEAL = "seal.json"


def seal(folder: Path, *, without: str = "") -> None:
    """Make all files of `folder` durable and note their digests; `without` names a folder in it that does not count."""
    for path in _members(folder, without):
        files.sync(path)
    files.write_bytes(folder / SEAL, json.dumps(_digests(folder, without), indent=1).encode())


def is_whole(folder: Path, *, without: str = "") -> bool:
    """Whether `folder` holds the files of its seal, all of them and no other, byte for byte."""
    try:
        return bool(json.loads((folder / SEAL).read_bytes()) == _digests(folder, without))
    except (OSError, ValueError):
        return False


def _members(folder: Path, without: str) -> list[Path]:
    inside = [path for path in sorted(folder.rglob("*")) if path.relative_to(folder).parts[0] != without]
    return [path for path in inside if path.is_file() and path != folder / SEAL]


def _digests(folder: Path, without: str) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): files.sha256_of(path) for path in _members(folder, without)}
