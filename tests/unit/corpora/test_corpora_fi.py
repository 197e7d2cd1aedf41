from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.corpora import fi
from pipeline.corpora._images import ImageCorpus
from pipeline.errors import UserError
from tests.builders import Picture, build_fi, plain_pictures, png


def status_of(corpus: ImageCorpus) -> dict[str, str]:
    assert len(corpus.images) + len(corpus.rejects) == corpus.rows_in
    return {row_id: status for row_id, status, _ in corpus.rejects}


@pytest.mark.parametrize("form", ["folders", "agg", "emoset"])
def test_each_form_gives_the_same_pictures(tmp_path: Path, form: str) -> None:
    pictures = plain_pictures(per_class=3)
    root = build_fi(tmp_path, pictures, form=form)
    fi.check(root)
    corpus = fi.read(root)
    assert [image.id for image in corpus.images] == sorted(f"{p.emotion}/{p.name}" for p in pictures)
    data = {f"{p.emotion}/{p.name}": p.data for p in pictures}
    assert all(image.path.read_bytes() == data[image.id] for image in corpus.images)
    assert all(image.id.startswith(f"{image.emotion}/") for image in corpus.images)
    assert (corpus.rejects, corpus.rows_in, corpus.form) == ([], 24, form)


def test_suffixes_of_pictures_are_read_in_any_case_and_others_rejected(tmp_path: Path) -> None:
    names = {"a.JPG": None, "b.Jpeg": None, "c.PNG": None, "d.gif": "x", "notes.txt": "x", "e": "x"}
    extra = [Picture("awe", name, png(1)) for name in names]
    corpus = fi.read(build_fi(tmp_path, [*plain_pictures(1), *extra]))
    assert {image.path.name for image in corpus.images if image.emotion == "awe"} == {
        "a.JPG", "b.Jpeg", "c.PNG", "awe_0001.jpg",
    }  # fmt: skip
    assert status_of(corpus) == {f"awe/{name}": "not_an_image_name" for name, bad in names.items() if bad}


def test_a_folder_a_dead_link_and_a_foreign_name_in_a_class_are_rejected(tmp_path: Path) -> None:
    root = build_fi(tmp_path)
    (root / "fear" / "deeper.jpg").mkdir()
    (root / "fear" / "dead.jpg").symlink_to(root / "nowhere.jpg")
    Path(os.fsdecode(os.fsencode(root / "fear") + b"/x\xff.jpg")).touch()
    assert status_of(fi.read(root)) == {
        "fear/deeper.jpg": "not_an_image_name",
        "fear/dead.jpg": "image_missing",
        "fear/x\\udcff.jpg": "bad_file_name",
    }


@pytest.mark.parametrize("form", ["folders", "agg"])
def test_hidden_files_are_not_rows(tmp_path: Path, form: str) -> None:
    corpus = fi.read(build_fi(tmp_path, form=form, apple_double=True))
    assert (len(corpus.images), corpus.rejects, corpus.rows_in) == (16, [], 16)


def test_linked_root_and_linked_class_folders_are_read(tmp_path: Path) -> None:
    root = build_fi(tmp_path / "fi")
    shutil.move(root / "awe", tmp_path / "elsewhere")
    (root / "awe").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(root)
    fi.check(tmp_path / "link")
    assert Counter(image.emotion for image in fi.read(tmp_path / "link").images) == dict.fromkeys(fi.EMOTIONS, 2)


def test_loose_files_beside_the_class_folders_are_ignored(tmp_path: Path) -> None:
    root = build_fi(tmp_path)
    (root / "README.txt").touch()
    assert len(fi.read(root).images) == 16


@pytest.mark.parametrize("name", ["joy", "test", "anger2"])
def test_an_unknown_class_is_named_with_the_known_ones(tmp_path: Path, name: str) -> None:
    root = build_fi(tmp_path)
    (root / name).mkdir()
    for call in (fi.read, fi.check):
        with pytest.raises(UserError) as error:
            call(root)
        assert repr(name) in str(error.value)
        assert all(emotion in str(error.value) for emotion in fi.EMOTIONS)


def test_missing_and_empty_class_folders_are_named(tmp_path: Path) -> None:
    root = build_fi(tmp_path)
    shutil.rmtree(root / "fear")
    shutil.rmtree(root / "awe")
    for call in (fi.read, fi.check):
        with pytest.raises(UserError, match="no folder for awe, fear"):
            call(root)
    (root / "fear").mkdir()
    (root / "awe").mkdir()
    with pytest.raises(UserError, match="awe: expected pictures"):
        fi.read(root)
    with pytest.raises(UserError, match="nowhere: expected a folder"):
        fi.read(root / "nowhere")


# Lists ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("disagree", "agree", "kept"), [(2, 3, True), (0, 1, True), (2, 2, False), (3, 2, False), (0, 0, False)]
)
def test_only_a_strict_majority_keeps_a_picture(tmp_path: Path, disagree: int, agree: int, kept: bool) -> None:
    item = replace(plain_pictures(1)[0], name="voted.jpg", disagree=disagree, agree=agree)
    corpus = fi.read(build_fi(tmp_path, [*plain_pictures(1), item], form="agg"))
    row_id = f"{item.emotion}/voted.jpg"
    assert (row_id in {image.id for image in corpus.images}) == kept
    assert status_of(corpus) == ({} if kept else {row_id: "no_majority"})


@pytest.mark.parametrize(
    "line",
    ["1,http://x/y.jpg,1", "1,http://x/y.jpg,1,2,3", "1,http://x/y.jpg,one,2", "1,http://x/y.jpg,-1,2", "1,,1,2",
     "1,http://x/,1,2", "1,http://[x/y.jpg,1,2", "_,url,disagree,agree", "nonsense"],
)  # fmt: skip
def test_a_bad_list_row_is_rejected_by_file_and_line(tmp_path: Path, line: str) -> None:
    corpus = fi.read(build_fi(tmp_path, form="agg", extra_csv_lines=[line]))
    assert status_of(corpus) == {"anger_5agg.csv:3": "bad_csv_row"}
    assert len(corpus.images) == 16


def test_absent_and_repeated_pictures_of_a_list_are_rejected(tmp_path: Path) -> None:
    lines = ["9,http://x/anger_0001.jpg?size=large,1,4", "10,http://x/gone.jpg,1,4"]
    corpus = fi.read(build_fi(tmp_path, form="agg", extra_csv_lines=lines))
    assert status_of(corpus) == {"anger/anger_0001.jpg": "duplicate_id", "anger/gone.jpg": "image_missing"}
    assert "anger/anger_0001.jpg" in {image.id for image in corpus.images}


def test_pictures_of_one_name_are_told_apart_by_emotion_folders_or_rejected(tmp_path: Path) -> None:
    lines = ["9,http://x/same.jpg,1,4", "10,http://x/twice.jpg,1,4"]
    root = build_fi(tmp_path, form="agg", extra_csv_lines=lines)
    for name in ("anger/same.jpg", "awe/same.jpg", "a/twice.jpg", "b/twice.jpg"):
        (root / "images" / name).parent.mkdir(exist_ok=True)
        (root / "images" / name).write_bytes(png(1))
    corpus = fi.read(root)
    assert status_of(corpus) == {"anger/twice.jpg": "image_ambiguous"}
    assert {i.id: i.path for i in corpus.images}["anger/same.jpg"] == root / "images" / "anger" / "same.jpg"


def test_lists_with_crlf_and_bom_are_read(tmp_path: Path) -> None:
    corpus = fi.read(build_fi(tmp_path, form="agg", newline="\r\n", bom=True))
    assert (len(corpus.images), corpus.rejects) == (16, [])


def test_linked_folders_of_pictures_are_entered_once(tmp_path: Path) -> None:
    root = build_fi(tmp_path / "fi", form="agg")
    shutil.move(root / "images" / "part1", tmp_path / "disk2")
    (root / "images" / "part1").symlink_to(tmp_path / "disk2")
    (tmp_path / "disk2" / "loop").symlink_to(root / "images")
    assert len(fi.read(root).images) == 16


def test_lists_of_unknown_or_missing_emotions_and_missing_pictures_are_errors(tmp_path: Path) -> None:
    root = build_fi(tmp_path, form="agg")
    (root / "agg" / "joy_5agg.csv").touch()
    with pytest.raises(UserError, match="unknown list 'joy'"):
        fi.check(root)
    (root / "agg" / "joy_5agg.csv").unlink()
    (root / "agg" / "awe_5agg.csv").unlink()
    with pytest.raises(UserError, match="no list for awe"):
        fi.read(root)
    shutil.rmtree(root / "images")
    with pytest.raises(UserError, match="images: expected a folder"):
        fi.check(root)


def test_no_usable_picture_is_an_error(tmp_path: Path) -> None:
    pictures = [replace(item, agree=0) for item in plain_pictures(1)]
    with pytest.raises(UserError, match=r"none of 8 pictures.*no_majority"):
        fi.read(build_fi(tmp_path, pictures, form="agg"))


@pytest.mark.skipif("SIER_REAL_CORPORA" not in os.environ, reason="SIER_REAL_CORPORA does not name the real corpora")
def test_real_photographs_are_read_whole() -> None:
    root = Path(os.environ["SIER_REAL_CORPORA"]) / "fi"
    fi.check(root)
    corpus = fi.read(root)
    assert (corpus.rows_in, corpus.rejects, corpus.form) == (231, [], "folders")
    assert Counter(image.emotion for image in corpus.images) == {
        "contentment": 33, "excitement": 33, "amusement": 32, "awe": 32, "fear": 32,
        "anger": 27, "disgust": 21, "sadness": 21,
    }  # fmt: skip
    assert all(image.path.read_bytes()[:3] == b"\xff\xd8\xff" for image in corpus.images)
