"""reports/publish.json: what was published where; and the version that lies in a repository, held against it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from pipeline.engine import files as storage
from pipeline.errors import UserError
from pipeline.publishing.history.versions import LABELS, RECORD, Previous, Version, read_previous

if TYPE_CHECKING:
    from pipeline.publishing.hub import Found, Kind, Receipt

RECEIPT = "publish.json"


@dataclass(frozen=True)
class Published:
    """Where something lies on the Hub: the repository and the commit that the receipt names."""

    repo_id: str
    commit: str
    sha256: dict[str, str] = field(default_factory=dict)  # hex, of each file


def write(path: Path, receipt: Receipt, mode: str | None, version: Version | None) -> None:
    """One entry per kind of repository: a dataset's receipt stays when its network is published."""
    value = _read(path)
    value[receipt.kind] = {
        "repo_id": receipt.repo_id, "endpoint": receipt.endpoint, "commit": receipt.commit,
        "files": {name: {"bytes": size, "sha256": digest} for name, (size, digest) in receipt.files.items()},
        **({"mode": mode} if mode else {}),
        **({"version": TypeAdapter(Version).dump_python(version, mode="json")} if version else {}),
    }  # fmt: skip
    storage.write_bytes(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def published(path: Path, endpoint: str, kind: Kind = "dataset") -> Published | None:
    """Where the dataset, or a network, was published last, if that was on the Hub at `endpoint`."""
    told = _read(path).get(kind)
    if not isinstance(told, dict) or told.get("endpoint") != endpoint or not {"repo_id", "commit"} <= told.keys():
        return None
    sent = told.get("files")
    sums = {name: str(one.get("sha256")) for name, one in sent.items()} if isinstance(sent, dict) else {}
    return Published(str(told["repo_id"]), str(told["commit"]), sums)


def previous(found: Found, path: Path) -> Previous | None:
    """The version of the dataset that was found on the Hub; None where no version lies there.

    Raises:
        UserError: it cannot be read, or is not what the receipt at `path` says was sent in that very commit.
    """
    if RECORD not in found.contents:
        return None
    try:
        _expect_as_sent(found, _read(path).get("dataset"), path)
        return read_previous(found.contents[RECORD], found.contents.get(LABELS, b""))
    except UserError as error:
        raise UserError(f"{found.repo_id}: {error}; --replace begins anew with version 1.0.0") from None


def _expect_as_sent(found: Found, receipt: Any, path: Path) -> None:
    if not isinstance(receipt, dict) or (receipt.get("repo_id"), receipt.get("commit")) != (
        found.repo_id,
        found.commit,
    ):
        return
    sent = receipt.get("files")
    for name, content in found.contents.items():
        told = sent.get(name) if isinstance(sent, dict) else None
        if not isinstance(told, dict) or told.get("sha256") != hashlib.sha256(content).hexdigest():
            raise UserError(f"{name} there is not what {path} says was sent")


def _read(path: Path) -> dict[str, Any]:
    """What was published before, as far as it can be read."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        value = {}
    return value if isinstance(value, dict) else {}
