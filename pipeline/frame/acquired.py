"""How an acquired corpus lies in `data/corpora/<corpus>`; see `pipeline.acquire`, which puts it there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
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
PAIRS = "pairs"  # the format of anybody's pairs of text and picture
CORPORA = ("b_t4sa", "iemocap", "fi")  # that a dataset derives from


@dataclass(frozen=True)
class Named:
    """What a corpus in some format is called, and its terms as far as they are known."""

    name: str
    terms: str = "of whose terms its maker knows"


OWN_RECORDINGS, OWN_PICTURES = Named("recordings of the maker's own"), Named("pictures of the maker's own")
NAMED: Mapping[str, Named] = {
    "b_t4sa": Named("B-T4SA", "research use on request, and the posts' authors' rights"),
    PAIRS: Named("texts and pictures of the maker's own"),
    "iemocap": Named("IEMOCAP", "licence form"),
    "ravdess": Named("RAVDESS", "CC BY-NC-SA 4.0"),
    "crema_d": Named("CREMA-D", "Open Database License"),
    "meld": Named("MELD", "GPL-3.0; its films belong to others"),
    "emodb": Named("EmoDB", "see its authors' page"),
    "speech_table": OWN_RECORDINGS,
    "fi": Named("FI", "research use"),
    "picture_table": OWN_PICTURES,
    "picture_folders": OWN_PICTURES,
}


def read_manifest(corpus_folder: Path) -> dict[str, Any]:
    """Origin (`SAMPLE` or `LOCAL_COPY`) and files of a corpus; UserError if it has not been acquired."""
    return read_json(corpus_folder / MANIFEST, f"dvc repro acquire@{corpus_folder.name}")


def read_format(corpus_folder: Path) -> str:
    """Which reader reads a corpus that has been acquired; its own name where it is in its published format."""
    return str(read_manifest(corpus_folder).get("format", corpus_folder.name))


def source_file(corpus_folder: Path) -> bytes:
    """Content of `SOURCE_FILE`."""
    return (json.dumps({"format": read_format(corpus_folder)}) + "\n").encode()


def is_of_pairs(clean: Path) -> bool:
    """Whether the rows of data/clean are anybody's pairs; where nothing says so they are not."""
    try:
        found = json.loads((clean / SOURCE_FILE).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("format") == PAIRS


def read_formats(corpora: Path) -> dict[str, str]:
    """`read_format` of each of `CORPORA` in a folder."""
    return {name: read_format(corpora / name) for name in CORPORA}
