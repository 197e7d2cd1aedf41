"""How an acquired corpus lies in `data/corpora/<corpus>`; see `pipeline.acquire`, which puts it there."""

from pathlib import Path
from typing import Any

from pipeline.frame.metrics_files import read_json

FILES = "files"  # the corpus itself, or a link to it
MANIFEST = "manifest.json"
TAR_INDEX = "tar_index.parquet"  # of b_t4sa
REJECTS = "rejects.parquet"  # of fi, where its pictures were downloaded
SAMPLE = "sample"
LOCAL_COPY = "local copy"


def read_manifest(corpus_folder: Path) -> dict[str, Any]:
    """Origin (`SAMPLE` or `LOCAL_COPY`) and files of a corpus; UserError if it has not been acquired."""
    return read_json(corpus_folder / MANIFEST, f"dvc repro acquire@{corpus_folder.name}")


def read_format(corpus_folder: Path) -> str:
    """Which reader reads a corpus that has been acquired; its own name where it is in its published format."""
    return str(read_manifest(corpus_folder).get("format", corpus_folder.name))
