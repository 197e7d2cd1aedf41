"""What made this run: parameters, versions, hashes.

In   sections of params.yaml, installed packages, manifests in data/
Out  tables of text; nothing of the machine or of the time, so that equal runs give equal pages
"""

import hashlib
import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from pipeline.engine import shards
from pipeline.frame import acquired
from pipeline.reporting import left_out
from pipeline.reporting.stage_reports import Reports

FOLDERS = {**left_out.FOLDERS, "label": "labels", "assemble": "sier"}  # by stage
PACKAGES = (
    "torch", "torchvision", "transformers", "timm", "hibari-tts", "piper-tts", "faster-whisper", "scikit-learn",
    "scipy", "numpy", "pandas", "pyarrow", "pillow", "soundfile", "soxr", "datasets", "cleanlab", "matplotlib", "dvc",
)  # fmt: skip
MOST_FILES = 12  # of a corpus that are listed; more are described by the hash of the list of their hashes


def parameters(sections: Mapping[str, Any]) -> dict[str, str]:
    """Each section as YAML; of paths the last part, and addresses without log-ins, for pages are passed on."""
    return {
        name: yaml.safe_dump(_public(value), sort_keys=False, allow_unicode=True, width=100).rstrip()
        for name, value in sections.items()
    }


def _public(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _public(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_public(inner) for inner in value]
    if not isinstance(value, str):
        return value
    if "://" in value:
        parts = urlsplit(value)
        return urlunsplit((parts.scheme, parts.hostname or "", parts.path, "", ""))
    return f"…/{Path(value).name}" if value.startswith(("/", "~", "..")) else value


def versions() -> Iterator[tuple[str, str]]:
    """Python and the packages that results depend on."""
    yield "Python", platform.python_version()
    for name in PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "not installed"


def corpus_files(data: Path) -> Iterator[tuple[str, str, str, int, str]]:
    """(corpus, origin, file, bytes, sha256) of every file of every corpus. Raises UserError: a corpus is missing."""
    for name in acquired.CORPORA:
        manifest = acquired.read_manifest(data / "corpora" / name)
        form = manifest.get("format", name)
        origin = manifest["origin"] if form == name else f"{manifest['origin']}, {form}"
        files = manifest["files"]
        if len(files) > MOST_FILES:
            listed = "".join(f"{file['name']} {file['sha256']}\n" for file in files)
            digest = hashlib.sha256(listed.encode()).hexdigest()
            yield name, origin, f"{len(files):,} files", sum(file["bytes"] for file in files), digest
        else:
            for file in files:
                yield name, origin, file["name"], file["bytes"], file["sha256"]


def outputs(data: Path, reports: Reports) -> Iterator[tuple[str, int | None, int | None, str]]:
    """(what, rows, bytes, sha256) of each finished folder, by its list of shards; and the teachers' digests.

    Raises UserError: a folder is incomplete.
    """
    for stage, folder in FOLDERS.items():
        markers = shards.read_manifest(data / folder, stage)
        rows, size = (sum(getattr(marker.part, name) for marker in markers) for name in ("rows", "bytes"))
        yield f"data/{folder}", rows, size, hashlib.sha256(shards.manifest(markers)).hexdigest()
    for modality in ("speech", "image"):
        yield f"the {modality} teacher", None, None, reports.metrics[f"train_teacher_{modality}"]["digest"]
