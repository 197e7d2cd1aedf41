"""The further formats of corpora of speech and of pictures, by their names."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pipeline.corpora._published import compare_counts
from pipeline.corpora.further import acted_speech, labelled_tables, meld
from pipeline.corpora.further._labelled import LabelledFiles

READERS: Mapping[str, Callable[[Path], LabelledFiles]] = {
    **{name: partial(acted_speech.read, name) for name in acted_speech.FORMATS},
    **{name: partial(labelled_tables.read_table, name) for name in labelled_tables.COLUMNS},
    "meld": meld.read,
    "picture_folders": labelled_tables.read_folders,
}


def differences(form: str, corpus: LabelledFiles) -> list[str]:
    """How counts differ from those of the published corpus; none where the format is anybody's own."""
    counts = Counter(file.label for file in corpus.files)
    if form == "meld":
        return compare_counts("MELD", counts, meld.KNOWN, "files")
    namings = acted_speech.FORMATS.get(form, ())
    return [line for naming in namings for line in compare_counts(naming.corpus, counts, naming.known, "files")]
