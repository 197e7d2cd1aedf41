"""How an acquired corpus lies in `data/corpora/<corpus>`; see `pipeline.acquire`, which puts it there."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.frame.metrics_files import read_json

FILES = "files"  # the corpus itself, or a link to it
MANIFEST = "manifest.json"
TAR_INDEX = "tar_index.parquet"  # of b_t4sa
REJECTS = "rejects.parquet"  # of fi, where its pictures were downloaded
SAMPLE = "sample"
LOCAL_COPY = "local copy"
SOURCE_FILE = "source.json"  # in data/clean, of whose corpus it keeps the format for those who have no corpus
EMOSET, EMOSET_LISTS = "emoset", {"train.json", "val.json", "test.json"}  # what stands in for fi, by its files
TABLE = "table"  # the format of anybody's texts and pictures
CORPORA = ("b_t4sa", "iemocap", "fi")  # that a dataset derives from


# What a corpus in some format is called; terms are in `pipeline/dataset/terms.yaml`.
NAMED: Mapping[str, str] = {
    "b_t4sa": "B-T4SA",
    TABLE: "texts and pictures of the maker's own",
    "iemocap": "IEMOCAP",
    "ravdess": "RAVDESS",
    "crema_d": "CREMA-D",
    "ravdess_crema_d": "RAVDESS and CREMA-D",
    "meld": "MELD",
    "emodb": "EmoDB",
    "speech_table": "recordings of the maker's own",
    "fi": "FI",
    EMOSET: "EmoSet-118K",
    "picture_table": "pictures of the maker's own",
    "picture_folders": "pictures of the maker's own",
}


def read_manifest(corpus_folder: Path) -> dict[str, Any]:
    """Origin (`SAMPLE` or `LOCAL_COPY`) and files of a corpus; UserError if it has not been acquired."""
    return read_json(corpus_folder / MANIFEST, f"dvc repro acquire@{corpus_folder.name}")


def read_format(corpus_folder: Path) -> str:
    """Which reader reads a corpus that has been acquired; its own name where it is in its published format."""
    return str(read_manifest(corpus_folder).get("format", corpus_folder.name))


def known_as(corpus_folder: Path) -> str:
    """Whose corpus it is, a key of `NAMED`: its format, but EmoSet where that stands in for FI."""
    form = read_format(corpus_folder)
    names = {file.get("name") for file in read_manifest(corpus_folder).get("files", ())}
    return EMOSET if form == "fi" and names >= EMOSET_LISTS else form


def source_file(corpus_folder: Path) -> bytes:
    """Content of `SOURCE_FILE`."""
    return (json.dumps({"format": read_format(corpus_folder)}) + "\n").encode()


def is_of_table(clean: Path) -> bool:
    """Whether the rows of data/clean are those of anybody's table; where nothing says so they are not."""
    try:
        found = json.loads((clean / SOURCE_FILE).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("format") == TABLE
