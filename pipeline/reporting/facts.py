"""What made this run: parameters, versions, hashes.

In   sections of params.yaml, installed packages, manifests in data/
Out  tables of text; nothing of the machine or of the time, so that equal runs give equal pages
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from pipeline.engine import shards
from pipeline.frame import acquired
from pipeline.reporting.inputs import Reports

CORPORA = ("b_t4sa", "iemocap", "fi")
FOLDERS = {"clean": "clean", "speech": "synthesize", "scores/speech": "score@speech", "scores/image": "score@image",
           "labels": "label", "sier": "assemble"}  # fmt: skip
PACKAGES = (
    "torch", "torchvision", "transformers", "timm", "piper-tts", "faster-whisper", "scikit-learn", "scipy", "numpy",
    "pandas", "pyarrow", "pillow", "soundfile", "soxr", "datasets", "cleanlab", "matplotlib", "dvc",
)  # fmt: skip


def parameters(sections: Mapping[str, Any]) -> dict[str, str]:
    """Each section as YAML; of paths the last part, and addresses without log-ins, for pages are passed on."""
    return {
        name: yaml.safe_dump(_told(value), sort_keys=False, allow_unicode=True, width=100).rstrip()
        for name, value in sections.items()
    }


def _told(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _told(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_told(inner) for inner in value]
    if not isinstance(value, str):
        return value
    if "://" in value:
        parts = urlsplit(value)
        return urlunsplit((parts.scheme, parts.hostname or "", parts.path, "", ""))
    return f"…/{Path(value).name}" if value.startswith(("/", "~", "..")) else value


def versions() -> list[tuple[str, str]]:
    """Python and the packages that results depend on."""
    found = [("Python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append((name, "not installed"))
    return found


def corpora(data: Path) -> list[tuple[str, str, str, int, str]]:
    """(corpus, origin, file, bytes, sha256) of every file of every corpus.

    Raises:
        UserError: a corpus is missing.
    """
    found = []
    for name in CORPORA:
        manifest = acquired.read_manifest(data / "corpora" / name)
        files = manifest["files"]
        if len(files) > 12:  # a corpus of many files is told by the hash of the list of its hashes
            listed = "".join(f"{file['name']} {file['sha256']}\n" for file in files)
            total = sum(file["bytes"] for file in files)
            digest = hashlib.sha256(listed.encode()).hexdigest()
            found.append((name, manifest["origin"], f"{len(files):,} files", total, digest))
            continue
        found += [(name, manifest["origin"], file["name"], file["bytes"], file["sha256"]) for file in files]
    return found


def outputs(data: Path, reports: Reports) -> list[tuple[str, int | None, int | None, str]]:
    """(what, rows, bytes, sha256) of each finished folder, by its list of shards; and the teachers' digests.

    Raises:
        UserError: a folder is incomplete.
    """
    found: list[tuple[str, int | None, int | None, str]] = []
    for folder, stage in FOLDERS.items():
        markers = shards.read_manifest(data / folder, stage)
        rows, size = (sum(getattr(marker.part, name) for marker in markers) for name in ("rows", "bytes"))
        found.append((f"data/{folder}", rows, size, hashlib.sha256(shards.manifest(markers)).hexdigest()))
    for modality in ("speech", "image"):
        digest = reports.metrics[f"train_teacher_{modality}"]["digest"]
        found.append((f"the {modality} teacher", None, None, digest))
    return found
