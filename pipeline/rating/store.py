"""Ratings and readings in one SQLite file: nothing that was answered is lost, whatever happens to the server.

Every answer is a transaction of its own, on disk before the rater sees the next row (write-ahead log, synchronous
FULL). Any number of raters, threads and processes may use the file at once. Recordings are FLAC, an answer of NULL is a
skip, times are UTC. Names of people are compared as they are; see `pipeline.rating.session.person`. Of nobody is
anything kept who has not agreed to it before; what is kept of who withdraws is overwritten, not merely unlisted.
"""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import UserError

APPLICATION_ID = 0x53494552  # "SIER": what `file` and we know a file of ratings by
VERSION = 2
READABLE = {1, VERSION}  # before 2 nobody was asked to agree
BUSY_SECONDS = 30.0
READ_AND_WRITE = "mode=rw"
READ_ONLY = "mode=ro&immutable=1"  # without files of SQLite's own beside it

SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE items (id TEXT PRIMARY KEY, label TEXT NOT NULL, digest TEXT NOT NULL, position INTEGER NOT NULL) STRICT;
CREATE TABLE readings (
    reading INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL REFERENCES items,
    reader TEXT NOT NULL,
    audio BLOB NOT NULL,
    duration_seconds REAL NOT NULL,
    recorded_at TEXT NOT NULL,
    UNIQUE (id, reader)
) STRICT;
CREATE TABLE ratings (
    rater TEXT NOT NULL,
    id TEXT NOT NULL REFERENCES items,
    condition TEXT NOT NULL,
    answer TEXT,
    reading INTEGER REFERENCES readings,
    response_seconds REAL NOT NULL,
    rated_at TEXT NOT NULL,
    PRIMARY KEY (rater, id, condition)
) STRICT;
"""
CONSENT_SCHEMA = """
CREATE TABLE consent_texts (version TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE TABLE consents (
    rater TEXT NOT NULL,
    version TEXT NOT NULL REFERENCES consent_texts,
    agreed_at TEXT NOT NULL,
    PRIMARY KEY (rater, version)
) STRICT;
CREATE TABLE withdrawals (withdrawn_on TEXT NOT NULL, answers INTEGER NOT NULL, recordings INTEGER NOT NULL) STRICT;
"""
# Nobody judges a row whose text he has read aloud: not by a page that was open then, nor by taking an answer back.
ADD_RATING = """
INSERT INTO ratings SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
WHERE NOT EXISTS (SELECT * FROM readings WHERE reader = ?1 AND id = ?2)
AND EXISTS (SELECT * FROM consents WHERE rater = ?1) ON CONFLICT DO NOTHING RETURNING 1
"""
ADD_READING = """
INSERT INTO readings (id, reader, audio, duration_seconds, recorded_at) SELECT ?1, ?2, ?3, ?4, ?5
WHERE EXISTS (SELECT * FROM consents WHERE rater = ?2) ON CONFLICT DO NOTHING RETURNING 1
"""
TAKE_BACK = """
DELETE FROM ratings WHERE rowid = (SELECT max(rowid) FROM ratings WHERE rater = ?1)
AND NOT EXISTS (SELECT * FROM readings WHERE readings.id = ratings.id AND reader = ?1)
RETURNING id, condition, reading
"""
# In this order, for answers refer to recordings.
WITHDRAW = (
    "DELETE FROM ratings WHERE rater <> ?1 AND reading IN (SELECT reading FROM readings WHERE reader = ?1)",
    "DELETE FROM ratings WHERE rater = ?1", "DELETE FROM readings WHERE reader = ?1",
    "DELETE FROM consents WHERE rater = ?1",
)  # fmt: skip
RATING_COLUMNS = ["rater", "id", "condition", "label", "answer", "reader", "response_seconds", "rated_at"]
RATINGS = """
SELECT rater, ratings.id, condition, label, answer, reader, response_seconds, rated_at
FROM ratings JOIN items ON items.id = ratings.id LEFT JOIN readings ON readings.reading = ratings.reading
ORDER BY rated_at, rater, ratings.id, condition
"""


@dataclass(frozen=True)
class Drawn:
    """An item as the file knows it."""

    id: str
    label: str
    digest: str


@dataclass(frozen=True)
class Rating:
    """One answer, None for a skip; `reading` is the number of the recording where a person was heard."""

    rater: str
    id: str
    condition: str
    answer: str | None
    reading: int | None
    response_seconds: float


@dataclass(frozen=True)
class Withdrawn:
    """How much was removed: of a rater, and of others what they answered to the rater's recordings."""

    answers: int
    recordings: int
    answers_of_others: int


@dataclass(frozen=True)
class Store:
    """A file of ratings; `create` and `open_store` make one. `mode` is that of an URI of SQLite's."""

    path: Path
    mode: str = READ_AND_WRITE

    def _rows(self, statement: str, *values: str | int | float | bytes | None) -> list[Any]:
        """What a statement returns, which is a transaction of its own."""
        try:
            # A connection for each: threads share none, and a killed process leaves none behind.
            with closing(_connect(self.path, self.mode)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                return connection.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.path}: {error}; nothing was changed by this step") from None

    def settings(self) -> dict[str, str]:
        """What the file was begun with."""
        return dict(self._rows("SELECT name, value FROM settings"))

    def items(self) -> list[Drawn]:
        """In the order of the draw."""
        return [Drawn(*row) for row in self._rows("SELECT id, label, digest FROM items ORDER BY position")]

    def add_rating(self, rating: Rating) -> bool:
        """Keep an answer; False if this rater has answered this already, and then that stays, has read the text, or has
        agreed to nothing.
        """
        return bool(self._rows(ADD_RATING, *astuple(rating), _now()))

    def take_back(self, rater: str) -> tuple[str, str, int | None] | None:
        """Delete a rater's last answer; returns its id, condition and reading, or None if there is none to be judged
        again: the rater may have read the text aloud since.
        """
        return next(iter(self._rows(TAKE_BACK, rater)), None)

    def rated(self, rater: str) -> set[tuple[str, str]]:
        """(id, condition) of what a rater has answered or skipped."""
        return set(self._rows("SELECT id, condition FROM ratings WHERE rater = ?", rater))

    def add_reading(self, item: str, reader: str, audio: bytes, duration_seconds: float) -> bool:
        """Keep a recording; False if this reader has read this text already, and then the first one stays, or has
        agreed to nothing.
        """
        return bool(self._rows(ADD_READING, item, reader, audio, duration_seconds, _now()))

    def add_consent(self, rater: str, version: str, text: str) -> None:
        """Keep that a rater agrees to this version of the text, and since when."""
        self._rows("INSERT INTO consent_texts VALUES (?, ?) ON CONFLICT DO NOTHING", version, text)
        self._rows("INSERT INTO consents VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rater, version, _now())

    def has_agreed(self, rater: str, version: str) -> bool:
        """Whether a rater agrees to this version of the text."""
        return bool(self._rows("SELECT 1 FROM consents WHERE rater = ? AND version = ?", rater, version))

    def withdraw(self, rater: str) -> Withdrawn | None:
        """Remove all that is kept of a rater, and note that somebody withdrew; None if nothing is kept of this one."""
        try:
            with closing(_connect(self.path, self.mode)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("BEGIN IMMEDIATE")
                others, own, recordings, consents = (
                    connection.execute(statement, (rater,)).rowcount for statement in WITHDRAW
                )
                if not own + recordings + consents:
                    return None
                note = (datetime.now(UTC).date().isoformat(), own, recordings)
                connection.execute("INSERT INTO withdrawals VALUES (?, ?, ?)", note)
                connection.execute("COMMIT")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log has it too
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.path}: {error}; nothing was changed by this step") from None
        return Withdrawn(own, recordings, others)

    def withdrawals(self) -> int:
        """How many raters have withdrawn."""
        if not self._rows("SELECT 1 FROM sqlite_schema WHERE name = 'withdrawals'"):
            return 0  # of version 1
        return int(self._rows("SELECT count(*) FROM withdrawals")[0][0])

    def readings(self) -> dict[str, list[tuple[int, str]]]:
        """(number, reader) of the recordings of each id, in the order in which they were made."""
        readings: dict[str, list[tuple[int, str]]] = {}
        for item, reading, reader in self._rows("SELECT id, reading, reader FROM readings ORDER BY reading"):
            readings.setdefault(item, []).append((reading, reader))
        return readings

    def recording(self, reading: int) -> bytes:
        """FLAC of a reading."""
        rows = self._rows("SELECT audio FROM readings WHERE reading = ?", reading)
        if not rows:
            raise UserError(f"{self.path}: has no reading {reading}")
        return bytes(rows[0][0])

    def ratings(self) -> pd.DataFrame:
        """All answers with `RATING_COLUMNS`, oldest first."""
        return pd.DataFrame(self._rows(RATINGS), columns=RATING_COLUMNS, dtype=object)


def create(path: Path, settings: Mapping[str, str], items: Sequence[Drawn]) -> Store:
    """A new file; it appears whole or not at all."""
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
            connection.executescript(f"BEGIN IMMEDIATE; {marks} {SCHEMA} {CONSENT_SCHEMA}")
            connection.executemany("INSERT INTO settings VALUES (?, ?)", settings.items())
            rows = [(*astuple(item), position) for position, item in enumerate(items)]
            connection.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path}: cannot be made: {error}; name another file with --ratings") from None
    return Store(path)


def upgrade(path: Path) -> None:
    """Bring a file of an earlier version to this one; what is in it stays, and its raters are asked to agree."""
    try:
        with closing(_connect(path, READ_AND_WRITE)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA user_version").fetchone() == (1,):
                for statement in CONSENT_SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path}: {error}; nothing was changed by this step") from None


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """To a file that is there."""
    uri = f"{path.resolve().as_uri()}?{mode}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def is_begun(path: Path, mode: str = READ_AND_WRITE) -> bool:
    """Whether there is anything in the file; one that a killed `create` left is empty and may be begun again."""
    if not path.exists():
        return False
    try:
        with closing(_connect(path, mode)) as connection:
            (kind,) = connection.execute("PRAGMA application_id").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if not tables and not kind:
                return False
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (fault,) = connection.execute("PRAGMA quick_check(1)").fetchone() if kind == APPLICATION_ID else ("ok",)
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path}: no readable file of ratings ({error}); name another one with --ratings") from None
    if kind != APPLICATION_ID:
        raise UserError(f"{path}: a database of another program; name another file with --ratings")
    if version not in READABLE:
        raise UserError(f"{path}: ratings of version {version}, expected {VERSION}; use the release that wrote it")
    if fault != "ok":
        raise UserError(
            f"{path}: damaged ({fault}); bring back a copy, or save what is left by: sqlite3 {path} .recover"
        )
    return True


def open_store(path: Path) -> Store:
    """A file that is there, to be read; it may lie where nobody can write."""
    mode = READ_AND_WRITE if os.access(path.resolve().parent, os.W_OK) else READ_ONLY
    log = path.with_name(f"{path.name}-wal")
    if mode == READ_ONLY and log.exists() and log.stat().st_size:
        raise UserError(f"{path}: answers are in {log.name} still; copy both to where you may write, and name the copy")
    if not is_begun(path, mode):
        raise UserError(f"{path}: no ratings there; collect some with: sier rate")
    return Store(path, mode)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
