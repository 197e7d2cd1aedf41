"""Corpora that can be acquired: their formats, the check of each format, and the files that its reader reads."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path

from pipeline.corpora import b_t4sa, emotion_texts, fi, iemocap
from pipeline.corpora._files import files_below
from pipeline.corpora.further import _labelled, _tables, acted_speech, labelled_tables, meld, table
from pipeline.errors import UserError

# Of each corpus, the published format first: it has the corpus's name, and is the default.
FORMATS: Mapping[str, tuple[str, ...]] = {
    "b_t4sa": ("b_t4sa", "table"),
    "iemocap": ("iemocap", *acted_speech.FORMATS, "meld", "speech_table"),
    "fi": ("fi", "picture_folders", "picture_table"),
    "emotion_texts": ("emotion_texts",),
}
CHECKS: Mapping[str, Callable[[Path], None]] = {
    "b_t4sa": b_t4sa.check,
    "iemocap": iemocap.check,
    "fi": fi.check,
    "emotion_texts": emotion_texts.check,
    "table": table.check,
    "meld": meld.check,
    "picture_folders": labelled_tables.check_folders,
    **{name: partial(acted_speech.check, name) for name in acted_speech.FORMATS},
    **{name: partial(labelled_tables.check_table, name) for name in labelled_tables.COLUMNS},
}
# The hashes of these files make a change of the corpus visible.
FILES: Mapping[str, Callable[[Path], Iterable[Path]]] = {
    "b_t4sa": b_t4sa.files, "iemocap": iemocap.files, "fi": fi.files, "emotion_texts": emotion_texts.files,
    "table": table.files,
}  # fmt: skip
# Of the other formats: suffixes of the files that are read, None for all; at whatever depth they lie.
SUFFIXES: Mapping[str, tuple[str, ...] | None] = {
    "table": None,  # a table may name a picture by any name, and in any case
    "speech_table": None,
    "picture_table": None,
    "picture_folders": _labelled.PICTURES,
    "meld": (*meld.SUFFIXES, ".csv"),
    **dict.fromkeys(acted_speech.FORMATS, _labelled.RECORDINGS),
}
_READ_OF_ARCHIVES = {*_tables.SUFFIXES, *_labelled.PICTURES, *_labelled.RECORDINGS, *meld.SUFFIXES}


def files_read(name: str, root: Path) -> list[Path]:
    """The files below `root` that the reader of a format may read, sorted."""
    if name in FILES:
        return sorted({path for path in FILES[name](root) if path.is_file()})
    suffixes = SUFFIXES[name]
    wanted = files_below(root, lambda path: suffixes is None or path.suffix.lower() in suffixes)
    return sorted(path for path in wanted if path.is_file())


def expect_named(labels: Collection[str], classes: Collection[str], where: str) -> None:
    """UserError unless the map of classes at the parameter `where` names all labels of a corpus, and no other."""
    missing, unknown = sorted(set(labels) - set(classes)), sorted(set(classes) - set(labels))
    if missing or unknown:
        fault = f"does not name {missing[0]}" if missing else f"names {unknown[0]}, which the corpus does not have"
        raise UserError(f"{where} {fault}; its labels are {', '.join(labels)}")


def is_wanted_of_archive(name: str, member: str) -> bool:
    """Whether a member of an archive may be read, by one of the formats in `SUFFIXES`."""
    return Path(member).suffix.lower() in (SUFFIXES[name] or _READ_OF_ARCHIVES)
