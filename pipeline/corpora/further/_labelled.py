"""What readers of further corpora of speech and of pictures return: files with a label each.

A row that cannot be used costs itself and is listed with its reason.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.corpora import _files
from pipeline.corpora._files import Reject, none_usable
from pipeline.errors import UserError

RECORDINGS = (".wav", ".flac")
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif")
LABELS_MAX = 200  # more are no labels
SESSIONS = 5  # into which speakers are dealt, one of which is held out in turn; IEMOCAP has as many


@dataclass(frozen=True)
class LabelledFile:
    """A recording or a picture; `id` is its path below the root, or its name where names are unique."""

    id: str
    path: Path
    label: str
    speaker: str = ""  # of a recording
    group: str = ""  # of pictures that must not be parted; empty: the picture is its own


@dataclass(frozen=True)
class LabelledFiles:
    """Sorted by id; `len(files) + len(rejects) == rows_in`. `labels`: all that the format has, or those found."""

    files: list[LabelledFile]
    rejects: list[Reject]
    rows_in: int
    labels: tuple[str, ...]


def collect(root: Path, items: Iterable[LabelledFile | Reject], labels: Sequence[str] = ()) -> LabelledFiles:
    """Rows of one file become one: their label is what more than half of them say.

    Statuses: `duplicate_id` (a later row of the same label), `outvoted` (a row of another label), `no_majority` (all
    rows). Raises UserError if nothing is usable, or there are so many labels that they can be none.
    """
    rejects: list[Reject] = []
    rows: defaultdict[str, list[LabelledFile]] = defaultdict(list)
    for item in items:
        if isinstance(item, LabelledFile):
            rows[item.id].append(item)
        else:
            rejects.append(item)
    files: list[LabelledFile] = []
    for identity, those in sorted(rows.items()):
        kept, more = _majority(identity, those)
        files += kept
        rejects += more
    rows_in = len(rejects) + len(files)
    if not files:
        raise none_usable(root, f"{rows_in} rows", rejects, "nothing is there")
    found = sorted({file.label for file in files})
    if len(found) > LABELS_MAX:
        raise UserError(f"{root}: {len(found):,} different labels, expected at most {LABELS_MAX}; are these labels?")
    return LabelledFiles(files, rejects, rows_in, tuple(labels or found))


def _majority(identity: str, rows: list[LabelledFile]) -> tuple[list[LabelledFile], list[Reject]]:
    (label, votes), *_ = Counter(row.label for row in rows).most_common(1)
    if 2 * votes <= len(rows):
        said = ", ".join(sorted({row.label for row in rows}))
        return [], [(identity, "no_majority", f"its {len(rows)} rows say {said}")] * len(rows)
    kept = next(row for row in rows if row.label == label)
    rejects = [
        (identity, "duplicate_id", "listed a second time")
        if row.label == label
        else (identity, "outvoted", f"{row.label}, {votes} of {len(rows)} rows say {label}")
        for row in rows
        if row is not kept
    ]
    return [kept], rejects


def sessions(files: Sequence[LabelledFile]) -> dict[str, str]:
    """The session of each speaker, `1` to `5`: the largest first, each to the session with the fewest files."""
    rows_of = Counter(file.speaker for file in files)
    sizes = [0] * min(SESSIONS, len(rows_of))
    session_of = {}
    for speaker, rows in sorted(rows_of.items(), key=lambda item: (-item[1], item[0])):
        smallest = sizes.index(min(sizes))
        sizes[smallest] += rows
        session_of[speaker] = str(smallest + 1)
    return session_of


def is_readable_name(path: Path) -> bool:
    """Whether a file's name can be an id."""
    return _files.is_utf8(path.name) and path.name.isprintable()
