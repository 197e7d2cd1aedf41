"""Reader of corpora of acted speech whose file names say who speaks and how: RAVDESS, CREMA-D, EmoDB.

In   `*.wav` (or flac) at any depth of up to four folders
     RAVDESS (Livingstone & Russo 2018): `03-01-06-01-02-01-12.wav`: modality, channel (01 speech, 02 song), emotion,
         intensity, statement, repetition, actor
     CREMA-D (Cao et al. 2014): `1001_DFA_ANG_XX.wav`: actor, sentence, emotion, level
     EmoDB (Burkhardt et al. 2005): `03a01Fa.wav`: speaker, text, emotion (initial of its German name), version
     RAVDESS and CREMA-D, both in one folder: their names, speakers and labels differ
Out  `LabelledFiles`; statuses `bad_file_name`, `unknown_label`, `not_speech`, `duplicate_id`
"""

import re
from collections.abc import Iterator, Mapping, Sequence
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
# By format; the names, speakers and labels of those that lie together must differ.
FORMATS: Mapping[str, tuple[Naming, ...]] = {
    **{name: (naming,) for name, naming in NAMINGS.items()},
    "ravdess_crema_d": (NAMINGS["ravdess"], NAMINGS["crema_d"]),
}
_SPEECH = "01"  # channel


def check(form: str, root: Path) -> None:
    """Raises UserError if of a corpus of the format `form` no file is there, by its name."""
    missing = list(FORMATS[form])
    for path in _files(form, root):
        missing = [naming for naming in missing if not naming.pattern.fullmatch(path.stem)]
        if not missing:
            return
    raise UserError(f"{root}: expected {_expected(missing)}, found none; check the path or acquire.iemocap.format")


def read(form: str, root: Path) -> LabelledFiles:
    """The recordings of the format `form`, one of `FORMATS`; raises UserError if none is usable."""
    namings = FORMATS[form]
    items = [_recording(namings, path) for path in _files(form, root)]
    return _labelled.collect(root, items, sorted(label for naming in namings for label in naming.labels.values()))


def _expected(namings: Sequence[Naming]) -> str:
    return " and ".join(f"recordings of {naming.corpus} with names such as {naming.example}" for naming in namings)


def _files(form: str, root: Path) -> Iterator[Path]:
    require_folder(root, _expected(FORMATS[form]))
    return files_below(root, lambda path: path.suffix.lower() in RECORDINGS)


def _recording(namings: Sequence[Naming], path: Path) -> LabelledFile | Reject:
    matches = ((naming, naming.pattern.fullmatch(path.stem)) for naming in namings)
    naming, match = next(((naming, match) for naming, match in matches if match), (namings[0], None))
    if match is None:
        examples = " or ".join(naming.example for naming in namings)
        return ascii(path.name)[1:-1], "bad_file_name", f"expected a name such as {examples}"
    if not is_file(path):
        return path.stem, "file_missing", "a link to nothing, or no plain file"
    if match.groupdict().get("channel", _SPEECH) != _SPEECH:
        return path.stem, "not_speech", "a song"
    label = naming.labels.get(match["emotion"])
    if label is None:
        return path.stem, "unknown_label", f"{shown(match['emotion'])}, known are {', '.join(naming.labels)}"
    return LabelledFile(path.stem, path, label, speaker=match["speaker"])
