from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.corpora import emoset, fi
from pipeline.corpora._images import LabelledImage
from pipeline.errors import UserError
from tests.builders import EmoSetRow, build_emoset, build_fi, png

PATH = "image/awe/awe_00001.jpg"
GOOD = EmoSetRow("train", ["awe", 17, PATH, "annotation/awe/awe_00001.json"], {PATH: png(1)})


def test_the_label_order_is_emosets_own() -> None:
    assert emoset.EMOTIONS == (
        "amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness",
    )  # fmt: skip
    assert sorted(emoset.EMOTIONS) == sorted(fi.EMOTIONS)


@pytest.mark.parametrize(
    "row",
    [
        ["awe", 17, PATH, "annotation/awe/awe_00001.json"],
        ["awe", "awe_00001", PATH],
        ["awe", PATH, "annotation/awe/awe_00001.json"],
        ["awe", PATH],
    ],
)
def test_rows_of_two_to_four_items_are_read(tmp_path: Path, row: list[object]) -> None:
    corpus = emoset.read(build_emoset(tmp_path, [EmoSetRow("val", row, {PATH: png(1)})]))
    assert corpus.images == [LabelledImage("awe/awe_00001.jpg", tmp_path / PATH, "awe")]
    assert (corpus.rejects, corpus.rows_in, corpus.form) == ([], 1, "emoset")


@pytest.mark.parametrize(
    "row",
    [[], ["awe"],
     ["awe", 1, 2, 3], ["awe", 1, PATH, PATH], ["awe", 1, PATH, "b", "c"], [7, 1, PATH], {"a": 1}, None, "x",
     ["awe", "elsewhere/x.jpg"], ["awe", ["image/x.jpg"]], ["awe", "image/\ud800.jpg"]],
)  # fmt: skip
def test_a_bad_row_is_rejected_by_file_and_number(tmp_path: Path, row: object) -> None:
    corpus = emoset.read(build_emoset(tmp_path, [GOOD, EmoSetRow("train", row)]))
    assert [reject[:2] for reject in corpus.rejects] == [("train.json:2", "bad_json_row")]
    assert (len(corpus.images), corpus.rows_in) == (1, 2)


def test_paths_that_climb_and_missing_and_repeated_pictures_are_rejected(tmp_path: Path) -> None:
    rows = [GOOD, EmoSetRow("val", GOOD.row), EmoSetRow("test", ["awe", 1, "image/gone.jpg"])]
    rows.append(EmoSetRow("test", ["awe", 1, "image/../../outside.jpg"]))
    (tmp_path / "outside.jpg").write_bytes(png(1))
    corpus = emoset.read(build_emoset(tmp_path / "emoset", rows))
    assert sorted(reject[:2] for reject in corpus.rejects) == [
        ("awe/awe_00001.jpg", "duplicate_id"),
        ("awe/gone.jpg", "image_missing"),
        ("test.json:2", "unsafe_path"),
    ]


@pytest.mark.parametrize("emotion", ["joy", "Awe", ""])
def test_an_unknown_emotion_stops_with_file_row_and_the_known_ones(tmp_path: Path, emotion: str) -> None:
    with pytest.raises(UserError) as error:
        emoset.read(build_emoset(tmp_path, [GOOD, EmoSetRow("train", [emotion, 1, PATH])]))
    assert "train.json: row 2" in str(error.value)
    assert repr(emotion) in str(error.value)
    assert all(known in str(error.value) for known in emoset.EMOTIONS)


@pytest.mark.parametrize("content", ["", "[1, 2", "{", "\ufeff", "[" * 100_000, "nonsense"])
def test_bad_json_is_an_error_with_the_path(tmp_path: Path, content: str) -> None:
    root = build_emoset(tmp_path, [GOOD])
    (root / "val.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"val\.json: not valid JSON"):
        emoset.read(root)


def test_json_that_is_no_list_is_an_error(tmp_path: Path) -> None:
    root = build_emoset(tmp_path, [GOOD])
    (root / "val.json").write_text(json.dumps({"rows": []}))
    with pytest.raises(UserError, match="expected a JSON list of rows, found dict"):
        emoset.read(root)


def test_missing_lists_folders_and_rows_are_errors(tmp_path: Path) -> None:
    root = build_emoset(tmp_path / "a", [GOOD])
    (root / "val.json").rename(root / "valid.json")
    for call in (emoset.check, fi.check, fi.read):
        with pytest.raises(UserError, match=r"expected a file named val\.json; found valid\.json"):
            call(root)
    with pytest.raises(UserError, match="none of 0 pictures"):
        emoset.read(build_emoset(tmp_path / "b", []))
    (tmp_path / "b" / "image").rmdir()
    with pytest.raises(UserError, match="image: expected a folder"):
        emoset.check(tmp_path / "b")


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    root = build_fi(tmp_path, form="emoset")
    data = (root / "train.json").read_bytes()
    (root / "train.json").write_bytes(b"\xef\xbb\xbf" + data)
    assert len(emoset.read(root).images) == 16
