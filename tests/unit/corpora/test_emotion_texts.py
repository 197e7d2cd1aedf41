"""Emotion texts: four formats, what a row becomes, and what is rejected."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.corpora import emotion_texts
from pipeline.corpora.emotion_texts import EmotionText
from pipeline.errors import UserError
from tests.builders_emotion_texts import goemotions, good_rows, isear, meld, table, write


def statuses(root: Path) -> list[tuple[str, str]]:
    return sorted(reject[:2] for reject in emotion_texts.read(root).rejects)


def test_goemotions_numbers_are_named_and_each_comment_is_a_group(tmp_path: Path) -> None:
    quoted = '"He said ""no"", twice"\t0\tee1'
    root = goemotions(tmp_path, quoted, 'a "bare" quote\t1\tee2', '"open quote, as raw files have\t2\tee3')
    corpus = emotion_texts.read(root)
    ids = [f"goemotions/train.tsv:{line}" for line in (1, 2, 3)]
    assert corpus.texts == [
        EmotionText(ids[0], 'He said "no", twice', "anger", ids[0], "goemotions"),
        EmotionText(ids[1], 'a "bare" quote', "joy", ids[1], "goemotions"),
        EmotionText(ids[2], '"open quote, as raw files have', "neutral", ids[2], "goemotions"),
    ]
    assert (corpus.rejects, corpus.rows_in, corpus.labels) == ([], 3, ("anger", "joy", "neutral"))


def test_several_labels_and_numbers_that_are_not_named_cost_a_row(tmp_path: Path) -> None:
    lines = ["one\t0\ta", "two\t0,1\tb", "three\t3\tc", "four\t1,1\td", "five\t1\te", "six", "seven\tx\tg"]
    corpus = emotion_texts.read(goemotions(tmp_path, *lines))
    assert [text.text for text in corpus.texts] == ["one", "four", "five"]
    assert [(reject[0][-1], reject[1]) for reject in corpus.rejects] == [
        ("2", "several_labels"), ("3", "unknown_label"), ("6", "bad_row"), ("7", "bad_row"),
    ]  # fmt: skip
    assert corpus.rejects[0][2] == "anger and joy"


def test_labels_that_mean_one_class_are_one(tmp_path: Path) -> None:
    names = ("anger", "joy", "neutral", "annoyance")
    lines = ["one\t2,3\ta", "two\t0,1\tb", "three\t3,0\tc", "four\t2,2\td", "five\t2\te"]
    classes = {"anger": "anger", "annoyance": "anger", "joy": "excitement", "neutral": None}
    corpus = emotion_texts.read(goemotions(tmp_path, *lines, names=names), classes)
    assert [(text.text, text.label) for text in corpus.texts] == [
        ("one", "annoyance"), ("three", "annoyance"), ("four", "neutral"), ("five", "neutral"),
    ]  # fmt: skip
    assert [reject[:2] for reject in corpus.rejects] == [("goemotions/train.tsv:2", "several_labels")]


@pytest.mark.parametrize("names", [[], ["a", "a"], ["a", "", "b"], [str(n) for n in range(1001)]])
def test_names_of_labels_that_are_none_are_an_error(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(UserError, match=r"emotions\.txt: expected one name of a label per line"):
        emotion_texts.read(goemotions(tmp_path, "one\t0\ta", names=names))


def test_missing_names_of_labels_are_found_by_the_check(tmp_path: Path) -> None:
    root = goemotions(tmp_path, "one\t0\ta")
    (root / "goemotions" / "emotions.txt").unlink()
    for call in (emotion_texts.check, emotion_texts.read):
        with pytest.raises(UserError, match=r"emotions\.txt or labels\.txt, which names the labels, is missing"):
            call(root)


def test_isear_reports_are_unfolded_and_belong_to_their_subject(tmp_path: Path) -> None:
    lines = [
        "11001|1|1|joy|When á we met.|1|",
        '11001|1|7|guilt|I gave no \\straight answer\\" to á|my friend."|1|',
        "12001|1|4|sadness|Alone again.|1|",
        "12001|1|3|anger|[ No response.]|1|",
        "12001|1|9|anger|Ninth.|1|",
        "12001|1|3",
    ]
    corpus = emotion_texts.read(isear(tmp_path, *lines))
    assert [(text.text, text.label, text.group) for text in corpus.texts] == [
        ("When we met.", "joy", "isear:11001"),
        ("I gave no straight answer to my friend.", "guilt", "isear:11001"),
        ("Alone again.", "sadness", "isear:12001"),
    ]
    assert [reject[1] for reject in corpus.rejects] == ["no_report", "unknown_label", "bad_row"]


def test_meld_dialogues_are_groups_of_their_file(tmp_path: Path) -> None:
    meld(tmp_path, '1,"I\x92m fine, thanks.",Ruth,joy,positive,0,0', "2,What now?,Tom,anger,negative,1,0")
    corpus = emotion_texts.read(meld(tmp_path, "1,Go on then.,Ruth,neutral,neutral,0,0", split="dev"))
    assert [(text.id, text.text, text.group) for text in corpus.texts] == [
        ("meld/dev_sent_emo.csv:2", "Go on then.", "meld/dev_sent_emo.csv:0"),
        ("meld/train_sent_emo.csv:2", "I’m fine, thanks.", "meld/train_sent_emo.csv:0"),
        ("meld/train_sent_emo.csv:3", "What now?", "meld/train_sent_emo.csv:1"),
    ]
    assert {text.part for text in corpus.texts} == {"meld"}


def test_a_table_may_lie_in_the_root_in_any_order_of_columns_and_of_lines_within_quotes(tmp_path: Path) -> None:
    root = table(tmp_path, 'joy,7,"on two\nlines ""here"""', "anger,8,no group", header="label,extra,text")
    write(root / "b" / "more.tsv", "text\tlabel\tgroup", "first\tanger\tann", "second\tjoy\t", "")
    corpus = emotion_texts.read(root)
    assert [(text.text, text.label, text.group, text.part) for text in corpus.texts] == [
        ("first", "anger", "b:ann", "b/more"),
        ("second", "joy", "b/more.tsv:3", "b/more"),
        ('on two lines "here"', "joy", "table.csv:2", "table"),
        ("no group", "anger", "table.csv:4", "table"),
    ]


@pytest.mark.parametrize("dictionary", [True, False])
def test_parquet_of_text_and_numbers_as_groups(tmp_path: Path, dictionary: bool) -> None:
    columns = {"text": ["a b", "c d", None, "e f"], "label": ["joy", "anger", "joy", None], "group": [1, None, 2, 3]}
    more = pa.table(columns | {"text": ["g", "h", "i", "j"], "label": ["joy"] * 4})
    pq.write_table(pa.concat_tables([pa.table(columns), more]), tmp_path / "t.parquet", use_dictionary=dictionary)
    corpus = emotion_texts.read(tmp_path)
    assert [(text.id, text.text, text.label, text.group) for text in corpus.texts[:3]] == [
        ("t.parquet:1", "a b", "joy", ".:1"), ("t.parquet:2", "c d", "anger", "t.parquet:2"),
        ("t.parquet:5", "g", "joy", ".:1"),
    ]  # fmt: skip
    assert [reject[:2] for reject in corpus.rejects] == [("t.parquet:3", "bad_row"), ("t.parquet:4", "bad_row")]


@pytest.mark.parametrize(
    ("row", "status"),
    [
        (",joy,a", "empty_text"), ("?! ...,joy,a", "empty_text"), ("good words,,a", "empty_label"),
        ("a\0b,joy,a", "control_characters"), ("a\x1bb,joy,a", "control_characters"),
        ("a\x81b,joy,a", "control_characters"), (b"caf\xe9,joy,a", "not_utf8"),
        ("good words,jo\x07y,a", "control_characters"),
        ("x" * 5001 + ",joy,a", "too_long"), ("good words," + "l" * 201 + ",a", "bad_row"),
        ("good words,joy,a,b", "bad_row"), ("good words,joy", "bad_row"), ('"open,joy,a', "bad_row"),
        ('say "what",joy,a', ""), ('"a"b,joy,a', "bad_row"), ("tab\tand\u2028line,joy,a", ""),
        ("x" * 5000 + ",joy,a", ""),
    ],
)  # fmt: skip
def test_a_bad_row_costs_itself_only(tmp_path: Path, row: str | bytes, status: str) -> None:
    before, after = good_rows(3), ['"after, quoted",anger,h', "the end,anger,h"]
    root = table(tmp_path, *before, row, *after)
    corpus = emotion_texts.read(root)
    assert [reject[:2] for reject in corpus.rejects] == ([("table.csv:5", status)] if status else [])
    assert len(corpus.texts) == 6 - bool(status)
    assert corpus.texts[-2].text == "after, quoted"


def test_the_same_words_stay_once_and_under_two_labels_not_at_all(tmp_path: Path) -> None:
    table(tmp_path, "Thank you!,joy,a", "thank  YOU,joy,b", "What?,anger,a", "what,joy,a", *good_rows(4))
    corpus = emotion_texts.read(goemotions(tmp_path, "What?!\t2\te1", "another\t1\te2", "one more\t1\te3"))
    assert [reject[:2] for reject in corpus.rejects] == [
        ("goemotions/train.tsv:1", "conflicting_labels"), ("table.csv:4", "conflicting_labels"),
        ("table.csv:5", "conflicting_labels"), ("table.csv:3", "duplicate_text"),
    ]  # fmt: skip
    assert corpus.rejects[0][2] == "the same words stand under neutral and anger and joy"
    assert corpus.texts[2].text == "Thank you!"


def test_one_reason_may_cost_half_of_a_file_and_no_more(tmp_path: Path) -> None:
    bad = [f"words number {n},,x" for n in range(3)]
    assert len(emotion_texts.read(table(tmp_path / "a", *good_rows(3), *bad)).texts) == 3
    with pytest.raises(UserError, match=r"table\.csv: 3 of 5 rows are rejected as empty_label, the first: table.csv:4"):
        emotion_texts.read(table(tmp_path / "b", *good_rows(2), *bad))
    table(tmp_path / "c", *good_rows(4))
    with pytest.raises(UserError, match=r"table_2\.csv: 4 of 4 rows are rejected as duplicate_text"):
        emotion_texts.read(table(tmp_path / "c", *good_rows(4), name="table_2.csv"))


def test_nothing_usable_no_rows_and_a_column_of_other_things_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none of 2 texts is usable; the first is rejected: table\.csv:2: empty_text"):
        emotion_texts.read(table(tmp_path / "a", ",joy,a", "words,,a"))
    with pytest.raises(UserError, match=r"table\.csv: has no rows"):
        emotion_texts.read(table(tmp_path / "b"))
    with pytest.raises(UserError, match="201 different labels, expected at most 200"):
        emotion_texts.read(table(tmp_path / "c", *(f"words {n},label {n},x" for n in range(201))))


@pytest.mark.parametrize(
    ("name", "header", "expected"),
    [
        ("a.csv", "sentence,emotion", "expected the columns text and label"),
        ("a.csv", "text;label", "expected the columns text and label"),
        ("a.csv", "", "expected the columns text and label"),
        ("a.csv", "text,label,text", "two columns are called text"),
        ("a.tsv", "text,label", "expected the columns text and label"),
        ("a.parquet", "text,label", "cannot be read as Parquet"),
        ("a.txt", "text,label", "no file with .csv, .tsv, .parquet"),
    ],
)
def test_a_file_of_no_known_format_is_an_error_that_names_it(
    tmp_path: Path, name: str, header: str, expected: str
) -> None:
    root = table(tmp_path, *good_rows(2), header=header, name=name)
    for call in (emotion_texts.check, emotion_texts.read):
        with pytest.raises(UserError, match=expected) as error:
            call(root)
        assert len(str(error.value).splitlines()) == 1


def test_parquet_without_columns_or_of_numbers_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [1, 2], "label": ["a", "b"]}), tmp_path / "t.parquet")
    with pytest.raises(UserError, match="column text is int64, expected text"):
        emotion_texts.read(tmp_path)
    pq.write_table(pa.table({"words": ["a"]}), tmp_path / "t.parquet")
    with pytest.raises(UserError, match="expected the columns text and label"):
        emotion_texts.check(tmp_path)


def test_shadows_hidden_files_and_other_files_are_left_alone(tmp_path: Path) -> None:
    root = table(tmp_path, *good_rows(2))
    for name in ("._table.csv", ".hidden.csv", "README.md", "licence.txt", "map.json"):
        (root / name).write_bytes(b"\0\1")
    (root / "folder.csv").mkdir()
    assert len(emotion_texts.read(root).texts) == 2


def test_other_numbers_of_rows_than_published_are_told() -> None:
    assert emotion_texts.compare_rows({**emotion_texts.KNOWN_ROWS, "my/table": 3}) == []
    assert emotion_texts.compare_rows({"isear": 7_000}) == [
        "emotion_texts isear: 7,000 rows, the published corpus has 7,666"
    ]


WORDS = st.sampled_from(["a", "b", "A", "b!", "c d", "", "\x00", '"x', "é"])
LABELS = st.sampled_from(["joy", "anger", ""])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(WORDS, LABELS), max_size=20))
def test_every_row_is_used_or_rejected_and_texts_are_all_different(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    root = table(tmp_path, *good_rows(60), *(f"{text},{label},g" for text, label in rows))
    corpus = emotion_texts.read(root)
    assert len(corpus.texts) + len(corpus.rejects) == corpus.rows_in == 60 + len(rows)
    assert len({text.text.casefold().strip("!") for text in corpus.texts}) == len(corpus.texts)


@pytest.mark.skipif("SIER_REAL_CORPORA" not in os.environ, reason="set SIER_REAL_CORPORA to a folder of corpora")
def test_the_published_files_are_read_whole() -> None:
    corpus = emotion_texts.read(Path(os.environ["SIER_REAL_CORPORA"]) / "emotion_texts")
    assert corpus.rows_of == emotion_texts.KNOWN_ROWS
    assert emotion_texts.compare_rows(corpus.rows_of) == []
    per_part = Counter(text.part for text in corpus.texts)
    # Most of each is used: what several annotators saw in one comment, and short turns of any emotion, are not.
    assert {part: round(per_part[part] / rows, 1) for part, rows in corpus.rows_of.items()} == {
        "goemotions": 0.8, "isear": 1.0, "meld": 0.8,
    }  # fmt: skip
    assert Counter(reject[1] for reject in corpus.rejects)["bad_row"] == 0
    labels = {part: {text.label for text in corpus.texts if text.part == part} for part in per_part}
    assert {part: len(found) for part, found in labels.items()} == {"goemotions": 28, "isear": 7, "meld": 7}
    assert len({text.group for text in corpus.texts if text.part == "isear"}) >= 1090  # of 1,096 subjects
    assert not any("á" in text.text for text in corpus.texts if text.part == "isear")
