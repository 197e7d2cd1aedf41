"""What `tests.hub_server` keeps: repositories with their commits, and faults that wait for a request."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_LFS_BYTES = 10_000  # larger files, and Parquet, are not kept in git


@dataclass(frozen=True)
class Fault:
    """What is wrong with one answer.

    Attributes:
        status: this one instead, with `text` and `headers`.
        break_after: the connection breaks after so many bytes of the request.
        lose_answer: the request is carried out, and the connection breaks.
    """

    status: int | None = None
    text: str = "no"
    headers: Mapping[str, str] = field(default_factory=dict)
    break_after: int | None = None
    lose_answer: bool = False


@dataclass
class Repo:
    """Commits, oldest first: bytes by path, and the name of each."""

    private: bool
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=lambda: [("0" * 40, {})])
    gated: str | bool = False

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[-1][1]

    def at(self, revision: str | None) -> tuple[str, dict[str, bytes]] | None:
        if revision in {None, "main"}:
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)


def in_lfs(path: str, size: int) -> bool:
    return size >= _LFS_BYTES or path.endswith((".parquet", ".safetensors"))


def git_oid(path: str, content: bytes) -> str:
    if in_lfs(path, len(content)):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def entry(path: str, content: bytes) -> dict[str, Any]:
    entry = {"type": "file", "path": path, "size": len(content), "oid": git_oid(path, content)}
    if in_lfs(path, len(content)):
        entry["lfs"] = {"oid": git_oid(path, content), "size": len(content), "pointerSize": 130}
    return entry
