"""The file of ratings: nothing lost by threads, kills and restarts; other files refused."""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.rating import store
from pipeline.rating.store import Drawn, Rating, Store, Withdrawn

ITEMS = [Drawn(f"{number}-0", "sad", "d") for number in range(50)]


@pytest.fixture
def ratings(tmp_path: Path) -> Store:
    made = store.create(tmp_path / "r.sqlite", {"seed": "0"}, ITEMS)
    for name in ("ada", "eve", "Eve", "kim", "joe"):
        made.add_consent(name, "first", "Do you agree?")
    return made


def rating(rater: str, item: str, answer: str | None = "sad", condition: str = "image") -> Rating:
    return Rating(rater, item, condition, answer, None, 1.5)


def test_what_was_put_in_comes_out(ratings: Store) -> None:
    assert ratings.settings() == {"seed": "0"}
    assert ratings.items() == ITEMS
    assert ratings.add_reading("3-0", "Eve", b"fLaC...", 2.5)
    number = ratings.readings()["3-0"][0][0]
    assert ratings.readings() == {"3-0": [(number, "Eve")]}
    assert ratings.recording(number) == b"fLaC..."
    ratings.add_rating(Rating("ada", "3-0", "human_speech", "anger", number, 2.25))
    ratings.add_rating(rating("ada", "4-0", None))
    frame = ratings.ratings().drop(columns="rated_at")
    first, second = frame.to_dict("records")
    assert first == {
        "rater": "ada", "id": "3-0", "condition": "human_speech", "label": "sad", "answer": "anger", "reader": "Eve",
        "response_seconds": 2.25,
    }  # fmt: skip
    assert (second["id"], second["answer"], second["reader"]) == ("4-0", None, None)


def test_the_first_answer_and_the_first_reading_stay(ratings: Store) -> None:
    assert ratings.add_rating(rating("ada", "1-0", "sad"))
    assert not ratings.add_rating(rating("ada", "1-0", "hate"))
    assert ratings.rated("ada") == {("1-0", "image")}
    assert ratings.ratings()["answer"].tolist() == ["sad"]
    assert ratings.add_reading("1-0", "ada", b"one", 1.0)
    assert not ratings.add_reading("1-0", "ada", b"two", 1.0)


def test_a_rater_takes_back_his_own_last_answer(ratings: Store) -> None:
    ratings.add_rating(rating("ada", "1-0"))
    ratings.add_rating(rating("ada", "2-0"))
    ratings.add_rating(rating("eve", "3-0"))
    assert ratings.take_back("ada") == ("2-0", "image", None)
    assert ratings.take_back("ada") == ("1-0", "image", None)
    assert ratings.take_back("ada") is None
    assert ratings.rated("eve") == {("3-0", "image")}


def test_an_answer_to_an_unknown_row_is_refused_and_changes_nothing(ratings: Store) -> None:
    with pytest.raises(UserError, match="FOREIGN KEY"):
        ratings.add_rating(rating("ada", "nowhere"))
    assert not len(ratings.ratings())


def test_raters_at_once_lose_nothing(ratings: Store) -> None:
    raters = ["ada", "eve", "kim", "joe"]
    with ThreadPoolExecutor(len(raters)) as pool:
        jobs = [pool.submit(ratings.add_rating, rating(name, item.id)) for item in ITEMS for name in raters]
        assert all(job.result() for job in jobs)
    frame = ratings.ratings()
    assert set(zip(frame["rater"], frame["id"], strict=True)) == {
        (name, item.id) for name, item in itertools.product(raters, ITEMS)
    }


WRITER = """
import itertools, sys
from pathlib import Path
from pipeline.rating.store import Rating, Store
ratings = Store(Path(sys.argv[1]))
for number in itertools.count():
    ratings.add_rating(Rating("ada", f"{number % 50}-0", f"c{number // 50}", "sad", None, 1.0))
    print(number, flush=True)
"""


def test_what_was_answered_before_a_kill_is_there_after_it(ratings: Store) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, ratings.path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = -1
        for line in process.stdout:
            told = int(line)
            if told == 120:
                os.kill(process.pid, signal.SIGKILL)
    found = store.open_store(ratings.path).rated("ada")
    expected = {(f"{number % 50}-0", f"c{number // 50}") for number in range(told + 1)}
    assert expected <= found
    assert len(found) <= len(expected) + 1  # one may have been kept and not told


def test_a_file_that_was_never_filled_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    assert not store.is_begun(path)
    path.touch()
    assert not store.is_begun(path)
    with closing(sqlite3.connect(path)) as connection:  # as a kill in `create` leaves it
        connection.execute("PRAGMA journal_mode = WAL")
    assert not store.is_begun(path)
    store.create(path, {}, ITEMS)
    assert store.is_begun(path)
    with pytest.raises(UserError, match="already exists"):
        store.create(path, {}, ITEMS)
    assert store.open_store(path).items() == ITEMS


def test_other_files_are_refused_and_left_as_they_are(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but some text that is long enough to be looked at as one" * 20)
    foreign = tmp_path / "foreign.sqlite"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE precious (value)")
        connection.commit()
    newer = store.create(tmp_path / "newer.sqlite", {}, ITEMS).path
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("PRAGMA user_version = 7")
    before = {path: path.read_bytes() for path in (text, foreign)}
    for path, says in ((text, "no readable file"), (foreign, "another program"), (newer, "version 7, expected 2"),
                       (tmp_path, "no readable file")):  # fmt: skip
        with pytest.raises(UserError, match=says):
            store.open_store(path)
    with pytest.raises(UserError, match="collect some with"):
        store.open_store(tmp_path / "absent.sqlite")
    assert {path: path.read_bytes() for path in (text, foreign)} == before
    assert not (tmp_path / "absent.sqlite").exists()


def test_of_who_has_agreed_to_nothing_nothing_is_kept(ratings: Store) -> None:
    assert not ratings.add_rating(rating("mallory", "1-0"))
    assert not ratings.add_reading("1-0", "mallory", b"voice", 1.0)
    assert (len(ratings.ratings()), ratings.readings()) == (0, {})
    assert ratings.has_agreed("ada", "first")
    assert not ratings.has_agreed("ada", "second")
    ratings.add_consent("ada", "second", "And now?")
    ratings.add_consent("ada", "second", "And now?")
    with closing(sqlite3.connect(ratings.path)) as connection:
        kept = connection.execute(
            "SELECT rater, text, agreed_at FROM consents JOIN consent_texts USING (version) WHERE rater = 'ada'"
        ).fetchall()
    assert sorted(text for _, text, _ in kept) == ["And now?", "Do you agree?"]
    assert all(datetime.fromisoformat(agreed_at).tzinfo for _, _, agreed_at in kept)


def test_of_who_withdraws_no_byte_is_left_and_others_keep_what_is_theirs(ratings: Store) -> None:
    voice = os.urandom(20_000)
    ratings.add_reading("3-0", "joe", voice, 2.5)
    ratings.add_reading("4-0", "eve", b"fLaC", 2.5)
    numbers = {item: readings[0][0] for item, readings in ratings.readings().items()}
    for rater, item in (("ada", "3-0"), ("ada", "4-0"), ("joe", "4-0"), ("eve", "3-0")):
        ratings.add_rating(Rating(rater, item, "human_speech", "sad", numbers[item], 1.0))
    ratings.add_rating(rating("joe", "7-0"))
    assert ratings.withdraw("mallory") is None
    assert ratings.withdrawals() == 0
    assert ratings.withdraw("joe") == Withdrawn(answers=2, recordings=1, answers_of_others=2)
    assert ratings.ratings()[["rater", "id", "reader"]].to_numpy().tolist() == [["ada", "4-0", "eve"]]
    assert ratings.readings() == {"4-0": [(numbers["4-0"], "eve")]}
    assert not ratings.has_agreed("joe", "first")
    assert not ratings.add_rating(rating("joe", "8-0"))  # by a page that is open still
    for path in ratings.path.parent.glob("r.sqlite*"):
        content = path.read_bytes()
        assert not any(voice[start : start + 64] in content for start in range(0, len(voice), 512)), path
        assert b"joe" not in content, path
    assert ratings.withdrawals() == 1
    assert ratings.withdraw("joe") is None
    ratings.add_consent("joe", "first", "Do you agree?")
    assert ratings.withdraw("joe") == Withdrawn(0, 0, 0)  # nothing but the name
    assert ratings.add_reading("5-0", "eve", b"fLaC", 1.0)
    assert ratings.readings()["5-0"][0][0] > numbers["4-0"]  # no number is given out twice


def test_a_file_from_before_anybody_was_asked_is_read_and_brought_up_to_date(ratings: Store) -> None:
    ratings.add_rating(rating("ada", "1-0"))
    with closing(sqlite3.connect(ratings.path, isolation_level=None)) as connection:
        for table in ("consents", "consent_texts", "withdrawals"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version = 1")
    old = store.open_store(ratings.path)
    assert (len(old.ratings()), old.withdrawals()) == (1, 0)
    for _ in range(2):
        store.upgrade(ratings.path)
    assert not ratings.has_agreed("ada", "first")
    assert not ratings.add_rating(rating("ada", "2-0"))
    ratings.add_consent("ada", "first", "Do you agree?")
    assert ratings.add_rating(rating("ada", "2-0"))
    assert len(store.open_store(ratings.path).ratings()) == 2


def test_a_damaged_file_is_named(ratings: Store) -> None:
    for item in ITEMS:
        ratings.add_reading(item.id, "eve", os.urandom(2000), 1.0)
    with closing(sqlite3.connect(ratings.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(ratings.path.read_bytes())
    data[4096:12288] = b"\xff" * 8192
    ratings.path.write_bytes(data)
    with pytest.raises(UserError, match=r"r\.sqlite"):
        store.open_store(ratings.path)
