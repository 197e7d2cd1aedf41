"""Reader of IEMOCAP (Busso et al. 2008): acted dialogues with an emotion per utterance.

In   `IEMOCAP_full_release/Session<n>/` with `dialog/EmoEvaluation/*.txt`, `dialog/transcriptions/*.txt` and
     `sentences/wav/<dialog>/<utterance>.wav` (16 kHz, 16-bit, mono)
Out  one `Utterance` per annotated turn, sorted by id; a reject for every other annotation line

The audio itself is not opened here. Emotions are the corpus's own codes; mapping them to classes is the teacher's.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.corpora import _published
from pipeline.corpora._files import (
    Reject,
    is_file,
    none_usable,
    read_lines,
    reading,
    require_folder,
    shown,
    visible_files,
    visible_names,
)  # fmt: skip
from pipeline.errors import UserError

RELEASE = "IEMOCAP_full_release"
EMOTIONS = ("ang", "dis", "exc", "fea", "fru", "hap", "neu", "oth", "sad", "sur", "xxx")

# Utterances per emotion in the full release. Readers have silently lost half the corpus before: see `compare_counts`.
KNOWN_COUNTS: Mapping[str, int] = {
    "ang": 1103, "dis": 2, "exc": 1041, "fea": 40, "fru": 1849, "hap": 595, "neu": 1708, "oth": 3, "sad": 1084,
    "sur": 107, "xxx": 2507,
}  # fmt: skip

SESSIONS = range(1, 6)
_DEPTH = 4  # folders that may be wrapped around the sessions
_SESSION = re.compile(r"session([1-9][0-9]?)", re.IGNORECASE | re.ASCII)
_LIKE_A_SESSION = re.compile(r"session[^a-z]*[0-9]", re.IGNORECASE)
# What cloud drives and file managers call a second file of one name: `a (1).txt`, `a 2.txt`, `a - Copy.txt`.
_COPY = re.compile(r"Copy of .*|.* (\([0-9]+\)|[0-9]|- Copy.*)\.txt", re.IGNORECASE)
_ANNOTATION = re.compile(
    r"\[\s*([0-9]+(?:\.[0-9]+)?)\s*-\s*([0-9]+(?:\.[0-9]+)?)\s*\]\s+(\S+)\s+(\S+)(?:\s.*)?", re.ASCII
)
_TURN = re.compile(r"(?P<dialog>Ses(?P<session>[0-9]{2})[FM]_\w+)_(?P<gender>[FM])\w*", re.ASCII)
_TRANSCRIPT = re.compile(r"(\S+)\s+\[[^\]]*\]\s*:\s?(.*)")


@dataclass(frozen=True)
class Utterance:
    """One annotated turn; the times are those within the dialogue."""

    id: str  # of the turn, such as Ses01F_impro01_F000
    path: Path  # of its wav file, 16 kHz mono
    session: int  # 1 to 5; evaluation leaves one session out
    speaker: str  # Ses01F or Ses01M: the woman or the man of session 1, whoever speaks in this turn
    emotion: str  # one of EMOTIONS
    start_seconds: float
    end_seconds: float
    transcript: str | None  # None where the corpus has no words


@dataclass(frozen=True)
class SpeechCorpus:
    """`rows_in` counts annotation lines: `len(utterances) + len(rejects) == rows_in`; rejects: id, status, reason."""

    utterances: list[Utterance]
    rejects: list[Reject]
    rows_in: int


def check(root: Path) -> None:
    """Look at the folders only; raises UserError if no session, or a part of one, is there."""
    for session in _sessions(root):
        _annotation_files(session)


def read(root: Path) -> SpeechCorpus:
    """All annotated utterances of the sessions in `root`, which holds `IEMOCAP_full_release`, is it, or is like it.

    Statuses: `bad_annotation_line` (its id is `<file>:<line number>`), `duplicate_id` (the first line counts; a
    numbered copy of a whole file is no row), `wav_missing`. Raises UserError if files are missing, an emotion is
    unknown, two annotations of a turn contradict each other, or no utterance is usable.
    """
    utterances: dict[str, Utterance] = {}
    rejects: list[Reject] = []
    for session in _sessions(root):
        transcripts = _read_transcripts(session)
        for file in _annotation_files(session):
            for item in _read_annotations(session, file, transcripts):
                if not isinstance(item, Utterance):
                    rejects.append(item)
                elif item.id in utterances:
                    if (former := utterances[item.id].emotion) != item.emotion:
                        what = f"{item.id} is {item.emotion} here and {former} elsewhere"
                        raise UserError(f"{file}: {what}; keep the published one of the two annotations")
                    if not _COPY.fullmatch(file.name):
                        rejects.append((item.id, "duplicate_id", f"annotated a second time in {file.name}"))
                else:
                    utterances[item.id] = item
    rows_in = len(utterances) + len(rejects)
    for row_id in sorted(utterances):
        path = utterances[row_id].path
        capital = path.with_suffix(".WAV")
        if not is_file(path) and is_file(capital):
            utterances[row_id] = replace(utterances[row_id], path=capital)
        elif not is_file(path):
            rejects.append((row_id, "wav_missing", f"no file {path.relative_to(path.parents[4]).as_posix()}"))
            del utterances[row_id]
    if not utterances:
        rows = f"{rows_in} annotated utterances"
        raise none_usable(root, rows, rejects, "no line starts with `[`", "check the corpus")
    return SpeechCorpus([utterances[row_id] for row_id in sorted(utterances)], rejects, rows_in)


def files(root: Path) -> Iterator[Path]:
    """Every file that `read` reads, and the utterances."""
    for session in _sessions(root):
        yield from _annotation_files(session)
        yield from _transcript_files(session)
        wavs = session / "sentences" / "wav"
        yield from (wavs / name for name in visible_files(wavs) if name.lower().endswith(".wav"))


def compare_counts(counts: Mapping[str, int]) -> list[str]:
    """One line per emotion whose count differs from the full release."""
    return _published.compare_counts("IEMOCAP", counts, KNOWN_COUNTS, "utterances")


def _sessions(root: Path) -> list[Path]:
    require_folder(root, f"IEMOCAP ({RELEASE} or its Session folders)")
    base = _base(root, _DEPTH)
    found: dict[int, Path] = {}
    for name in visible_names(base):
        match = _SESSION.fullmatch(name)
        number = int(match[1]) if match else 0
        if number in found or (not match and _LIKE_A_SESSION.match(name) and (base / name).is_dir()):
            raise UserError(
                f"{base}: expected one folder per session, Session1 to Session5; merge {shown(name)} into its own"
            )
        if match:
            found[number] = require_folder(base / name, "an IEMOCAP session")
    if not found:
        names = ", ".join(visible_names(base)[:3]) or "an empty folder"
        raise UserError(f"{base}: expected folders Session1 to Session5 of IEMOCAP, found {names}")
    return list(found.values())


def _base(here: Path, depth: int) -> Path:
    """The folder with the sessions, or where the trace of them ends."""
    names = visible_names(here)
    if any(map(_LIKE_A_SESSION.match, names)):
        return here
    with reading(here):
        folders = [name for name in names if name.lower().startswith("iemocap") and (here / name).is_dir()]
    releases = [name for name in folders if name.lower().startswith(RELEASE.lower())] or folders
    if len(releases) > 1:
        raise UserError(
            f"{here}: expected one {RELEASE}, found {' and '.join(releases)}; merge them, or name one in path"
        )
    return _base(here / releases[0], depth - 1) if releases and depth else here


def _annotation_files(session: Path) -> list[Path]:
    folder = require_folder(session / "dialog" / "EmoEvaluation", "the annotation files of a session")
    require_folder(session / "sentences" / "wav", "the utterances of a session")
    # Not its subfolders: Categorical, Attribute and Self-evaluation hold what single annotators said.
    names = [name for name in visible_names(folder) if name.lower().endswith(".txt")]
    if not names:
        raise UserError(f"{folder}: expected annotation files *.txt, found none; check the copy of {session.name}")
    return [folder / name for name in sorted(names, key=lambda name: (bool(_COPY.fullmatch(name)), name))]


def _read_annotations(session: Path, file: Path, transcripts: Mapping[str, str]) -> Iterator[Utterance | Reject]:
    number_of_session = int(session.name[len("Session") :])
    for number, line in enumerate(read_lines(file), 1):
        if not line.startswith("["):
            continue
        match = _ANNOTATION.fullmatch(line)
        turn = _TURN.fullmatch(match[3].strip()) if match else None
        if match is None or turn is None or int(turn["session"]) != number_of_session:
            expected = "[<start> - <end>], turn of this session, emotion"
            yield f"{file.name}:{number}", "bad_annotation_line", f"expected {expected}, found {shown(line)}"
            continue
        start_seconds, end_seconds = float(match[1]), float(match[2])
        if end_seconds <= start_seconds:
            yield f"{file.name}:{number}", "bad_annotation_line", f"ends at {match[2]} s but starts at {match[1]} s"
            continue
        emotion = match[4].strip()
        if emotion not in EMOTIONS:
            raise UserError(f"{file}:{number}: unknown emotion code {shown(emotion)}; known are {', '.join(EMOTIONS)}")
        yield Utterance(
            id=turn[0],
            path=session / "sentences" / "wav" / turn["dialog"] / f"{turn[0]}.wav",
            session=number_of_session,
            speaker=f"Ses{turn['session']}{turn['gender']}",
            emotion=emotion,
            start_seconds=start_seconds,
            end_seconds=end_seconds,
            transcript=transcripts.get(turn[0]),
        )


def _transcript_files(session: Path) -> list[Path]:
    folder = session / "dialog" / "transcriptions"
    with reading(folder):
        names = visible_names(folder) if folder.is_dir() else []
    return [folder / name for name in names if name.lower().endswith(".txt")]


def _read_transcripts(session: Path) -> dict[str, str]:
    transcripts: dict[str, str] = {}
    for path in _transcript_files(session):
        matches = (_TRANSCRIPT.fullmatch(line) for line in read_lines(path))
        transcripts.update((match[1], match[2].strip()) for match in matches if match)
    return transcripts
