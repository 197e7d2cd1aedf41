"""Reader of MELD (Poria et al. 2019) as speech: utterances of a television series, with an emotion each.

In   `{train,dev,test}_sent_emo.csv` with Speaker, Emotion, Dialogue_ID, Utterance_ID, anywhere in up to three folders;
     recordings `dia<n>_utt<m>` in a folder of the split: `train_splits`, `dev_splits_complete`,
     `output_repeated_splits_test`, or any whose name has train, dev or test in it. As published they are mp4; wav or
     flac of the same name go before.
Out  `LabelledFiles`; statuses `bad_row`, `unknown_label`, `speaker_missing`, `file_missing`, `duplicate_id`

A speaker has one name in all three files, so that nobody who is held out has been heard.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.corpora._files import Reject, files_below, require_folder, shown
from pipeline.corpora.further import _labelled, _tables
from pipeline.corpora.further._labelled import RECORDINGS, LabelledFile, LabelledFiles
from pipeline.errors import RowError, UserError

EMOTIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
LISTS = {f"{split}_sent_emo.csv": split for split in ("train", "dev", "test")}
SUFFIXES = (*RECORDINGS, ".mp4")  # in the order in which they are preferred
EXPECTED = f"MELD: {', '.join(LISTS)} and folders of recordings such as train_splits/dia0_utt0.mp4"
KNOWN: Mapping[str, int] = {
    "anger": 1607, "disgust": 361, "fear": 358, "joy": 2308, "neutral": 6436, "sadness": 1002, "surprise": 1636,
}  # fmt: skip
_COLUMNS = {name: (name,) for name in ("Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")}
_NAME = re.compile(r"dia[0-9]+_utt[0-9]+", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


def check(root: Path) -> None:
    """Look for the lists and their columns, and for one recording; raises UserError if they are not there."""
    for path in _lists(root):
        _tables.choose(path, _COLUMNS)
    if not _recordings(root):
        raise UserError(f"{root}: expected {EXPECTED}; found no recording")


def read(root: Path) -> LabelledFiles:
    """All utterances that the lists name; raises UserError if none is usable."""
    recordings = _recordings(root)
    return _labelled.collect(root, [item for path in _lists(root) for item in _read(path, recordings)], EMOTIONS)


def _lists(root: Path) -> list[Path]:
    require_folder(root, EXPECTED)
    lists = list(files_below(root, lambda path: path.name in LISTS, depth=3))
    if not lists:
        raise UserError(f"{root}: expected {EXPECTED}; found none of the lists")
    return lists


def _recordings(root: Path) -> dict[tuple[str, str], Path]:
    """By split and name, in the form that is preferred."""
    found: dict[tuple[str, str], Path] = {}
    for path in files_below(root, lambda path: _NAME.fullmatch(path.stem) is not None):
        split = next((name for name in LISTS.values() if name in path.parent.name.lower()), None)
        if split is None or path.suffix.lower() not in SUFFIXES:
            continue
        there = found.setdefault((split, path.stem), path)
        if SUFFIXES.index(path.suffix.lower()) < SUFFIXES.index(there.suffix.lower()):
            found[split, path.stem] = path
    return found


def _read(path: Path, recordings: Mapping[tuple[str, str], Path]) -> Iterator[LabelledFile | Reject]:
    split = LISTS[path.name]
    for number, row in _tables.rows(path, list(_COLUMNS)):
        where = f"{path.name}:{number}"
        if not isinstance(row, dict):
            yield where, *row
            continue
        try:
            speaker, emotion, *numbers = (_tables.field(row, name, "row") for name in _COLUMNS)
        except RowError as error:
            yield where, error.status, error.reason
            continue
        name = f"dia{numbers[0]}_utt{numbers[1]}"
        if not all(_NUMBER.fullmatch(one) for one in numbers):
            yield where, "bad_row", f"expected numbers of dialogue and utterance, found {shown(name)}"
        elif emotion not in EMOTIONS:
            yield where, "unknown_label", f"{shown(emotion)}, known are {', '.join(EMOTIONS)}"
        elif not speaker:
            yield where, "speaker_missing", "no speaker"
        elif (split, name) not in recordings:
            yield f"{split}/{name}", "file_missing", f"no {name} in a folder whose name has {split} in it"
        else:
            yield LabelledFile(f"{split}/{name}", recordings[split, name], emotion, speaker=speaker)
