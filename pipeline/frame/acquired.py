"""How an acquired corpus lies in `data/corpora/<corpus>`; see `pipeline.acquire`, which puts it there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

FILES = "files"  # the corpus itself, or a link to it
MANIFEST = "manifest.json"
TAR_INDEX = "tar_index.parquet"  # of b_t4sa
REJECTS = "rejects.parquet"  # of fi, where its pictures were downloaded
SAMPLE = "sample"
LOCAL_COPY = "local copy"


def read_manifest(corpus_folder: Path) -> dict[str, Any]:
    """Origin (`SAMPLE` or `LOCAL_COPY`) and files of an acquired corpus.

    Raises:
        UserError: the corpus has not been acquired.
    """
    path = corpus_folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        raise UserError(f"{path}: missing or damaged; run: dvc repro acquire@{corpus_folder.name}") from None
    return manifest
