"""Emotion texts made by an enemy: no endless line or bomb is held in memory."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.corpora import emotion_texts
from pipeline.errors import UserError
from tests.builders_emotion_texts import goemotions, good_rows, isear, table
from tests.hostile import in_little_memory, outcome
from tests.unit.corpora.test_hostile_tables import with_hole

NAMES = ("line", "first line", "columns", "quotes", "goemotions", "isear", "names", "large", "words", "repeated")


def read_all(folder: str) -> dict[str, str]:
    """Runs in little memory."""
    return {name: outcome(partial(emotion_texts.read, Path(folder) / name)) for name in NAMES}


def test_endless_lines_and_bombs_take_no_memory(tmp_path: Path) -> None:
    hole = 2**28  # of with_hole
    table(tmp_path / "line", *good_rows(3))
    path = tmp_path / "line" / "table.csv"
    path.write_bytes(path.read_bytes() + b'"' + b"x" * (hole // 4) + b"\nafter,joy,a\n")
    (tmp_path / "first line").mkdir()
    with_hole(tmp_path / "first line" / "t.csv", b"text,label", b"\n")
    table(tmp_path / "columns", *good_rows(3), "1," * 20_000_000)
    table(tmp_path / "quotes", *good_rows(3), '"' * 40_000_000)
    goemotions(
        tmp_path / "goemotions", "words\t0\ta", "more\t1\tb", b"9" * 40_000_000, "a\t" + "1," * 10_000_000 + "1\tx"
    )
    isear(tmp_path / "isear", "1|1|1|joy|words|1|", "1|1|1|joy|more|1|", "1|" * 20_000_000)
    goemotions(tmp_path / "names", "words\t0\ta")
    with_hole(tmp_path / "names" / "goemotions" / "emotions.txt", b"anger", b"\n")
    (tmp_path / "large").mkdir()
    with_hole(tmp_path / "large" / "t.csv", b"text,label\n" * 2, b"\n")
    (tmp_path / "words").mkdir()
    long = pa.array(["x" * 2**23], pa.large_string())
    pq.write_table(pa.table({"text": long, "label": ["joy"]}), tmp_path / "words" / "t.parquet", compression="zstd")
    (tmp_path / "repeated").mkdir()
    indices = pa.array([0] * 20_000 + [1, 2], pa.int32())
    texts = pa.DictionaryArray.from_arrays(indices, pa.array(["y" * 2**20, "sound", "words"]))
    bomb = pa.table({"text": texts, "label": ["joy"] * len(texts)})
    pq.write_table(bomb, tmp_path / "repeated" / "t.parquet", dictionary_pagesize_limit=2**22)
    found = in_little_memory(read_all, tmp_path, extra_mib=400)
    assert {found[name] for name in ("line", "columns", "quotes", "goemotions", "isear")} == {"ok"}
    assert "bytes, expected at most" in found["first line"]
    assert "bytes, expected at most" in found["large"]
    assert "bytes, expected at most" in found["names"]
    assert "1 of 1 rows are rejected as bad_row" in found["words"]
    assert "20,000 of 20,002 rows are rejected as bad_row" in found["repeated"]


def test_quotes_that_are_never_closed_cost_time_in_proportion(tmp_path: Path) -> None:
    rows = [f'"{"text " * 20}{number},joy,a' for number in range(5_000)]
    with pytest.raises(UserError, match="5,000 of 5,003 rows are rejected as bad_row"):
        emotion_texts.read(table(tmp_path, *good_rows(3), *rows))


def test_damaged_parquet_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": [f"words {n}" for n in range(5000)], "label": ["joy"] * 5000}), path)
    whole = path.read_bytes()
    for place in range(4, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:place] + bytes(byte ^ 0x55 for byte in whole[place : place + 8]) + whole[place + 8 :])
        found = outcome(lambda: emotion_texts.read(tmp_path))
        assert found == "ok" or len(found.splitlines()) == 1


def test_a_parquet_that_is_not_utf8_costs_the_row(tmp_path: Path) -> None:
    raw = pa.array([b"caf\xe9", b"sound", b"words"])
    text = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    pq.write_table(pa.table({"text": text, "label": ["joy"] * 3}), tmp_path / "t.parquet")
    corpus = emotion_texts.read(tmp_path)
    assert [text.text for text in corpus.texts] == ["sound", "words"]
    assert corpus.rejects[0][:2] == ("t.parquet:1", "not_utf8")


PIECES = st.sampled_from([b'"', b",", b"\n", b"\r", b"\0", b"a", b"\xff", "é".encode(), b"\t", b" ", b"joy"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, max_size=30))
def test_any_bytes_between_rows_leave_the_others_as_they_are(tmp_path: Path, pieces: list[bytes]) -> None:
    root = table(tmp_path, *good_rows(40), b"".join(pieces), "the last of them,anger,a", "and the end,anger,b")
    corpus = emotion_texts.read(root)
    assert {f"words number {number}" for number in range(40)} <= {text.text for text in corpus.texts}
    assert len(corpus.texts) + len(corpus.rejects) == corpus.rows_in
    assert corpus.texts[-1].text == "and the end"
