"""Ratings and readings in one SQLite file: nothing that was answered is lost, whatever happens to the server.

Every answer is a transaction of its own, on disk before the rater sees the next row (write-ahead log, synchronous
FULL). Any number of raters, threads and processes may use the file at once.

Tables: settings (name, value); items (id, label, digest, position); readings (reading, id, reader, audio FLAC,
duration_seconds, recorded_at); ratings (rater, id, condition, answer or NULL for a skip, reading, response_seconds,
rated_at). Times are UTC. Names of people are compared as they are; see `pipeline.rating.session.person`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from pipeline.errors import UserError

APPLICATION_ID = 0x53494552  # "SIER": what `file` and we know a file of ratings by
VERSION = 1
BUSY_SECONDS = 30.0

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
RATINGS_QUERY = """
SELECT rater, ratings.id AS id, condition, label, answer, reader, response_seconds, rated_at
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
    """One answer.

    Attributes:
        answer: a label; None where the rater skipped.
        reading: number of the reading that was heard; None without human speech.
        response_seconds: from being shown to being answered.
    """

    rater: str
    id: str
    condition: str
    answer: str | None
    reading: int | None
    response_seconds: float


@dataclass(frozen=True)
class Store:
    """A file of ratings; `create` and `open_store` make one."""

    path: Path

    @contextmanager
    def _transaction(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        # A connection for each: threads share none, and a killed process leaves none behind.
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.path}: {error}; nothing was changed by this step") from None

    def settings(self) -> dict[str, str]:
        """What the file was begun with."""
        with self._transaction() as connection:
            return dict(connection.execute("SELECT name, value FROM settings"))

    def items(self) -> list[Drawn]:
        """In the order of the draw."""
        with self._transaction() as connection:
            return [Drawn(*row) for row in connection.execute("SELECT id, label, digest FROM items ORDER BY position")]

    def add_rating(self, rating: Rating) -> bool:
        """Keep an answer; False if this rater has answered this already, and then the first answer stays."""
        with self._transaction(write=True) as connection:
            cursor = connection.execute(
                "INSERT INTO ratings VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (rating.rater, rating.id, rating.condition, rating.answer, rating.reading, rating.response_seconds,
                 _now()),
            )  # fmt: skip
            return cursor.rowcount == 1

    def take_back(self, rater: str) -> tuple[str, str, int | None] | None:
        """Delete a rater's last answer; returns its id, condition and reading, or None if there is none."""
        with self._transaction(write=True) as connection:
            last: tuple[str, str, int | None] | None = connection.execute(
                "DELETE FROM ratings WHERE rowid = (SELECT max(rowid) FROM ratings WHERE rater = ?) "
                "RETURNING id, condition, reading",
                (rater,),
            ).fetchone()
            return last

    def rated(self, rater: str) -> set[tuple[str, str]]:
        """(id, condition) of what a rater has answered or skipped."""
        with self._transaction() as connection:
            return set(connection.execute("SELECT id, condition FROM ratings WHERE rater = ?", (rater,)))

    def add_reading(self, item: str, reader: str, audio: bytes, duration_seconds: float) -> bool:
        """Keep a recording; False if this reader has read this text already, and then the first one stays."""
        with self._transaction(write=True) as connection:
            cursor = connection.execute(
                "INSERT INTO readings (id, reader, audio, duration_seconds, recorded_at) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                (item, reader, audio, duration_seconds, _now()),
            )
            return cursor.rowcount == 1

    def readings(self) -> dict[str, list[tuple[int, str]]]:
        """(number, reader) of the recordings of each id, in the order in which they were made."""
        with self._transaction() as connection:
            found: dict[str, list[tuple[int, str]]] = {}
            for item, reading, reader in connection.execute(
                "SELECT id, reading, reader FROM readings ORDER BY reading"
            ):
                found.setdefault(item, []).append((reading, reader))
            return found

    def recording(self, reading: int) -> bytes:
        """FLAC of a reading."""
        with self._transaction() as connection:
            row = connection.execute("SELECT audio FROM readings WHERE reading = ?", (reading,)).fetchone()
        if row is None:
            raise UserError(f"{self.path}: has no reading {reading}")
        return bytes(row[0])

    def ratings(self) -> pd.DataFrame:
        """All answers: rater, id, condition, label, answer, reader, response_seconds, rated_at, oldest first."""
        with self._transaction() as connection:
            cursor = connection.execute(RATINGS_QUERY)
            names = [column[0] for column in cursor.description]
            return pd.DataFrame(cursor.fetchall(), columns=names, dtype=object)


def create(path: Path, settings: Mapping[str, str], items: Sequence[Drawn]) -> Store:
    """A new file; it appears whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    store = Store(path)
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
            connection.executescript(f"BEGIN IMMEDIATE; {marks} {SCHEMA}")
            connection.executemany("INSERT INTO settings VALUES (?, ?)", settings.items())
            rows = [(item.id, item.label, item.digest, position) for position, item in enumerate(items)]
            connection.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path}: cannot be made: {error}; name another file with --ratings") from None
    return store


def is_begun(path: Path) -> bool:
    """Whether there is anything in the file; one that a killed `create` left is empty and may be begun again.

    Raises:
        UserError: it is there and no file of ratings.
    """
    if not path.exists():
        return False
    try:
        with closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)
        ) as connection:
            kind = connection.execute("PRAGMA application_id").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            if not tables and not kind:
                return False
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0] if kind == APPLICATION_ID else "ok"
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path}: no readable file of ratings ({error}); name another one with --ratings") from None
    if kind != APPLICATION_ID:
        raise UserError(f"{path}: a database of another program; name another file with --ratings")
    if version != VERSION:
        raise UserError(f"{path}: ratings of version {version}, expected {VERSION}; use the release that wrote it")
    if fault != "ok":
        raise UserError(
            f"{path}: damaged ({fault}); bring back a copy, or save what is left by: sqlite3 {path} .recover"
        )
    return True


def open_store(path: Path) -> Store:
    """A file that is there.

    Raises:
        UserError: it is missing, damaged, or something else.
    """
    if not is_begun(path):
        raise UserError(f"{path}: no ratings there; collect some with: python -m pipeline.rate")
    return Store(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
