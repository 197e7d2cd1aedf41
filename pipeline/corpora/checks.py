"""Corpora that can be acquired: the check of each, and the files that its reader reads."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pipeline.corpora import b_t4sa, emotion_texts, fi, iemocap

CHECKS = {"b_t4sa": b_t4sa.check, "iemocap": iemocap.check, "fi": fi.check, "emotion_texts": emotion_texts.check}
# The hashes of these files make a change of the corpus visible.
FILES: Mapping[str, Callable[[Path], Iterable[Path]]] = {
    "b_t4sa": b_t4sa.files, "iemocap": iemocap.files, "fi": fi.files, "emotion_texts": emotion_texts.files,
}  # fmt: skip
