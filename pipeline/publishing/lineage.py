"""What a dataset was made with: the commit of the code, and digests of teachers, voice and parameters."""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.dataset.rows import read_rows
from pipeline.frame.params import PARAMS_FILE
from pipeline.publishing.cards import DATASET_SECTIONS, without_folders
from pipeline.publishing.history.versions import UNKNOWN

# What it is called: folder in data/, the stage that made it, and its column.
MADE_WITH = {
    "speech teacher": ("scores/speech", "score@speech", "teacher_digest"),
    "image teacher": ("scores/image", "score@image", "teacher_digest"),
    "voice": ("speech", "synthesize", "voice_digest"),
}
GIT_SECONDS = 60


def builder(root: Path) -> str:
    """The commit that is checked out, `-dirty` where a tracked file differs; `UNKNOWN` where git does not know."""
    # Not of a repository that the project merely lies in.
    commands = (["ls-files", "--error-unmatch", PARAMS_FILE],
                ["describe", "--always", "--dirty", "--abbrev=64", "--exclude=*"])  # fmt: skip
    told = UNKNOWN
    for command in commands:
        try:
            done = subprocess.run(
                ["git", *command], cwd=root, capture_output=True, text=True, timeout=GIT_SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return UNKNOWN
        told = done.stdout.strip()
    return told


def sources(params: Mapping[str, Any], data: Path) -> dict[str, str]:
    """Digests by name: of teachers, voice, and each section of parameters that a dataset depends on."""
    found = {}
    for name, (folder, stage, column) in MADE_WITH.items():
        digests = sorted(set(read_rows(data / folder, stage, [column])[column]))
        found[name] = digests[0] if len(digests) == 1 else _digest(digests)
    for section in DATASET_SECTIONS:
        if section in params:
            found[f"parameters of {section}"] = _digest(without_folders(params[section]))
    return found


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
