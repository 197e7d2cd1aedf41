"""Texts and sentiment scores of tweets, streamed from the two tables of B-T4SA.

In   `raw_tweets_text.csv` (3.4 million rows, quoted fields with commas and line ends) and `t4sa_text_sentiment.tsv`
Out  what concerns the wanted tweets only, keyed by tweet id as text, and counts of what was odd

The standard csv reader is used and not pandas, because it tells one broken row from the next: a row with a field too
many, or a quote that nobody closed, must cost that row and be counted.
"""

import csv
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pipeline.corpora._files import bounded_lines, open_text, shown
from pipeline.errors import UserError
from pipeline.frame.tables import SENTIMENTS

TEXTS_HEADER = "id,text"
SENTIMENTS_HEADER = "TWID\tNEG\tNEU\tPOS"

# A line inside a quoted text that looks like a row of its own. Ids of the years of B-T4SA have 18 digits.
_ROW_START = re.compile(r"\s*\"?([0-9]+)\"?,")
_ID_DIGITS_MIN = 15
# What a spreadsheet or a float makes of an id: 8.00237E+17, 800236981206535935.0, or zeros behind 15 digits.
_NUMBER = re.compile(r"[0-9]+\.[0-9]*|[0-9]+(?:\.[0-9]*)?[eE]\+?[0-9]+|[1-9][0-9]{14}000+", re.ASCII)
_MOST_NUMBERS, _MOST_ROUNDED = 0.05, 0.4  # shares of ids that look so by damage to single rows, or by chance
_HEADER_CHARACTERS_MAX = 1000
_SENTIMENTS_LINE_CHARACTERS_MAX = 1000  # a cut line has too few fields, or too long an id


@contextmanager
def open_table(path: Path, header: str) -> Iterator[TextIO]:
    """The lines below the header, whose names may be quoted; `UserError` if the file has another header."""
    separator = "\t" if "\t" in header else ","
    with open_text(path) as file:
        line = file.readline(_HEADER_CHARACTERS_MAX).rstrip("\r\n")
        if [name.strip('"') for name in line.split(separator)] != header.split(separator):
            raise UserError(
                f"{path}: expected the header {shown(header)}, found {shown(line)}; give the file as it was published"
            )
        yield file


def read_texts(path: Path, wanted: Collection[str]) -> tuple[dict[str, str], dict[str, int]]:
    """By tweet id the texts of the tweets in `wanted`, as published, of two texts the first; and counts.

    Quotes inside of texts are doubled or, as databases write them, behind a backslash: whichever breaks fewer rows.
    """
    found = _read_texts(path, wanted, escape=None)
    if found[1]["csv_rows_broken"]:
        escaped = _read_texts(path, wanted, escape="\\")
        found = min(found, escaped, key=lambda each: each[1]["csv_rows_broken"])
    return found


def _read_texts(path: Path, wanted: Collection[str], escape: str | None) -> tuple[dict[str, str], dict[str, int]]:
    texts: dict[str, str] = {}
    rows = broken = twice = unwanted = 0
    numbers: list[str] = []
    with open_table(path, TEXTS_HEADER) as file:
        for row in _rows(file, wanted, escape):
            rows += 1
            if row and _NUMBER.fullmatch(row[0]):
                numbers.append(row[0])
            if len(row) != 2 or not _is_id(row[0]):
                broken += 1
            elif row[0] not in wanted:
                unwanted += 1
            elif row[0] in texts:
                twice += 1
            else:
                texts[row[0]] = row[1]
    _expect_ids(path, numbers, rows)
    return texts, {
        "csv_rows": rows,
        "csv_rows_broken": broken,
        "texts_twice": twice,
        "texts_without_image": unwanted,
        "texts_not_utf8": sum("\ufffd" in text for text in texts.values()),  # a byte was replaced by U+FFFD
    }


def read_sentiments(path: Path, wanted: Collection[str]) -> tuple[dict[str, tuple[str, ...]], dict[str, int]]:
    """By tweet id the most probable sentiments of the tweets in `wanted`, several if they are equal; and counts."""
    best: dict[str, tuple[str, ...]] = {}
    rows = broken = unwanted = 0
    numbers: list[str] = []
    with open_table(path, SENTIMENTS_HEADER) as file:
        for line in bounded_lines(file, _SENTIMENTS_LINE_CHARACTERS_MAX):
            tweet_id, *fields = line.strip().split("\t")
            if not (tweet_id or fields):
                continue
            rows += 1
            if _NUMBER.fullmatch(tweet_id):
                numbers.append(tweet_id)
            values = _probabilities(fields)
            if values is None or not _is_id(tweet_id):
                broken += 1
            elif tweet_id not in wanted:
                unwanted += 1
            else:
                largest = max(values)
                best[tweet_id] = tuple(n for n, value in zip(SENTIMENTS, values, strict=True) if value == largest)
    _expect_ids(path, numbers, rows)
    return best, {"tsv_rows": rows, "tsv_rows_broken": broken, "tsv_rows_without_image": unwanted}


class _Lines:
    """Lines of a file, row by row: a line that starts a row of its own ends the row under way."""

    def __init__(self, file: TextIO, wanted: Collection[str]) -> None:
        self._lines = bounded_lines(file)
        self._wanted = wanted
        self._given_back: str | None = None
        self._row_is_blank: bool | None = None  # None: no row is under way

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, self._given_back = self._given_back or next(self._lines), None
        if self._row_is_blank is None:
            self._row_is_blank = not line.strip()
        elif _starts_row(line, self._wanted):
            # A quote that was never closed would take this row and those that follow into its text.
            self._given_back = line
            raise csv.Error("a quote is not closed")
        return line

    def end_row(self) -> bool:
        """Whether the row that ends here is a blank line."""
        is_blank, self._row_is_blank = self._row_is_blank, None
        return bool(is_blank)


def _rows(file: TextIO, wanted: Collection[str], escape: str | None) -> Iterator[list[str]]:
    """The fields of each row, none of one that is no CSV."""
    lines = _Lines(file, wanted)
    reader = csv.reader(lines, strict=True, escapechar=escape)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            row = []
        if lines.end_row() and not row:
            continue
        yield row


def _expect_ids(path: Path, numbers: list[str], rows: int) -> None:
    rounded = sum(map(_is_id, numbers))  # one id of a thousand ends so by chance
    if len(numbers) - rounded > max(1, _MOST_NUMBERS * rows) or rounded > max(1, _MOST_ROUNDED * rows):
        raise UserError(
            f"{path}: {len(numbers):,} of {rows:,} ids are numbers as a spreadsheet or a float writes them, such as "
            f"{numbers[0]}, and have lost digits; give the file as it was published, and keep ids as text"
        )


def _is_id(field: str) -> bool:
    return field.isascii() and field.isdigit()


def _starts_row(line: str, wanted: Collection[str]) -> bool:
    start = _ROW_START.match(line)
    return start is not None and (len(start[1]) >= _ID_DIGITS_MIN or start[1] in wanted)


def _probabilities(fields: list[str]) -> list[float] | None:
    try:
        values = [float(field) for field in fields]
    except ValueError:
        return None
    return values if len(values) == len(SENTIMENTS) and all(0 <= value <= 1 for value in values) else None
