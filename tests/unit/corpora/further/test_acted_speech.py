"""RAVDESS, CREMA-D, EmoDB and MELD: labels and speakers as their publishers encode them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.corpora.further import acted_speech, labelled, meld
from pipeline.corpora.further._labelled import LabelledFile, LabelledFiles, sessions
from pipeline.errors import UserError
from tests.builders_further import ACTED, SPEAKERS, build_acted, build_meld, write_csv, write_sound


def statuses(corpus: LabelledFiles) -> dict[str, str]:
    assert len(corpus.files) + len(corpus.rejects) == corpus.rows_in
    return {identity: status for identity, status, _ in corpus.rejects}


@pytest.mark.parametrize("name", ACTED)
def test_names_say_label_and_speaker(tmp_path: Path, name: str) -> None:
    root = build_acted(tmp_path, name)
    acted_speech.check(name, root)
    corpus = acted_speech.read(name, root)
    assert {file.id: file.label for file in corpus.files} == ACTED[name]
    assert all(file.speaker == file.id[SPEAKERS[name]] for file in corpus.files)
    assert set(ACTED[name].values()) < set(corpus.labels)
    assert len(corpus.labels) == {"ravdess": 8, "crema_d": 6, "emodb": 7}[name]
    assert statuses(corpus) == {}


def test_two_corpora_in_one_folder_are_read_as_they_are_alone(tmp_path: Path) -> None:
    build_acted(tmp_path / "ravdess", "ravdess")
    with pytest.raises(UserError, match=r"expected recordings of CREMA-D with names such as 1001_DFA_ANG_XX"):
        acted_speech.check("ravdess_crema_d", tmp_path)
    build_acted(tmp_path / "crema_d", "crema_d")
    write_sound(tmp_path / "crema_d" / "03a01Fa.wav")
    acted_speech.check("ravdess_crema_d", tmp_path)
    both = acted_speech.read("ravdess_crema_d", tmp_path)
    alone = [acted_speech.read(name, tmp_path / name) for name in ("ravdess", "crema_d")]
    assert both.files == sorted((file for one in alone for file in one.files), key=lambda file: file.id)
    assert both.labels == tuple(sorted(label for one in alone for label in one.labels))
    assert statuses(both) == {"03a01Fa.wav": "bad_file_name"}
    assert len({file.speaker for file in both.files}) == sum(len({file.speaker for file in one.files}) for one in alone)
    differences = [labelled.differences(name, one) for name, one in zip(("ravdess", "crema_d"), alone, strict=True)]
    assert labelled.differences("ravdess_crema_d", both) == [line for lines in differences for line in lines]


def test_published_sizes_are_known() -> None:
    totals = {name: sum(naming.known.values()) for name, naming in acted_speech.NAMINGS.items()}
    assert totals == {"ravdess": 1440, "crema_d": 7442, "emodb": 535}
    assert sum(meld.KNOWN.values()) == 13_708


def test_what_is_no_speech_or_of_no_known_name_is_listed(tmp_path: Path) -> None:
    root = build_acted(tmp_path, "ravdess")
    shutil.copytree(root / "Actor_01", root / "audio_speech_actors_01-24" / "Actor_01")  # as a mirror has it
    for stem in ("03-02-05-01-01-01-01", "03-01-09-01-01-01-01", "notes"):
        write_sound(root / "Actor_01" / f"{stem}.wav")
    (root / "Actor_01" / "03-01-05-01-01-01-03.wav").symlink_to(root / "nowhere.wav")
    (root / "Actor_01" / "03-01-05-01-01-01-03.mp4").touch()
    (root / "Actor_01" / "._03-01-05-01-01-01-01.wav").touch()
    corpus = acted_speech.read("ravdess", root)
    assert len(corpus.files) == 3
    assert statuses(corpus) == {
        "03-02-05-01-01-01-01": "not_speech", "03-01-09-01-01-01-01": "unknown_label", "notes.wav": "bad_file_name",
        "03-01-05-01-01-01-03": "file_missing", "03-01-05-01-01-01-01": "duplicate_id",
    }  # fmt: skip


@pytest.mark.parametrize("name", ACTED)
def test_another_corpus_is_refused_in_a_line_that_names_the_parameter(tmp_path: Path, name: str) -> None:
    root = build_acted(tmp_path, next(other for other in ACTED if other != name))
    for call in (acted_speech.check, acted_speech.read):
        with pytest.raises(UserError) as error:
            call(name, root)
        assert "\n" not in str(error.value)
        assert acted_speech.NAMINGS[name].example in str(error.value)
    with pytest.raises(UserError, match="nowhere: expected a folder"):
        acted_speech.check(name, root / "nowhere")


def test_speakers_are_dealt_to_five_sessions_of_like_size() -> None:
    rows = {"a": 5, "b": 4, "c": 3, "d": 2, "e": 2, "f": 1, "g": 1}
    files = [LabelledFile(f"{who}{n}", Path(), "x", who) for who, number in rows.items() for n in range(number)]
    assert sessions(files) == {"a": "1", "b": "2", "c": "3", "d": "4", "e": "5", "f": "4", "g": "5"}
    assert sessions(files) == sessions(files[::-1])
    assert sessions([file for file in files if file.speaker in "ab"]) == {"a": "1", "b": "2"}


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_meld_joins_lists_and_recordings_of_each_split(tmp_path: Path, suffix: str) -> None:
    root = build_meld(tmp_path, suffix)
    meld.check(root)
    corpus = meld.read(root)
    assert [(file.id, file.label, file.speaker) for file in corpus.files] == [
        (f"{split}/dia0_utt{n}", label, speaker)
        for split in ("dev", "test", "train")
        for n, (label, speaker) in enumerate([("neutral", "Chandler"), ("joy", "The Interviewer")])
    ]
    assert corpus.files[0].path == root / "dev_splits_complete" / f"dia0_utt0{suffix}"
    assert corpus.labels == meld.EMOTIONS
    assert labelled.differences("meld", corpus)[0] == "MELD anger: 0 files, the published corpus has 1,607"


def test_meld_prefers_extracted_sound_to_films(tmp_path: Path) -> None:
    root = build_meld(tmp_path)
    (root / "train_splits" / "dia0_utt0.mp4").touch()
    (root / "train_splits" / "dia0_utt1.wav").rename(root / "train_splits" / "dia0_utt1.mp4")
    found = {file.id: file.path.suffix for file in meld.read(root).files}
    assert (found["train/dia0_utt0"], found["train/dia0_utt1"]) == (".wav", ".mp4")


def test_rows_of_meld_that_cannot_be_used_are_listed(tmp_path: Path) -> None:
    root = build_meld(tmp_path)
    header = ("Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
    rows = [("Joey", "neutral", 0, 0), ("Joey", "bored", 0, 1), ("", "joy", 0, 1), ("Joey", "joy", "../0", 1),
            ("Joey", "joy", 7, 7), ("Joey", "joy"), ("Joey", "neutral", 0, 0)]  # fmt: skip
    write_csv(root / "train_sent_emo.csv", [header, *rows])
    assert statuses(meld.read(root)) == {
        "train_sent_emo.csv:2": "unknown_label", "train_sent_emo.csv:3": "speaker_missing",
        "train_sent_emo.csv:4": "bad_row", "train/dia7_utt7": "file_missing", "train_sent_emo.csv:6": "bad_row",
        "train/dia0_utt0": "duplicate_id",
    }  # fmt: skip


def test_meld_without_lists_or_recordings_is_refused(tmp_path: Path) -> None:
    root = build_meld(tmp_path / "a")
    for folder in ("train_splits", "dev_splits_complete", "output_repeated_splits_test"):
        shutil.rmtree(root / folder)
    with pytest.raises(UserError, match="found no recording"):
        meld.check(root)
    with pytest.raises(UserError, match="found none of the lists"):
        meld.read(build_acted(tmp_path / "b", "emodb"))
