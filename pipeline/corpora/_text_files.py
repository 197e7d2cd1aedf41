"""Rows of the files that hold emotion texts: GoEmotions, ISEAR, MELD, or a table of text and label.

In   a csv, tsv or parquet file, known by its header (GoEmotions, which has none, by its first line)
Out  `Row`s, or the status and reason of a line that is none, each with its number in the file: of lines from 1, in a
     parquet of rows from 1

A line costs itself only: a quote that is not closed within `_ROW_LINES_MAX` lines does not take the next rows along.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.corpora import _files, _text_parquet
from pipeline.corpora._files import bounded_lines, open_text, read_lines, shown
from pipeline.errors import UserError

Format = Literal["goemotions", "isear", "meld", "table"]

SUFFIXES = (".csv", ".tsv", ".parquet")
NAMES = ("emotions.txt", "labels.txt")  # of GoEmotions' labels, one a line; the first is theirs, the second a mirror's
_FIELD_CHARACTERS_MAX = 200  # of a label or a group
_ROW_LINES_MAX = 20
_NAMES_MAX = 1_000
# Columns of text, label and group; in a table the group may be missing.
COLUMNS: dict[Format, tuple[str, str, str]] = {
    "isear": ("SIT", "EMOT", "ID"),
    "meld": ("Utterance", "Emotion", "Dialogue_ID"),
    "table": ("text", "label", "group"),
}
EXPECTED = (
    "expected the columns text and label (and group), or those of MELD (Utterance, Emotion, Dialogue_ID) or ISEAR "
    "(SIT, EMOT, ID, separated by |), or GoEmotions' text, label numbers and comment id, separated by tabs"
)
_GOEMOTIONS = re.compile(r"[^\t]*\t[0-9]+(,[0-9]+)*\t[^\t]*")
ISEAR_LABELS = {"1": "joy", "2": "fear", "3": "anger", "4": "sadness", "5": "disgust", "6": "shame", "7": "guilt"}
_ISEAR_AFTER_TEXT = 2  # STATE, and the empty field behind the last separator
_ISEAR_LINE_BREAK = re.compile(r"á\|?|[|\\\"]")


@dataclass(frozen=True, slots=True)
class Row:
    """Fields as published; `group` is empty where each row is its own."""

    text: str
    label: str
    group: str


Classes = Mapping[str, str | None]  # label -> class of a teacher, None where it is left out
Numbered = tuple[int, Row | tuple[str, str]]  # a row, or status and reason


def recognise(path: Path) -> Format:
    """How a file is to be read; `UserError` if it has neither of the known headers."""
    _files.require_small(path, _text_parquet.FILE_BYTES_MAX)
    if path.suffix.lower() == ".parquet":
        names = _text_parquet.open_file(path).schema_arrow.names
        return _known(path, names, shown(", ".join(names)))
    with open_text(path) as file:
        line = next(bounded_lines(file), "").rstrip("\r\n")
    if _GOEMOTIONS.fullmatch(line):
        return "goemotions"
    return "isear" if set(COLUMNS["isear"]) <= set(line.split("|")) else _known(path, _header(path, line), shown(line))


def _known(path: Path, names: list[str], found: str) -> Format:
    if set(COLUMNS["meld"]) <= set(names):
        return "meld"
    if {"text", "label"} <= set(names):
        return "table"
    raise UserError(f"{path}: {EXPECTED}; found {found}; name the columns so, or move the file away")


def _header(path: Path, line: str) -> list[str]:
    try:
        names = next(csv.reader([line], delimiter=_delimiter(path)), [])
    except csv.Error:
        return []
    if double := next((name for name in ("text", "label", "group") if names.count(name) > 1), None):
        raise UserError(f"{path}: two columns are called {double}; expected one")
    return names


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def rows(path: Path, form: Format, classes: Classes) -> Iterator[Numbered]:
    """Every row of a file that `recognise` says is of this form; blank lines are none. `classes`: see `read`."""
    if form == "goemotions":
        found = _goemotions(path, classes)
    elif path.suffix.lower() == ".parquet":
        found = _parquet(path, form)
    else:
        found = _isear(path) if form == "isear" else _table(path, form)
    for number, item in found:
        if isinstance(item, Row) and max(len(item.label), len(item.group)) > _FIELD_CHARACTERS_MAX:
            yield number, ("bad_row", f"a label or group of more than {_FIELD_CHARACTERS_MAX} characters")
        else:
            yield number, item


def names_file(folder: Path) -> Path:
    """The file that names GoEmotions' labels; `UserError` if there is none in `folder`."""
    for name in NAMES:
        if _files.is_file(folder / name):
            return folder / name
    raise UserError(f"{folder}: GoEmotions' {' or '.join(NAMES)}, which names the labels, is missing; put it there")


def _label_names(folder: Path) -> list[str]:
    path = names_file(folder)
    names = [name.strip() for name in read_lines(path)]
    if not names or len(names) > _NAMES_MAX or not all(names) or len(set(names)) < len(names):
        raise UserError(f"{path}: expected one name of a label per line, each another; give the file as published")
    return names


def _goemotions(path: Path, classes: Classes) -> Iterator[Numbered]:
    names = _label_names(path.parent)
    with open_text(path) as file:
        for number, line in enumerate((line.rstrip("\r\n") for line in bounded_lines(file)), 1):
            if not line.strip():
                continue
            fields = _split(line, "\t") or line.split("\t")  # releases with and without quotes are about
            ids = fields[1].split(",") if len(fields) == 3 else []
            if not ids or not all(one.isascii() and one.isdigit() and len(one) < 10 for one in ids):
                yield number, ("bad_row", f"expected text, label numbers, id; found {shown(line)}")
            elif max(map(int, ids)) >= len(names):
                yield number, ("unknown_label", f"label {fields[1]}, but {len(names)} are named, from 0")
            else:
                labels = [names[int(one)] for one in ids]
                mapped = [label for label in labels if classes.get(label) is not None]
                if len(set(labels)) > 1 and len({classes[label] for label in mapped}) != 1:
                    yield number, ("several_labels", " and ".join(labels))
                else:
                    yield number, Row(fields[0], (mapped or labels)[0], "")


def _isear(path: Path) -> Iterator[Numbered]:
    """Lines of a report were joined by `á`, some by `á|`, which makes fields more; quotes have backslashes."""
    with open_text(path) as file:
        lines = enumerate(bounded_lines(file), 1)
        header = next(lines)[1].rstrip("\r\n").split("|")
        text, label, group = (header.index(name) for name in COLUMNS["isear"])
        for number, line in lines:
            fields = line.rstrip("\r\n").split("|")
            if fields == [""]:
                continue
            if len(fields) < len(header):
                yield number, ("bad_row", f"expected {len(header)} fields, found {len(fields)}")
                continue
            if fields[label] not in ISEAR_LABELS:
                yield number, ("unknown_label", f"EMOT is {shown(fields[label])}, expected 1 to {len(ISEAR_LABELS)}")
                continue
            report = _ISEAR_LINE_BREAK.sub(" ", "|".join(fields[text : len(fields) - _ISEAR_AFTER_TEXT])).strip()
            if report.startswith("["):
                # [No response.], [The same as in anger.], or what happens in general: an event is not reported.
                yield number, ("no_report", f"in brackets: {shown(report)}")
            else:
                yield number, Row(report, ISEAR_LABELS[fields[label]], fields[group])


def _table(path: Path, form: Format) -> Iterator[Numbered]:
    delimiter = _delimiter(path)
    with open_text(path) as file:
        lines = enumerate(bounded_lines(file), 1)
        header = _header(path, next(lines)[1].rstrip("\r\n"))
        places = [header.index(name) if name in header else None for name in COLUMNS[form]]
        for number, fields in csv_rows(lines, delimiter):
            if fields is None or len(fields) != len(header):
                found = "a quote out of place" if fields is None else f"{len(fields)}"
                yield number, ("bad_row", f"expected {len(header)} fields, found {found}")
            else:
                yield number, Row(*("" if place is None else fields[place] for place in places))


def _parquet(path: Path, form: Format) -> Iterator[Numbered]:
    for number, fields in enumerate(_text_parquet.rows(path, COLUMNS[form]), 1):
        yield number, ("bad_row", "text or label is null, or far too long") if fields is None else Row(*fields)


def csv_rows(lines: Iterator[tuple[int, str]], delimiter: str) -> Iterator[tuple[int, list[str] | None]]:
    """Fields of each row, None of a broken one. What follows a quote that stays open is read again as rows."""
    waiting: list[tuple[int, str]] = []
    while start := waiting.pop(0) if waiting else next(lines, None):
        number, text = start
        taken = 0
        while (fields := _split(text, delimiter)) is None and taken < _ROW_LINES_MAX:
            if taken == len(waiting):
                if (more := next(lines, None)) is None:
                    break
                waiting.append(more)
            text += waiting[taken][1]
            taken += 1
        if fields is not None:
            del waiting[:taken]
        if fields != []:  # a blank line
            yield number, fields


def _split(text: str, delimiter: str) -> list[str] | None:
    """Fields of one row; None if that is not what `text` is."""
    try:
        found = list(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return found[0] if len(found) == 1 else None
