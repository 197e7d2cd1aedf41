from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from pipeline.corpora import iemocap
from pipeline.errors import UserError
from tests.builders import Turn, build_iemocap, plain_turns

TURN = Turn("Ses03M_script01_1b", "F", 7, "fru", start_seconds=6.2901, duration_seconds=1.9456, transcript="Excuse me.")


def build(root: Path, *turns: Turn, release_folder: bool = True) -> Path:
    return build_iemocap(root, turns or None, empty_wavs=True, release_folder=release_folder)


def test_every_field_of_a_turn_is_read(tmp_path: Path) -> None:
    corpus = iemocap.read(build(tmp_path, TURN))
    wavs = tmp_path / "IEMOCAP_full_release" / "Session3" / "sentences" / "wav"
    assert corpus.utterances == [
        iemocap.Utterance(
            id="Ses03M_script01_1b_F007",
            path=wavs / "Ses03M_script01_1b" / "Ses03M_script01_1b_F007.wav",
            session=3,
            speaker="Ses03F",
            emotion="fru",
            start_seconds=6.2901,
            end_seconds=8.2357,
            transcript="Excuse me.",
        )
    ]
    assert (corpus.rejects, corpus.rows_in) == ([], 1)


def test_all_sessions_speakers_and_codes_are_read_in_the_order_of_ids(tmp_path: Path) -> None:
    turns = plain_turns(iemocap.EMOTIONS)
    corpus = iemocap.read(build(tmp_path, *reversed(turns)))
    assert [u.id for u in corpus.utterances] == sorted(turn.id for turn in turns)
    assert Counter(u.emotion for u in corpus.utterances) == dict.fromkeys(iemocap.EMOTIONS, 10)
    assert {(u.session, u.speaker) for u in corpus.utterances} == {
        (session, f"Ses0{session}{gender}") for session in range(1, 6) for gender in "FM"
    }


def test_the_audio_of_the_builder_is_16_khz_mono_16_bit(tmp_path: Path) -> None:
    corpus = iemocap.read(build_iemocap(tmp_path, [TURN]))
    info = soundfile.info(corpus.utterances[0].path)
    assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
    assert info.duration == pytest.approx(1.9456, abs=1e-3)


@pytest.mark.parametrize("options", [{"newline": "\r\n", "bom": True}, {"apple_double": True}, {"categorical": True}])
def test_crlf_bom_hidden_files_and_other_annotations_change_nothing(tmp_path: Path, options: dict[str, object]) -> None:
    build_iemocap(tmp_path / "plain", plain_turns(), empty_wavs=True)
    build_iemocap(tmp_path / "other", plain_turns(), empty_wavs=True, **options)  # type: ignore[arg-type]
    plain, other = iemocap.read(tmp_path / "plain"), iemocap.read(tmp_path / "other")
    assert [replace(u, path=Path()) for u in other.utterances] == [replace(u, path=Path()) for u in plain.utterances]
    assert (other.rejects, other.rows_in) == ([], plain.rows_in)


def test_the_root_may_hold_the_release_be_it_or_be_a_link(tmp_path: Path) -> None:
    root = build(tmp_path / "a")
    flat = build(tmp_path / "b", release_folder=False)
    (tmp_path / "link").symlink_to(root / "IEMOCAP_full_release")
    roots = [root, root / "IEMOCAP_full_release", flat, tmp_path / "link"]
    ids = [[u.id for u in iemocap.read(each).utterances] for each in roots]
    assert ids[0] == ids[1] == ids[2] == ids[3]
    assert len(ids[0]) == 60
    for each in roots:
        iemocap.check(each)


@pytest.mark.parametrize(
    "line",
    [
        "[6.2901 - 8.2357]",
        "[6.2901 -]\tSes01F_impro01_F000\tneu\t[2.5, 2.5, 2.5]",
        "[x - y]\tSes01F_impro01_F000\tneu\t[2.5, 2.5, 2.5]",
        "[8.2357 - 6.2901]\tSes01F_impro01_F000\tneu\t[2.5, 2.5, 2.5]",
        "[6.2901 - 6.2901]\tSes01F_impro01_F000\tneu\t[2.5, 2.5, 2.5]",
        "[6.2901 - 8.2357]\tSes02F_impro01_F000\tneu\t[2.5, 2.5, 2.5]",
        "[6.2901 - 8.2357]\tSes01F_impro01_X000\tneu\t[2.5, 2.5, 2.5]",
        "[6.2901 - 8.2357]\t../../Ses01F_impro01_F000\tneu\t[2.5, 2.5, 2.5]",
        "[6.2901 - 8.2357]\tSes01F_../../impro01_F000\tneu\t[2.5, 2.5, 2.5]",
        "[6.2901 - 8.2357]\t\tneu\t[2.5, 2.5, 2.5]",
    ],
)
def test_a_malformed_annotation_is_rejected_by_file_and_line_number(tmp_path: Path, line: str) -> None:
    good = Turn("Ses01F_impro01", "F", 1, "neu", 1.0)
    corpus = iemocap.read(build(tmp_path, good, replace(good, number=2, line=line)))
    assert [reject[:2] for reject in corpus.rejects] == [("Ses01F_impro01.txt:7", "bad_annotation_line")]
    assert [u.id for u in corpus.utterances] == [good.id]
    assert corpus.rows_in == 2


def test_annotations_without_ratings_are_read(tmp_path: Path) -> None:
    line = "[6.2901 - 8.2357]\tSes01F_impro01_F001\tneu"
    assert len(iemocap.read(build(tmp_path, Turn("Ses01F_impro01", "F", 1, "neu", 1.0, line=line))).utterances) == 1


def test_missing_audio_missing_words_and_second_annotations(tmp_path: Path) -> None:
    turns = [
        Turn("Ses01F_impro01", "F", 1, "ang", 1.0, wav=False),
        Turn("Ses01F_impro01", "M", 2, "sad", 2.0, transcript=None),
        Turn("Ses01F_impro01", "M", 2, "sad", 3.0, transcript=None),
        Turn("Ses01F_impro01", "M", 3, "neu", 4.0, transcript="with: a colon [and brackets]"),
    ]
    corpus = iemocap.read(build(tmp_path, *turns))
    assert sorted(reject[:2] for reject in corpus.rejects) == [
        ("Ses01F_impro01_F001", "wav_missing"),
        ("Ses01F_impro01_M002", "duplicate_id"),
    ]
    assert [(u.emotion, u.transcript) for u in corpus.utterances] == [
        ("sad", None),
        ("neu", "with: a colon [and brackets]"),
    ]
    assert len(corpus.utterances) + len(corpus.rejects) == corpus.rows_in == 4


def test_annotations_that_contradict_each_other_are_an_error(tmp_path: Path) -> None:
    turn = Turn("Ses01F_impro01", "M", 2, "sad", 2.0)
    with pytest.raises(UserError, match=r"Ses01F_impro01\.txt: Ses01F_impro01_M002 is neu here and sad elsewhere"):
        iemocap.read(build(tmp_path, turn, replace(turn, emotion="neu")))


@pytest.mark.parametrize("copy", ["{} (1).txt", "{} 2.txt", "{} - Copy.txt", "Copy of {}.txt"])
def test_a_copy_that_a_cloud_drive_makes_is_no_row_unless_it_contradicts(tmp_path: Path, copy: str) -> None:
    root = build(tmp_path, TURN)
    file = root / "IEMOCAP_full_release" / "Session3" / "dialog" / "EmoEvaluation" / "Ses03M_script01_1b.txt"
    other = file.with_name(copy.format(file.stem))
    shutil.copyfile(file, other)
    corpus = iemocap.read(root)
    assert (len(corpus.utterances), corpus.rejects, corpus.rows_in) == (1, [], 1)
    other.write_bytes(file.read_bytes().replace(b"fru", b"ang"))
    with pytest.raises(
        UserError, match=f"{re.escape(other.name)}: Ses03M_script01_1b_F007 is ang here and fru elsewhere"
    ):
        iemocap.read(root)
    file.unlink()
    assert iemocap.read(root).utterances[0].emotion == "ang"


@pytest.mark.parametrize("name", ["Session1 (1)", "Session 1", "session1", "Session_1", "Session1 - Copy"])
def test_a_session_in_two_folders_is_an_error(tmp_path: Path, name: str) -> None:
    root = build(tmp_path, release_folder=False)
    (root / name).mkdir()
    with pytest.raises(UserError, match=r"one folder per session, Session1 to Session5; merge .*[Ss]ession.?1"):
        iemocap.check(root)


def test_two_releases_are_an_error_and_other_folders_beside_one_are_not(tmp_path: Path) -> None:
    root = build(tmp_path)
    (root / "IEMOCAP_features").mkdir()
    iemocap.check(root)
    (root / "IEMOCAP_full_release (1)").mkdir()
    with pytest.raises(UserError, match=r"found IEMOCAP_full_release and IEMOCAP_full_release \(1\); merge them"):
        iemocap.check(root)


def test_a_corpus_without_transcripts_is_read(tmp_path: Path) -> None:
    root = build(tmp_path, TURN)
    folder = root / "IEMOCAP_full_release" / "Session3" / "dialog" / "transcriptions"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert iemocap.read(root).utterances[0].transcript is None


@pytest.mark.parametrize("code", ["hapy", "ANG", "neutral", "?"])
def test_an_unknown_emotion_stops_with_file_line_and_the_known_codes(tmp_path: Path, code: str) -> None:
    with pytest.raises(UserError) as error:
        iemocap.read(build(tmp_path, TURN, replace(TURN, number=8, emotion=code)))
    message = str(error.value)
    assert "Ses03M_script01_1b.txt:7:" in message
    assert repr(code) in message
    assert all(known in message for known in iemocap.EMOTIONS)
    assert "\n" not in message


def test_a_session_without_annotations_is_an_error_and_not_a_smaller_corpus(tmp_path: Path) -> None:
    root = build(tmp_path)
    for path in (root / "IEMOCAP_full_release" / "Session4" / "dialog" / "EmoEvaluation").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"Session4.*found none"):
        iemocap.read(root)
    with pytest.raises(UserError, match=r"Session4.*found none"):
        iemocap.check(root)


def test_a_session_without_its_folders_is_an_error(tmp_path: Path) -> None:
    root = build(tmp_path)
    (root / "IEMOCAP_full_release" / "Session6").mkdir()
    with pytest.raises(UserError, match=r"Session6/dialog/EmoEvaluation: expected a folder"):
        iemocap.check(root)


def test_no_session_no_root_and_no_annotation_line_are_errors(tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    with pytest.raises(UserError, match=r"expected folders Session1 to Session5 .* found sessions"):
        iemocap.read(tmp_path)
    with pytest.raises(UserError, match="nowhere: expected a folder with IEMOCAP"):
        iemocap.check(tmp_path / "nowhere")
    silent = build(tmp_path / "silent", replace(TURN, line="% nothing"))
    with pytest.raises(UserError, match=r"none of 0 annotated utterances.*no line starts with"):
        iemocap.read(silent)


def test_an_unreadable_annotation_file_is_named(tmp_path: Path) -> None:
    root = build(tmp_path)
    file = root / "IEMOCAP_full_release" / "Session2" / "dialog" / "EmoEvaluation" / "Ses02F_impro01.txt"
    file.unlink()
    file.mkdir()
    with pytest.raises(UserError, match=r"Ses02F_impro01\.txt: cannot be read"):
        iemocap.read(root)


def test_known_counts_add_up_to_the_release_and_differences_are_told() -> None:
    assert sum(iemocap.KNOWN_COUNTS.values()) == 10_039
    assert sum(iemocap.KNOWN_COUNTS[code] for code in ("ang", "hap", "exc", "sad", "neu")) == 5_531
    assert set(iemocap.KNOWN_COUNTS) == set(iemocap.EMOTIONS)
    assert iemocap.compare_counts(iemocap.KNOWN_COUNTS) == []
    half = {**iemocap.KNOWN_COUNTS, "ang": 551}
    del half["dis"]
    assert iemocap.compare_counts(half) == [
        "IEMOCAP ang: 551 utterances, the published corpus has 1,103",
        "IEMOCAP dis: 0 utterances, the published corpus has 2",
    ]


@pytest.mark.skipif("SIER_REAL_CORPORA" not in os.environ, reason="SIER_REAL_CORPORA does not name the real corpora")
def test_real_speech_is_read_whole() -> None:
    root = Path(os.environ["SIER_REAL_CORPORA"]) / "iemocap"
    iemocap.check(root)
    corpus = iemocap.read(root)
    assert (corpus.rows_in, len(corpus.utterances), corpus.rejects) == (240, 240, [])
    assert Counter(u.emotion for u in corpus.utterances) == {
        "ang": 50, "dis": 50, "sad": 50, "neu": 40, "hap": 30, "exc": 20,
    }  # fmt: skip
    assert len({u.speaker for u in corpus.utterances}) == 10
    for utterance in corpus.utterances:
        assert utterance.transcript
        seconds = soundfile.info(utterance.path).duration
        assert seconds == pytest.approx(utterance.end_seconds - utterance.start_seconds, abs=0.01)
