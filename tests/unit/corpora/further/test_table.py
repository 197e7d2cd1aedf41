"""Pairs of text and picture of one's own, in every form, and what may be wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.corpora.b_t4sa import SourceRows
from pipeline.corpora.checks import files_read
from pipeline.corpora.further import table
from pipeline.errors import RowError, UserError
from tests.builders_further import write_csv, write_jsonl, write_pictures
from tests.builders_pictures import jpeg

ROWS: list[dict[str, Any]] = [
    {
        "text": "A day, \u201cgreat\u201d!",
        "picture": "p/a.jpg",
        "sentiment": "positive",
        "id": "x1",
        "group": "anna",
    },
    {"text": "two\nlines", "picture": "p/b.jpg", "sentiment": "Negative", "id": "x2", "group": "ben"},
    {"text": "again anna", "picture": "p/c.jpg", "sentiment": "", "id": "x0", "group": "anna"},
]
EXPECTED = [("x1-1", "anna", 1, "positive"), ("x0-2", "anna", 2, None), ("x2-1", "ben", 1, "negative")]


def as_csv(root: Path) -> None:
    write_csv(root / "mine.csv", [list(ROWS[0]), *(list(row.values()) for row in ROWS)])


def as_tsv(root: Path) -> None:
    write_csv(root / "mine.tsv", [list(ROWS[0]), *(list(row.values()) for row in ROWS)], "\t")


def as_jsonl(root: Path) -> None:
    write_jsonl(root / "mine.jsonl", [{**row, "sentiment": row["sentiment"] or None, "likes": 3} for row in ROWS])


def as_parquet_of_paths(root: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), root / "mine.parquet")


def as_parquet_of_bytes(root: Path) -> None:
    rows = [{**row, "picture": (root / row["picture"]).read_bytes()} for row in ROWS]
    pq.write_table(pa.Table.from_pylist(rows), root / "mine.parquet")


def hugging_face(root: Path) -> datasets.Dataset:
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0] if name != "picture"}
    columns["sentiment"] = [{"positive": 1, "negative": 0}.get(name.lower()) for name in columns["sentiment"]]
    columns["image"] = [{"bytes": (root / row["picture"]).read_bytes(), "path": None} for row in ROWS]
    features = datasets.Features({
        "text": datasets.Value("string"), "sentiment": datasets.ClassLabel(names=["negative", "positive"]),
        "id": datasets.Value("string"), "group": datasets.Value("large_string"), "image": datasets.Image(),
    })  # fmt: skip
    return datasets.Dataset.from_dict(columns, features=features)


def as_saved_dataset(root: Path) -> None:
    hugging_face(root).save_to_disk(str(root / "saved"))


def as_parquet_of_datasets(root: Path) -> None:
    (root / "data").mkdir()
    hugging_face(root).to_parquet(str(root / "data" / "train-00000-of-00001.parquet"))


def as_image_folder(root: Path) -> None:
    rows = [{**row, "file_name": Path(row["picture"]).name} for row in ROWS]
    write_jsonl(root / "p" / "metadata.jsonl", [{k: v for k, v in row.items() if k != "picture"} for row in rows])


FORMS: list[Callable[[Path], None]] = [
    as_csv, as_tsv, as_jsonl, as_parquet_of_paths, as_parquet_of_bytes, as_saved_dataset, as_parquet_of_datasets,
    as_image_folder,
]  # fmt: skip


def status_of(source: SourceRows) -> list[tuple[str, str]]:
    assert source.rows.num_rows + len(source.rejects) == source.rows_in
    return [(identity, status) for identity, status, _ in source.rejects]


@pytest.mark.parametrize("write", FORMS)
def test_every_form_gives_the_same_rows_and_pictures(tmp_path: Path, write: Callable[[Path], None]) -> None:
    root = tmp_path / "own"
    write_pictures(root, (row["picture"] for row in ROWS))
    write(root)
    table.check(root)
    source = table.read_rows(root, tmp_path / "packed")
    rows = source.rows.to_pylist()
    assert [(row["id"], row["tweet_id"], row["image_index"], row["sentiment"]) for row in rows] == EXPECTED
    of_id = {row["id"]: row for row in ROWS}
    reader = table.PictureReader(root, tmp_path / "packed")
    for row in rows:
        given = of_id[row["id"].rpartition("-")[0]]
        assert row["text"] == given["text"]
        assert row["source_split"] == "train"
        assert reader.read_row(row, 10**6) == (root / given["picture"]).read_bytes()
    with pytest.raises(RowError, match="image_too_large_bytes"):
        reader.read_row(rows[0], 10)
    assert status_of(source) == []
    assert table.read_rows(root).rows.equals(source.rows)  # as acquire counts them


def test_text_and_picture_suffice(tmp_path: Path) -> None:
    names = write_pictures(tmp_path, (f"{n}.jpg" for n in range(3)))
    write_csv(tmp_path / "mine.csv", [("image", "text"), *((name, f"text {name}") for name in names)])
    rows = table.read_rows(tmp_path).rows
    assert rows["id"].to_pylist() == ["000001-1", "000002-1", "000003-1"]
    assert rows["tweet_id"].to_pylist() == ["000001", "000002", "000003"]
    assert rows["sentiment"].null_count == 3


def test_splits_come_from_names_and_numbers_run_on(tmp_path: Path) -> None:
    for split in ("test", "train", "validation"):
        write_pictures(tmp_path / split, ("a.jpg",))
        write_csv(tmp_path / split / "metadata.csv", [("file_name", "text"), ("a.jpg", f"a text of {split}")])
    rows = table.read_rows(tmp_path).rows.to_pylist()
    assert [(row["id"], row["member"], row["source_split"]) for row in rows] == [
        ("000001-1", "test/a.jpg", "test"), ("000002-1", "train/a.jpg", "train"),
        ("000003-1", "validation/a.jpg", "val"),
    ]  # fmt: skip


def test_each_bad_row_costs_itself(tmp_path: Path) -> None:
    write_pictures(tmp_path, ("a.jpg",))
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "dead.jpg").symlink_to(tmp_path / "nowhere")
    good = {"text": "good", "picture": "a.jpg", "sentiment": "neutral", "id": "1", "group": ""}
    bad: list[tuple[str, Mapping[str, Any]]] = [
        ("duplicate_id", {}), ("text_missing", {"text": "  "}), ("bad_text", {"text": "x" * 5001}),
        ("bad_text", {"text": "a\0b"}), ("path_missing", {"picture": None}), ("file_missing", {"picture": "b.jpg"}),
        ("file_missing", {"picture": "dead.jpg"}), ("file_missing", {"picture": "y" * 200}),
        ("file_empty", {"picture": "empty.jpg"}), ("unsafe_path", {"picture": "../a.jpg"}),
        ("unsafe_path", {"picture": str(tmp_path / "a.jpg")}), ("bad_sentiment", {"sentiment": "meh"}),
        ("bad_id", {"id": "a/b"}), ("bad_id", {"id": "../x"}), ("bad_id", {"id": "é"}), ("bad_id", {"id": "=1+1"}),
        ("bad_id", {"id": "7.84761E+17"}), ("bad_id", {"id": "12.0"}), ("bad_row", {"id": 7.84e17}),
        ("bad_row", {"text": True}), ("bad_group", {"group": "a\nb"}), ("bad_text", {"text": "\ud800"}),
    ]  # fmt: skip
    lines = [json.dumps({**good, "id": str(n), **change}) for n, (_, change) in enumerate(bad, 100)]
    lines[0] = json.dumps(good)
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join([json.dumps(good), *lines, "[1]", "{", "[" * 100_000, ""]), encoding="utf-8")
    with path.open("ab") as file:
        file.write(b'{"text": "caf\xe9", "picture": "a.jpg", "id": "9"}\n')
    source = table.read_rows(tmp_path)
    expected = [status for status, _ in bad] + ["bad_row"] * 3 + ["bad_text"]
    assert [status for _, status in status_of(source)] == expected
    assert status_of(source)[:2] == [("1", "duplicate_id"), ("mine.jsonl:3", "text_missing")]
    assert source.rows["id"].to_pylist() == ["1-1"]
    assert all("\n" not in reason for _, _, reason in source.rejects)


def test_a_table_alone_is_read_with_its_own_pictures_and_nothing_beside_it(tmp_path: Path) -> None:
    own = tmp_path / "own"
    write_pictures(own, ("a.jpg", "b.jpg", "c.jpg", "photos/not named.jpg"))
    splits = ["Test", "validation", "", "later"]
    named = ["a.jpg", "b.jpg", "c.jpg", "a.jpg"]
    write_csv(own / "mine.csv", [("text", "image", "split"), *zip("wxyz", named, splits, strict=True)])
    write_csv(own / "other.csv", [("name",), ("neither read nor refused",)])
    linked = tmp_path / "files"  # as acquire puts it into data/corpora
    linked.symlink_to(own / "mine.csv")
    for root in (own / "mine.csv", linked):
        table.check(root)
        source = table.read_rows(root)
        assert source.rows["source_split"].to_pylist() == ["test", "val", "train"]
        assert status_of(source) == [("mine.csv:4", "bad_split")]
        reader = table.PictureReader(root, tmp_path / "packed")
        pictures = [reader.read_row(row, 10**6) for row in source.rows.to_pylist()]
        assert pictures == [(own / name).read_bytes() for name in named[:3]]
    assert files_read("table", own / "mine.csv") == sorted([*(own / name for name in named[:3]), own / "mine.csv"])


def test_equal_pictures_in_a_table_are_written_once(tmp_path: Path) -> None:
    data = jpeg(1)
    rows = [{"text": f"text {n}", "picture": data} for n in range(100)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "mine.parquet")
    table.read_rows(tmp_path, tmp_path / "packed")
    assert (tmp_path / "packed").stat().st_size == len(data)


def test_links_are_followed_as_in_a_cache_of_the_hub(tmp_path: Path) -> None:
    write_pictures(tmp_path / "blobs", ("1",))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.jpg").symlink_to(tmp_path / "blobs" / "1")
    write_csv(tmp_path / "blobs" / "t", [("text", "picture"), ("linked", "a.jpg")])
    (tmp_path / "own" / "mine.csv").symlink_to(tmp_path / "blobs" / "t")
    assert table.read_rows(tmp_path / "own").rows["text"].to_pylist() == ["linked"]


def test_what_is_no_such_table_is_refused_in_one_line(tmp_path: Path) -> None:
    def refuses(words: str) -> None:
        for call in (table.check, table.read_rows):
            with pytest.raises(UserError, match=words) as error:
                call(tmp_path)
            assert "\n" not in str(error.value)

    refuses("expected a table with columns text and image .* found none")
    write_csv(tmp_path / "a.csv", [("id", "text"), (1, "x")])
    refuses("a.csv: expected a column image or picture or file_name, found 'id, text'")
    (tmp_path / "a.csv").write_text("", encoding="utf-8")
    refuses("expected a column text")
    (tmp_path / "a.csv").rename(tmp_path / "a.jsonl")
    refuses("expected a JSON object per line, found none")
    (tmp_path / "a.jsonl").unlink()
    pq.write_table(pa.table({"text": ["x"], "picture": ["a.jpg"], "id": [1.5]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="column id is double, expected text"):
        table.read_rows(tmp_path)
    write_csv(tmp_path / "a.csv", [("text", "picture")])
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(UserError, match="none of 0 rows is usable; the tables are empty"):
        table.read_rows(tmp_path)
