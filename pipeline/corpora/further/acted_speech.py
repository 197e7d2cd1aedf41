"""Reader of corpora of acted speech whose file names say who speaks and how: RAVDESS, CREMA-D, EmoDB.

In   `*.wav` (or flac) at any depth of up to four folders
     RAVDESS (Livingstone & Russo 2018): `03-01-06-01-02-01-12.wav`: modality, channel (01 speech, 02 song), emotion,
         intensity, statement, repetition, actor
     CREMA-D (Cao et al. 2014): `1001_DFA_ANG_XX.wav`: actor, sentence, emotion, level
     EmoDB (Burkhardt et al. 2005): `03a01Fa.wav`: speaker, text, emotion (initial of its German name), version
Out  `LabelledFiles`; statuses `bad_file_name`, `unknown_label`, `not_speech`, `duplicate_id`
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.corpora._files import Reject, files_below, is_file, require_folder, shown
from pipeline.corpora.further import _labelled
from pipeline.corpora.further._labelled import RECORDINGS, LabelledFile, LabelledFiles
from pipeline.errors import UserError


@dataclass(frozen=True)
class Naming:
    """How a corpus names its files: groups `speaker`, `emotion` and perhaps `channel` of `pattern`."""

    corpus: str
    pattern: re.Pattern[str]
    example: str
    labels: Mapping[str, str]  # code -> label
    known: Mapping[str, int]  # files of each label in the published corpus


NAMINGS = {
    "ravdess": Naming(
        "RAVDESS",
        re.compile(r"0[123]-(?P<channel>[0-9]{2})-(?P<emotion>[0-9]{2})(-[0-9]{2}){3}-(?P<speaker>[0-9]{2})", re.ASCII),
        "03-01-06-01-02-01-12.wav",
        {"01": "neutral", "02": "calm", "03": "happy", "04": "sad", "05": "angry", "06": "fearful", "07": "disgust",
         "08": "surprised"},
        {"neutral": 96, **dict.fromkeys(("calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 192)},
    ),
    "crema_d": Naming(
        "CREMA-D",
        re.compile(r"(?P<speaker>[0-9]{4})_[A-Z]{3}_(?P<emotion>[A-Z]{3})_[A-Z]{1,2}", re.ASCII),  # one level is an X
        "1001_DFA_ANG_XX.wav",
        {code: code for code in ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")},
        {**dict.fromkeys(("ANG", "DIS", "FEA", "HAP", "SAD"), 1271), "NEU": 1087},
    ),
    "emodb": Naming(
        "EmoDB",
        re.compile(r"(?P<speaker>[0-9]{2})[a-z][0-9]{2}(?P<emotion>[A-Z])[a-z]", re.ASCII),
        "03a01Fa.wav",
        {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral"},
        {"anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "sadness": 62, "neutral": 79},
    ),
}  # fmt: skip
_SPEECH = "01"  # channel


def check(name: str, root: Path) -> None:
    """Raises UserError if no file of the corpus `name` is there, by its name."""
    naming = NAMINGS[name]
    for path in _files(naming, root):
        if naming.pattern.fullmatch(path.stem):
            return
    raise UserError(f"{root}: expected {_expected(naming)}, found none; check the path or acquire.iemocap.format")


def read(name: str, root: Path) -> LabelledFiles:
    """The recordings of the corpus `name`, one of `NAMINGS`; raises UserError if none is usable."""
    naming = NAMINGS[name]
    items = [_recording(naming, path) for path in _files(naming, root)]
    return _labelled.collect(root, items, sorted(naming.labels.values()))


def _expected(naming: Naming) -> str:
    return f"recordings of {naming.corpus} with names such as {naming.example}"


def _files(naming: Naming, root: Path) -> Iterator[Path]:
    require_folder(root, _expected(naming))
    return files_below(root, lambda path: path.suffix.lower() in RECORDINGS)


def _recording(naming: Naming, path: Path) -> LabelledFile | Reject:
    match = naming.pattern.fullmatch(path.stem)
    if match is None:
        return ascii(path.name)[1:-1], "bad_file_name", f"expected a name such as {naming.example}"
    if not is_file(path):
        return path.stem, "file_missing", "a link to nothing, or no plain file"
    if match.groupdict().get("channel", _SPEECH) != _SPEECH:
        return path.stem, "not_speech", "a song"
    label = naming.labels.get(match["emotion"])
    if label is None:
        return path.stem, "unknown_label", f"{shown(match['emotion'])}, known are {', '.join(naming.labels)}"
    return LabelledFile(path.stem, path, label, speaker=match["speaker"])
