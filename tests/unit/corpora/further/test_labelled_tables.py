"""Recordings and pictures of one's own: tables, a folder per label, and what may be wrong with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.corpora.further import labelled_tables
from pipeline.corpora.further._labelled import LABELS_MAX, LabelledFiles
from pipeline.errors import UserError
from pipeline.teachers.corpora import Item
from pipeline.teachers.picture_split import split_pictures
from tests.builders_further import write_csv, write_jsonl, write_pictures, write_sound

ROWS = [("a.wav", "angry", "anna"), ("more/b.wav", "calm", "ben"), ("more/c.wav", "angry", "ben")]


def statuses(corpus: LabelledFiles) -> dict[str, str]:
    assert len(corpus.files) + len(corpus.rejects) == corpus.rows_in
    return {identity: status for identity, status, _ in corpus.rejects}


def as_csv(root: Path) -> None:
    write_csv(root / "table.csv", [("path", "label", "speaker"), *ROWS])


def as_semicolons(root: Path) -> None:
    write_csv(root / "table.CSV", [("path", "emotion", "speaker", "text"), *((*row, "a, b") for row in ROWS)], ";")


def as_tsv(root: Path) -> None:
    write_csv(root / "table.tsv", [("file_name", "label", "speaker"), *ROWS], "\t")


def as_jsonl(root: Path) -> None:
    write_jsonl(root / "table.jsonl", [{"audio": path, "label": label, "speaker": who} for path, label, who in ROWS])


def as_parquet(root: Path) -> None:
    columns = dict(zip(("path", "label", "speaker"), zip(*ROWS, strict=True), strict=True))
    pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), root / "table.parquet")


@pytest.mark.parametrize("write", [as_csv, as_semicolons, as_tsv, as_jsonl, as_parquet])
def test_a_table_of_recordings_in_any_form(tmp_path: Path, write: Callable[[Path], None]) -> None:
    for name, *_ in ROWS:
        write_sound(tmp_path / name)
    write(tmp_path)
    labelled_tables.check_table("speech_table", tmp_path)
    corpus = labelled_tables.read_table("speech_table", tmp_path)
    assert [(file.id, file.label, file.speaker) for file in corpus.files] == ROWS
    assert corpus.labels == ("angry", "calm")
    assert statuses(corpus) == {}


def test_each_bad_row_costs_itself(tmp_path: Path) -> None:
    outside = write_sound(tmp_path / "outside.wav")
    root = tmp_path / "corpus"
    write_sound(root / "good.wav")
    (root / "empty.wav").touch()
    (root / "dead.wav").symlink_to(root / "nowhere")
    os.mkfifo(root / "pipe.wav")
    bad: dict[str, list[tuple[str, ...]]] = {
        "file_missing": [("gone.wav", "a", "s"), ("dead.wav", "a", "s"), ("pipe.wav", "a", "s"), ("x" * 150, "a", "s")],
        "file_empty": [("empty.wav", "a", "s")],
        "unsafe_path": [("../outside.wav", "a", "s"), (str(outside), "a", "s"), ("c:\\good.wav", "a", "s"),
                        ("x\\..\\..\\outside.wav", "a", "s")],
        "path_missing": [("", "a", "s")],
        "label_missing": [("good.wav", "", "s")],
        "speaker_missing": [("good.wav", "a", " ")],
        "bad_label": [("good.wav", "a\nb", "s"), ("good.wav", "x" * 201, "s"), ("good.wav", "\ufffd", "s")],
        "bad_row": [("good.wav", "a"), ("good.wav", "a", "s", "more")],
    }  # fmt: skip
    rows = [row for those in bad.values() for row in those]
    write_csv(root / "t.csv", [("path", "label", "speaker"), ("good.wav", "a", "s"), *rows])
    corpus = labelled_tables.read_table("speech_table", root)
    expected = [status for status, those in bad.items() for _ in those]
    assert [file.id for file in corpus.files] == ["good.wav"]
    assert [(identity, status) for identity, status, _ in corpus.rejects] == [
        (f"t.csv:{number}", status) for number, status in enumerate(expected, 2)
    ]


def test_rows_of_one_picture_are_votes(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("one.jpg", "two.jpg", "three.jpg"))
    rows = [("one.jpg", "awe"), ("one.jpg", "awe"), ("one.jpg", "fear"), ("two.jpg", "awe"), ("two.jpg", "fear"),
            ("three.jpg", "fear")]  # fmt: skip
    write_csv(tmp_path / "votes.csv", [("picture", "emotion"), *rows])
    corpus = labelled_tables.read_table("picture_table", tmp_path)
    assert [(file.id, file.label) for file in corpus.files] == [("one.jpg", "awe"), ("three.jpg", "fear")]
    assert sorted(status for _, status, _ in corpus.rejects) == [
        "duplicate_id", "no_majority", "no_majority", "outvoted",
    ]  # fmt: skip
    assert corpus.rows_in == 6


@pytest.mark.parametrize("layout", ["{label}/{name}", "images/{label}/{name}", "train/{label}/{name}"])
def test_a_folder_per_label_with_any_labels(tmp_path: Path, layout: str) -> None:
    names = write_pictures(
        tmp_path,
        (layout.format(label=label, name=f"{n}.jpg") for label in ("joy", "Überraschung") for n in range(2)),
    )
    (tmp_path / "ground_truth.txt").touch()
    labelled_tables.check_folders(tmp_path)
    corpus = labelled_tables.read_folders(tmp_path)
    assert [file.id for file in corpus.files] == sorted(names)
    assert corpus.labels == ("joy", "Überraschung")


def test_odd_files_in_label_folders_are_listed(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("joy/a.jpg", "fear/a.jpg"))
    (tmp_path / "joy" / "notes.txt").touch()
    (tmp_path / "joy" / "dead.jpg").symlink_to(tmp_path / "nowhere")
    Path(os.fsdecode(os.fsencode(tmp_path / "joy") + b"/x\xff.jpg")).touch()
    assert statuses(labelled_tables.read_folders(tmp_path)) == {
        "joy/notes.txt": "not_an_image_name", "joy/dead.jpg": "file_missing", "joy/x\\udcff.jpg": "bad_file_name",
    }  # fmt: skip


def test_what_is_no_corpus_is_refused_in_one_line(tmp_path: Path) -> None:
    def refuses(call: Callable[[], object], words: str) -> None:
        with pytest.raises(UserError, match=words) as error:
            call()
        assert "\n" not in str(error.value)

    refuses(lambda: labelled_tables.check_table("speech_table", tmp_path / "x"), "expected a folder")
    refuses(lambda: labelled_tables.check_table("speech_table", tmp_path), "found none")
    write_csv(tmp_path / "t.csv", [("path", "label"), ("a.wav", "x")])
    refuses(lambda: labelled_tables.check_table("speech_table", tmp_path), "expected a column speaker, found 'path")
    write_csv(tmp_path / "t.csv", [("path", "label", "label", "speaker")])
    refuses(lambda: labelled_tables.check_table("speech_table", tmp_path), "two columns are called label")
    write_csv(tmp_path / "t.csv", [("path", "label", "speaker")])
    refuses(lambda: labelled_tables.read_table("speech_table", tmp_path), "none of 0 rows")
    (tmp_path / "t.csv").rename(tmp_path / "t.parquet")
    refuses(lambda: labelled_tables.read_table("speech_table", tmp_path), "cannot be read as Parquet")
    (tmp_path / "t.parquet").rename(tmp_path / "t.arrow")
    refuses(lambda: labelled_tables.read_table("speech_table", tmp_path), "cannot be read as Arrow")
    (tmp_path / "t.arrow").unlink()
    write_pictures(tmp_path, ("joy/a.jpg",))
    refuses(lambda: labelled_tables.check_folders(tmp_path), "two labels or more; found only joy")
    names = write_pictures(tmp_path, (f"{n}.jpg" for n in range(LABELS_MAX + 1)))
    write_csv(tmp_path / "t.csv", [("path", "label"), *((name, name) for name in names)])
    refuses(lambda: labelled_tables.read_table("picture_table", tmp_path), "201 different labels")


def test_pictures_of_a_group_lie_on_one_side() -> None:
    labels = ["joy", "fear"] * 30
    items = [Item(f"{n:02}", Path(), label, session=f"g{n // 3}" if n < 30 else "") for n, label in enumerate(labels)]
    splits = split_pictures(items, labels, seed=3)
    for group in {item.session for item in items} - {""}:
        assert len({split for item, split in zip(items, splits, strict=True) if item.session == group}) == 1
    assert set(splits) == {"train", "validation", "test"}
