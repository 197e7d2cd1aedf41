"""Formats of a corpus: which can be chosen, what stage acquire makes of them, and what the teachers read."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline import acquire
from pipeline.corpora.checks import CHECKS, FORMATS, SUFFIXES, files_read
from pipeline.errors import UserError
from pipeline.frame import acquired
from pipeline.teachers import corpora
from pipeline.train_teacher import _classes
from tests.builders_further import ACTED, build_acted, build_meld, write_csv, write_pictures, write_sound
from tests.builders_teachers import context


def speech_table(root: Path) -> None:
    rows = [(write_sound(root / f"r{n}.wav", seed=n).name, "ab"[n % 2], f"speaker {n % 3}") for n in range(6)]
    write_csv(root / "recordings.csv", [("path", "label", "speaker"), *rows])


def picture_table(root: Path) -> None:
    names = write_pictures(root, (f"pictures/{n}.jpg" for n in range(4)))
    write_csv(root / "table.tsv", [("path", "emotion", "group"), *((name, "joy", "g") for name in names)], "\t")


def own_pairs(root: Path) -> None:
    names = write_pictures(root, (f"p/{n}.jpg" for n in range(3)))
    write_csv(root / "pairs.csv", [("text", "picture"), *((f"text {name}", name) for name in names)])


BUILDERS: dict[tuple[str, str], Callable[[Path], Any]] = {
    **{("iemocap", name): partial(build_acted, name=name) for name in ACTED},
    ("iemocap", "ravdess_crema_d"): lambda root: [build_acted(root / name, name) for name in ("ravdess", "crema_d")],
    ("iemocap", "meld"): build_meld,
    ("iemocap", "speech_table"): speech_table,
    ("fi", "picture_folders"): lambda root: write_pictures(root, [f"{label}/{n}.jpg" for label in "ab" for n in "12"]),
    ("fi", "picture_table"): picture_table,
    ("b_t4sa", "table"): own_pairs,
}


def test_every_format_is_checked_and_has_a_name() -> None:
    formats = [form for forms in FORMATS.values() for form in forms]
    assert [forms[0] for forms in FORMATS.values()] == list(FORMATS)
    assert set(formats) == set(CHECKS)
    assert set(formats) - {"emotion_texts"} == set(acquired.NAMED) - {acquired.EMOSET}
    assert set(BUILDERS) == {(corpus, form) for corpus in FORMATS for form in FORMATS[corpus][1:]}
    assert set(SUFFIXES) == {form for _, form in BUILDERS}


def params(**given: Any) -> acquire.AcquireParams:
    return acquire.AcquireParams(
        **{"path": None, "url": None, "sha256": {}, "sample_size": 4, "max_lost_share": 0.05, **given}
    )


def run(tmp_path: Path, corpus: str, **given: Any) -> dict[str, Any]:
    acquire.run(params(**given), replace(context(tmp_path, "speech"), item=corpus))
    text = (tmp_path / "data" / "corpora" / corpus / acquired.MANIFEST).read_text(encoding="utf-8")
    manifest: dict[str, Any] = json.loads(text)
    return manifest


@pytest.mark.parametrize(("corpus", "form"), BUILDERS)
def test_a_folder_and_an_archive_of_it_are_acquired_alike(tmp_path: Path, corpus: str, form: str) -> None:
    root = tmp_path / "corpus"
    BUILDERS[corpus, form](root)
    manifest = run(tmp_path, corpus, path=str(root), format=form)
    assert manifest["format"] == acquired.read_format(tmp_path / "data" / "corpora" / corpus) == form
    everything = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    listed = {file["name"]: file["sha256"] for file in manifest["files"]}
    assert sorted(listed) == everything
    for name, digest in listed.items():
        assert digest == hashlib.sha256((root / name).read_bytes()).hexdigest()
    assert sum(manifest["counts"].values()) >= 3
    archive = shutil.make_archive(str(tmp_path / "archive"), "zip", tmp_path, "corpus")
    again = run(tmp_path, corpus, path=archive, format=form)
    assert [file["name"] for file in again["files"]] == [f"corpus/{name}" for name in everything]
    assert again["counts"] == manifest["counts"]


@pytest.mark.parametrize(("corpus", "form"), [key for key in BUILDERS if key[0] != "b_t4sa"])
def test_teachers_read_labels_and_sessions_of_the_format(tmp_path: Path, corpus: str, form: str) -> None:
    folder = tmp_path / "data" / "corpora" / corpus
    BUILDERS[corpus, form](folder / acquired.FILES)
    (folder / acquired.MANIFEST).write_text(json.dumps({"origin": "local copy", "format": form}), encoding="utf-8")
    found = corpora.read(corpus, folder)
    assert found.items
    assert {item.label for item in found.items} <= set(found.labels)
    if corpus == "iemocap":
        sessions = {(item.speaker, item.session) for item in found.items}
        assert len({speaker for speaker, _ in sessions}) == len(sessions) >= 2
        assert len({session for _, session in sessions}) >= 2
    given = type("Given", (), {"classes": {label: label[:1] or None for label in found.labels}})()
    assert _classes(given, found.labels, "here") if len(set(given.classes.values())) > 1 else True
    del given.classes[found.labels[0]]
    with pytest.raises(UserError, match=f"here does not name {found.labels[0]}; its labels are"):
        _classes(given, found.labels, "here")


def test_a_map_of_other_classes_is_refused_at_once(tmp_path: Path) -> None:
    speech_table(tmp_path / "corpus")
    given = params(path=str(tmp_path / "corpus"), format="speech_table")
    there = replace(context(tmp_path, "speech"), item="iemocap")
    for classes, says in (({"a": "anger", "b": "joy", "c": None}, "names c, which"), ({"a": "anger"}, "not name b;")):
        sections = {"train_teacher": {"speech": {"classes": classes}}}
        with pytest.raises(UserError, match=rf"train_teacher.speech.classes .*{says} .*its labels are a, b"):
            acquire.run(given, replace(there, sections=sections))
    acquire.run(given, replace(there, sections={"train_teacher": {"speech": {"classes": {"a": "anger", "b": None}}}}))


def test_many_rows_lost_for_one_reason_are_an_error_in_these_formats_too(tmp_path: Path) -> None:
    own_pairs(tmp_path / "corpus")
    (tmp_path / "corpus" / "p" / "1.jpg").unlink()
    with pytest.raises(UserError, match=r"b_t4sa: 1 of 3 rows would be lost as file_missing, the first: pairs.csv:2"):
        run(tmp_path, "b_t4sa", path=str(tmp_path / "corpus"), format="table")
    run(tmp_path, "b_t4sa", path=str(tmp_path / "corpus"), format="table", max_lost_share=0.5)


def test_one_speaker_alone_cannot_be_held_out(tmp_path: Path) -> None:
    folder = tmp_path / "iemocap"
    write_sound(folder / acquired.FILES / "a.wav")
    write_csv(folder / acquired.FILES / "t.csv", [("path", "label", "speaker"), ("a.wav", "joy", "me")])
    (folder / acquired.MANIFEST).write_text('{"origin": "local copy", "format": "speech_table"}', encoding="utf-8")
    with pytest.raises(UserError, match="all recordings are of the speaker me; expected two speakers or more"):
        corpora.read("iemocap", folder)


def test_a_format_of_another_corpus_or_without_a_path_is_refused() -> None:
    assert acquire.format_of("fi", params()) == "fi"
    assert acquire.format_of("fi", params(format="picture_table", path="x")) == "picture_table"
    with pytest.raises(
        UserError, match=r"acquire.fi.format = meld: expected one of fi, picture_folders, picture_table"
    ):
        acquire.format_of("fi", params(format="meld", path="x"))
    with pytest.raises(UserError, match=r"acquire.b_t4sa.format = table: the sample is not made in it; give path or"):
        acquire.format_of("b_t4sa", params(format="table"))


def test_hidden_files_are_no_part_of_a_corpus(tmp_path: Path) -> None:
    own_pairs(tmp_path)
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "p" / "._0.jpg").touch()
    assert [path.name for path in files_read("table", tmp_path)] == ["0.jpg", "1.jpg", "2.jpg", "pairs.csv"]
