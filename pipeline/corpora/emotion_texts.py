"""Reader of emotion texts: sentences with an emotion each, from which a teacher learns what words mean.

In   a folder, and its folders, with any of
     GoEmotions (Demszky et al. 2020): `*.tsv` of text, label numbers, comment id, and `emotions.txt`, which names them
     ISEAR (Scherer & Wallbott 1994): a csv separated by `|`; SIT the report, EMOT the emotion, ID the subject
     MELD (Poria et al. 2019): `*_sent_emo.csv` with Utterance, Emotion, Dialogue_ID
     any table (csv, tsv or parquet) with columns text, label and, if rows belong together, group
Out  `EmotionTexts`: usable rows in the order of the files, and a reject with status and reason for every other

Labels are those of the corpus; mapping them to classes is the teacher's. A comment of GoEmotions may have several
labels (8,817 of 54,263 have): it is used where its labels mean one class, if the classes are known, else not.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.corpora import _text_files
from pipeline.corpora._files import Reject, is_utf8, none_usable, reading, require_folder, shown, visible_names
from pipeline.corpora._published import compare_counts
from pipeline.corpora._text_files import SUFFIXES, Classes, Format, Row
from pipeline.corpora._text_parquet import TEXT_CHARACTERS_MAX
from pipeline.errors import UserError

LABELS_MAX = 200  # of a file: more are no labels
MANY = 0.5  # share of a file's rows that one reason may cost
# Rows of the published files.
KNOWN_ROWS: Mapping[str, int] = {"goemotions": 54_263, "isear": 7_666, "meld": 13_708}
# What Windows has in the places of control characters: MELD's apostrophes are U+0092.
_WINDOWS = {code: bytes([code]).decode("cp1252", "ignore") or chr(code) for code in range(0x80, 0xA0)}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class EmotionText:
    """A sentence, with single spaces, and its emotion."""

    id: str  # <file>:<number of its line, in a parquet of its row>
    text: str
    label: str  # of the corpus
    group: str  # rows of one subject or dialogue must not be parted; elsewhere the row's own id
    part: str  # goemotions, isear, meld, or the name of a table's file without suffix


@dataclass(frozen=True)
class EmotionTexts:
    """`len(texts) + len(rejects) == rows_in`, which is the sum of `rows_of`: rows per part."""

    texts: list[EmotionText]
    rejects: list[Reject]
    rows_of: Mapping[str, int]

    @property
    def rows_in(self) -> int:
        """Rows of all files."""
        return sum(self.rows_of.values())

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of the usable rows, sorted."""
        return tuple(sorted({text.label for text in self.texts}))


def check(root: Path) -> None:
    """Look at names and first lines; raises UserError if there is no file, or one that is of no known format."""
    _files_in(root)


def read(root: Path, classes: Classes | None = None) -> EmotionTexts:
    """All texts below `root`.

    `classes`: class of each label, None for those that are left out; of a comment with several labels that mean one
    class the first of them is its label. Learning from those too, words tell .845 of 3,422 held-out comments and not
    .836 (four classes, TF-IDF, 4,572 rows more than 13,901).
    Statuses: `bad_row`, `unknown_label` (a number that is not named), `several_labels`, `no_report` (ISEAR: the subject
    reports no event), `empty_text` (no word), `too_long`, `not_utf8`, `control_characters`, `empty_label`;
    `duplicate_text` (the first row stays) and `conflicting_labels` (none does), whatever case and punctuation.
    Raises UserError as `check` does, or if one reason costs more than half of a file, or no row is usable.
    """
    texts: list[EmotionText] = []
    rejects: list[Reject] = []
    rows_of: Counter[str] = Counter()
    rows_in: Counter[str] = Counter()  # by file
    for name, form in _files_in(root).items():
        part = PurePosixPath(name).with_suffix("").as_posix() if form == "table" else form
        # Numbers of MELD's dialogues begin anew in each file; a table's groups may span the files of a folder.
        within = name if form == "meld" else f"{PurePosixPath(name).parent}"
        for number, item in _text_files.rows(root / name, form, classes or {}):
            row_id = f"{name}:{number}"
            rows_in[name] += 1
            rows_of[part] += 1
            found = _usable(item) if isinstance(item, Row) else item
            if isinstance(found, Row):
                group = f"{within}:{found.group}" if found.group else row_id
                texts.append(EmotionText(row_id, found.text, found.label, group, part))
            else:
                rejects.append((row_id, *found))
        if not rows_in[name]:
            raise UserError(f"{root / name}: has no rows; give the file as published, or remove it")
    kept, repeated = _without_repetition(texts)
    rejects += repeated
    _expect_few(root, rejects, rows_in)
    _expect_labels(root, kept)
    if not kept:
        raise none_usable(root, f"{sum(rows_in.values())} texts", rejects, "the files are empty")
    return EmotionTexts(kept, rejects, dict(rows_of))


def files(root: Path) -> Iterator[Path]:
    """Every file that `read` reads."""
    for name, form in _files_in(root).items():
        yield root / name
        if form == "goemotions":
            yield _text_files.names_file((root / name).parent)


def compare_rows(rows_of: Mapping[str, int]) -> list[str]:
    """One line per published corpus that is there with another number of rows."""
    known = {part: number for part, number in KNOWN_ROWS.items() if part in rows_of}
    return compare_counts("emotion_texts", rows_of, known, "rows")


def _files_in(root: Path) -> dict[str, Format]:
    """Name below `root` and format of every file, sorted; `UserError` if there is none."""
    require_folder(root, "emotion texts: files of GoEmotions, ISEAR or MELD, or tables with columns text and label")
    names = []
    for name in visible_names(root):
        with reading(root / name):
            inner = visible_names(root / name) if (root / name).is_dir() else None
        names += [name] if inner is None else [f"{name}/{file}" for file in inner]
    found: dict[str, Format] = {}
    for name in sorted(names):
        path = root / name
        with reading(path):
            if path.suffix.lower() not in SUFFIXES or not path.is_file():
                continue
        if not is_utf8(name):
            raise UserError(f"{root}: the file name {name!a} is not UTF-8; rename it")
        found[name] = _text_files.recognise(path)
        if found[name] == "goemotions":
            _text_files.names_file(path.parent)
    if not found:
        raise UserError(f"{root}: no file with {', '.join(SUFFIXES)}, nor in its folders; {_text_files.EXPECTED}")
    return found


def _usable(row: Row) -> Row | tuple[str, str]:
    """The row with its text and label cleaned, or why it cannot be used."""
    if len(row.text) > TEXT_CHARACTERS_MAX:
        return "too_long", f"{len(row.text):,} characters, expected at most {TEXT_CHARACTERS_MAX:,}"
    text = " ".join(row.text.translate(_WINDOWS).split())
    label, group = row.label.strip(), row.group.strip()
    everything = f"{text}{label}{group}"
    if "\ufffd" in everything:
        return "not_utf8", f"bytes that are not UTF-8 in {shown(text)}"
    if _CONTROL.search(everything):
        return "control_characters", f"in {shown(text)}"
    if not _WORD.search(text):
        return "empty_text", f"no word in {shown(text)}"
    return Row(text, label, group) if label else ("empty_label", f"of {shown(text)}")


def _without_repetition(texts: list[EmotionText]) -> tuple[list[EmotionText], list[Reject]]:
    """Equal texts stand on both sides of a split, or contradict each other: one of them, or none."""
    same: defaultdict[str, list[EmotionText]] = defaultdict(list)
    for item in texts:
        same[" ".join(_WORD.findall(item.text.casefold()))].append(item)
    kept, rejects = [], []
    for items in same.values():
        first = items[0]
        if labels := sorted({item.label for item in items} - {first.label}):
            reason = f"the same words stand under {first.label} and {' and '.join(labels)}"
            rejects += [(item.id, "conflicting_labels", shown(reason)[1:-1]) for item in items]
        else:
            kept.append(first)
            rejects += [(item.id, "duplicate_text", f"the same words as {first.id}") for item in items[1:]]
    return kept, rejects


def _expect_few(root: Path, rejects: list[Reject], rows_in: Mapping[str, int]) -> None:
    """A few bad rows are left out; of a file that is mostly so something is wrong with all of it."""
    lost: defaultdict[tuple[str, str], list[Reject]] = defaultdict(list)
    for reject in rejects:
        lost[reject[0].rpartition(":")[0], reject[1]].append(reject)
    for (name, status), those in lost.items():
        if len(those) > MANY * rows_in[name]:
            share = f"{len(those):,} of {rows_in[name]:,} rows are rejected as {status}"
            raise UserError(f"{root / name}: {share}, the first: {': '.join(those[0][::2])}; mend or remove the file")


def _expect_labels(root: Path, texts: list[EmotionText]) -> None:
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for item in texts:
        labels[item.id.rpartition(":")[0]].add(item.label)
    for name, found in labels.items():
        if len(found) > LABELS_MAX:
            what = f"{len(found):,} different labels, expected at most {LABELS_MAX}"
            raise UserError(f"{root / name}: {what}; is the column label that of the emotions?")
