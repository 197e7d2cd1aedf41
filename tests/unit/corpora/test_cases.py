"""Pictures, recordings and corpora that people have complained about, from the folder of cases where it is there."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.corpora import b_t4sa, counts, fi, iemocap
from pipeline.engine.fingerprint import PROJECT
from pipeline.errors import RowError, UserError
from pipeline.media import audio
from pipeline.media.images import decode_image
from pipeline.tweets.language import said_text
from pipeline.tweets.text import TextOptions
from tests.builders import Tweet, build_b_t4sa, build_fi, build_iemocap, jpeg, plain_tweets

CASES = Path(os.environ.get("SIER_CASES") or PROJECT.parent / "shared" / "cases")
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="neither SIER_CASES nor ../shared/cases is a folder")


def case(number: int) -> Path:
    found = sorted(CASES.glob(f"{number:02d}-*"))
    if not found:
        pytest.skip(f"no case {number}")
    return found[0]


def pixels(path: Path) -> np.ndarray[Any, Any]:
    return np.asarray(decode_image(path.read_bytes(), min_side_px=8, max_pixels=10**6)).astype(int)


def acquired(corpus: str, root: Path) -> counts.Count:
    """What `acquire` says of a copy."""
    index = b_t4sa.index_images(b_t4sa.images(root)) if corpus == "b_t4sa" else None
    found = counts.count(corpus, root, index)
    found.require_few_losses(corpus, 0.05, [])
    return found


@pytest.mark.parametrize("name", ["adobe", "p3", "prophoto", "swapped"])
def test_16_colours_are_those_that_were_meant(name: str) -> None:
    assert np.abs(pixels(case(16) / f"icc_{name}.jpg") - (220, 80, 60)).max() <= 4


def test_17_a_heic_is_called_so() -> None:
    with pytest.raises(RowError, match="HEIC, expected") as caught:
        pixels(case(17) / "iphone.heic.jpg")
    assert caught.value.status == "image_not_a_photo_format"


def test_18_a_jpeg_without_end_mark_is_whole() -> None:
    assert pixels(case(18) / "no_eoi.jpg")[-1].std() > 10  # not the grey that a decoder fills in


def test_19_12_bits_of_16_are_not_black() -> None:
    assert 60 < pixels(case(19) / "grey12in16.png").mean() < 200


def test_20_ids_of_a_spreadsheet_are_named_as_the_cause(tmp_path: Path) -> None:
    root = build_b_t4sa(tmp_path)
    shutil.copyfile(case(20) / b_t4sa.TEXTS, root / b_t4sa.TEXTS)
    with pytest.raises(UserError, match=r"raw_tweets_text\.csv: 2 of 2 ids .* spreadsheet .* 8\.00237E\+17"):
        acquired("b_t4sa", root)


def test_21_quotes_behind_a_backslash_are_read(tmp_path: Path) -> None:
    tweets = [Tweet("759924024389101334", "", [jpeg(1)])]
    root = build_b_t4sa(tmp_path, tweets)
    shutil.copyfile(case(21) / b_t4sa.TEXTS, root / b_t4sa.TEXTS)
    source = b_t4sa.read_rows(root, b_t4sa.index_tar(root / b_t4sa.TAR))
    assert source.rows["text"].to_pylist() == ['she said "wow, so sad" and left']


def test_22_an_unpacked_tar_is_read(tmp_path: Path) -> None:
    root = build_b_t4sa(tmp_path)
    packed = b_t4sa.read_rows(root, b_t4sa.index_tar(root / b_t4sa.TAR))
    with tarfile.open(root / b_t4sa.TAR) as tar:
        tar.extractall(root, filter="data")
    (root / b_t4sa.TAR).unlink()
    b_t4sa.check(root)
    assert acquired("b_t4sa", root).numbers["listed images"] == packed.rows.num_rows
    unpacked = b_t4sa.read_rows(root, b_t4sa.index_images(b_t4sa.images(root)))
    assert unpacked.rows.drop(["offset_bytes"]).equals(packed.rows.drop(["offset_bytes"]))


@pytest.mark.parametrize("letter", ["a", "b"])
def test_23_lines_with_backslashes_or_the_folder_above_are_read(tmp_path: Path, letter: str) -> None:
    root = build_b_t4sa(tmp_path, [Tweet("800236981206535935", "so it is", [jpeg(1)]), *plain_tweets()])
    (root / "b-t4sa_train.txt").write_bytes((case(23) / f"{letter}-b-t4sa_train.txt").read_bytes())
    assert acquired("b_t4sa", root).numbers["train"] == 1


def test_23_a_split_with_words_for_digits_is_an_error(tmp_path: Path) -> None:
    root = build_b_t4sa(tmp_path)
    (root / "b-t4sa_train.txt").write_bytes((case(23) / "c-b-t4sa_train.txt").read_bytes())
    with pytest.raises(UserError, match=r"b-t4sa_train\.txt names no image .*expected one of 0, 1, 2.*'negative'"):
        acquired("b_t4sa", root)


@pytest.mark.parametrize("name", ["IEMOCAP_full_release_withoutVideos", "IEMOCAP_full_release/IEMOCAP_full_release"])
def test_24_a_release_of_another_name_or_one_level_deeper_is_read(tmp_path: Path, name: str) -> None:
    assert case(24)
    build_iemocap(tmp_path / "built", empty_wavs=True, release_folder=False)
    (tmp_path / "given" / name).parent.mkdir(parents=True)
    (tmp_path / "built").rename(tmp_path / "given" / name)
    assert acquired("iemocap", tmp_path / "given").rows_in == 60


def test_26_a_session_in_small_letters_with_spaces_for_tabs_or_capital_suffixes_is_read(tmp_path: Path) -> None:
    assert case(26)
    root = build_iemocap(tmp_path, empty_wavs=True, release_folder=False)
    (root / "Session5").rename(root / "session5")
    for path in (root / "Session2" / "dialog" / "EmoEvaluation").glob("*.txt"):
        path.write_bytes(path.read_bytes().replace(b"\t", b" "))
    for path in (root / "Session3").rglob("*.wav"):
        path.rename(path.with_suffix(".WAV"))
    acquired("iemocap", root)
    sessions = Counter(utterance.session for utterance in iemocap.read(root).utterances)
    assert sessions == dict.fromkeys(range(1, 6), 12)


def test_26_a_lost_session_is_named(tmp_path: Path) -> None:
    root = build_iemocap(tmp_path, empty_wavs=True, release_folder=False)
    shutil.rmtree(root / "Session5")
    with pytest.raises(UserError, match=r"iemocap: without Session5; .* acquire\.iemocap\.max_lost_share"):
        acquired("iemocap", root)


def test_27_recordings_are_heard_or_refused() -> None:
    for name in ("ffmpeg_pipe", "stereo_antiphase"):
        waveform = audio.decode(case(27) / f"{name}.wav")
        assert (len(waveform), np.sqrt(np.mean(waveform**2)) > 0.1) == (32_000, True)
    with pytest.raises(RowError) as caught:
        audio.decode(case(27) / "two_data.wav")
    assert caught.value.status == "audio_unreadable"


def test_28_folders_of_splits_are_merged(tmp_path: Path) -> None:
    assert case(28)
    build_fi(tmp_path / "built")
    for split in ("train", "test"):
        shutil.copytree(tmp_path / "built", tmp_path / "given" / split)
    (tmp_path / "given" / "__MACOSX" / "train").mkdir(parents=True)
    (tmp_path / "given" / "train" / "amusement").rename(tmp_path / "given" / "train" / "Amusement")
    found = acquired("fi", tmp_path / "given")
    assert (found.numbers, found.rows_in) == (dict.fromkeys(sorted(fi.EMOTIONS), 4), 32)


def test_29_pictures_of_odd_addresses_are_found(tmp_path: Path) -> None:
    lines = (case(29) / "agg" / "amusement_0.csv").read_text().splitlines()
    root = build_fi(tmp_path, form="agg", extra_csv_lines=lines)  # of anger; the emotion matters not
    for name in ("6.jpg", "caf\u00e9 6 (1).jpg"):
        (root / "images" / name).write_bytes(jpeg(1))
    corpus = fi.read(root)
    assert corpus.rejects == []
    assert {"anger/6", "anger/caf\u00e9 6 (1).jpg"} <= {image.id for image in corpus.images}


def test_30_a_list_with_other_columns_is_refused_in_one_line(tmp_path: Path) -> None:
    root = build_fi(tmp_path, form="agg")
    for path in (root / "agg").iterdir():
        shutil.copyfile(case(30) / "agg" / "amusement_0.csv", path)
    with pytest.raises(UserError, match="expected _, url, disagree, agree; found") as caught:
        fi.read(root)
    assert "\n" not in str(caught.value)


def test_32_emoset_is_known_without_its_lists_and_read_with_separators_of_windows(tmp_path: Path) -> None:
    root = build_fi(tmp_path, form="emoset")
    (root / "image" / "amusement" / "amusement_00000.jpg").write_bytes(jpeg(1))
    shutil.copyfile(case(32) / "train.json", root / "train.json")
    assert "amusement/amusement_00000.jpg" in {image.id for image in fi.read(root).images}
    for path in root.glob("*.json"):
        path.unlink()
    (root / "annotation").mkdir()
    with pytest.raises(UserError, match=r"expected a file named train\.json"):
        fi.check(root)


HERE = {16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 27, 28, 29, 30, 32}
ELSEWHERE = {
    **dict.fromkeys((1, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 39), "tests/unit/tweets/spoken_forms/test_spoken_forms.py"),
    6: "tests/unit/tweets/test_language.py",
    **dict.fromkeys((33, 34, 35), "tests/unit/frame/test_places.py"),
    36: "tests/unit/planning/test_ready.py",
    37: "README.md",
    38: "tests/unit/speech/test_synthesize.py",
}


def test_every_case_is_tested_somewhere() -> None:
    assert {int(folder.name[:2]) for folder in CASES.iterdir()} <= HERE | set(ELSEWHERE)
    assert all((PROJECT / name).is_file() for name in ELSEWHERE.values())


def test_06_texts_of_other_scripts_are_rejected_and_mixed_ones_keep_what_can_be_said() -> None:
    options = TextOptions("words", 300)
    kept, rejected = [], []
    for line in (case(6) / "texts.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            kept.append(said_text(json.loads(line), options, ("en",))[0])
        except RowError as error:
            rejected.append(error.status)
    assert kept == ["mixed trip was great", "I said to him"]
    assert rejected == ["text_language"] * 3
