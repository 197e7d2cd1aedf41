"""Corpora in the formats in which they are published, as tables."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.corpora import b_t4sa, emotion_texts, fi, iemocap
from pipeline.corpora._files import Reject
from pipeline.corpora.b_t4sa import SourceRows
from pipeline.corpora.checks import CHECKS
from pipeline.corpora.further import labelled, table
from pipeline.errors import UserError


@dataclass(frozen=True, eq=False)
class Corpus:
    """What a corpus lists: `len(rows) + len(rejects) == rows_in`."""

    rows: pd.DataFrame  # columns of the format; of recordings and pictures `path`, or where they lie in an archive
    rejects: pd.DataFrame  # id, status, reason
    rows_in: int


def read_corpus(form: str, path: str | os.PathLike[str]) -> Corpus:
    """All rows of the corpus at `path`; no picture and no recording is decoded.

    Args:
        form: as `acquire.<corpus>.format` of params.yaml names it: `b_t4sa`, `table`, `iemocap`, `ravdess` ...
        path: its folder; of `table` also the table itself.

    Raises:
        UserError: there is no such format, the corpus is not in it, or no row is usable.
    """
    if form not in CHECKS:
        raise UserError(f"format {form}: expected one of {', '.join(sorted(CHECKS))}")
    root = Path(path)
    CHECKS[form](root)
    rows, rejects, rows_in = _READERS[form](root) if form in _READERS else _labelled(form, root)
    return Corpus(rows, pd.DataFrame(rejects, columns=["id", "status", "reason"]), rows_in)


Read = tuple[pd.DataFrame, list[Reject], int]


def _b_t4sa(root: Path) -> Read:
    return _pairs(b_t4sa.read_rows(root, b_t4sa.index_images(b_t4sa.images(root))))


def _table(root: Path) -> Read:
    return _pairs(table.read_rows(root))


def _pairs(found: SourceRows) -> Read:
    rows: pd.DataFrame = found.rows.to_pandas()
    return rows, found.rejects, found.rows_in


def _iemocap(root: Path) -> Read:
    found = iemocap.read(root)
    return pd.DataFrame(found.utterances), found.rejects, found.rows_in


def _fi(root: Path) -> Read:
    found = fi.read(root)
    return pd.DataFrame(found.images), found.rejects, found.rows_in


def _emotion_texts(root: Path) -> Read:
    found = emotion_texts.read(root)
    return pd.DataFrame(found.texts), found.rejects, found.rows_in


def _labelled(form: str, root: Path) -> Read:
    found = labelled.READERS[form](root)
    return pd.DataFrame(found.files), found.rejects, found.rows_in


_READERS: Mapping[str, Callable[[Path], Read]] = {
    "b_t4sa": _b_t4sa, "table": _table, "iemocap": _iemocap, "fi": _fi, "emotion_texts": _emotion_texts,
}  # fmt: skip
