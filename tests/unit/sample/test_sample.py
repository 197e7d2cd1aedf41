"""The sample of B-T4SA: same bytes everywhere, the published format, and every defect of the real corpus."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.corpora import b_t4sa as b_t4sa_reader
from pipeline.errors import RowError, UserError
from pipeline.media.images import decode_image, perceptual_hash
from pipeline.sample import make_b_t4sa
from pipeline.sample.tweets import FEELINGS, write_tweets
from tests.sample_helpers import SEED, digests, elsewhere, size_bytes

TWEETS = 20


@pytest.fixture(scope="module")
def b_t4sa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sample") / "b_t4sa"
    make_b_t4sa(target, seed=SEED, tweets=TWEETS)
    return target


def test_b_t4sa_has_the_same_bytes_elsewhere_and_others_with_another_seed(b_t4sa: Path, tmp_path: Path) -> None:
    with elsewhere(tmp_path) as folder:
        make_b_t4sa(folder, seed=SEED, tweets=TWEETS)
        assert digests(folder) == digests(b_t4sa)
        make_b_t4sa(folder / "other", seed=SEED + 1, tweets=TWEETS)
        assert digests(folder / "other")["b-t4sa_imgs.tar"] != digests(b_t4sa)["b-t4sa_imgs.tar"]


def test_package_is_light_to_import() -> None:
    code = "import sys, pipeline.sample; print(sorted({'numpy', 'PIL', 'soundfile', 'scipy'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == "[]"


def test_too_small_a_sample_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tweets = 11: expected at least 12$"):
        make_b_t4sa(tmp_path, seed=1, tweets=11)
    assert not list(tmp_path.iterdir())


def test_b_t4sa_at_full_size_is_small(b_t4sa: Path, tmp_path: Path) -> None:
    make_b_t4sa(tmp_path, seed=SEED, tweets=3 * TWEETS)
    few, more = size_bytes(b_t4sa), size_bytes(tmp_path)
    assert few + (more - few) / (2 * TWEETS) * (240 - TWEETS) < 15e6  # what is odd in it does not grow


def split_lines(root: Path) -> list[tuple[str, str]]:
    lines = []
    for split in ("train", "val", "test"):
        for line in (root / f"b-t4sa_{split}.txt").read_text(encoding="ascii").splitlines():
            found = re.fullmatch(r"data/(\d{5})/((\d{18})-[1-4])\.jpg ([012])", line)
            assert found, line
            assert found[3].startswith(found[1])
            lines.append((found[2], found[4]))
    return lines


def texts(root: Path) -> dict[str, str]:
    with (root / "raw_tweets_text.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header == ["id", "text"]
    assert len({row[0] for row in rows}) == len(rows)
    return {id_: text for id_, text in rows}  # noqa: C416 - two fields, no more


def images(root: Path) -> dict[str, bytes]:
    with tarfile.open(root / "b-t4sa_imgs.tar", "r:") as tar:
        return {
            Path(member.name).stem: cast("io.BufferedReader", tar.extractfile(member)).read()
            for member in tar
            if member.isfile() and member.name.endswith(".jpg") and not Path(member.name).name.startswith("._")
        }


def test_tar_holds_folders_split_files_and_every_listed_image(b_t4sa: Path) -> None:
    with tarfile.open(b_t4sa / "b-t4sa_imgs.tar", "r:") as tar:
        members = tar.getmembers()
        for split in ("train", "val", "test"):
            inside = cast("io.BufferedReader", tar.extractfile(f"b-t4sa_imgs/b-t4sa_{split}.txt")).read()
            assert inside == (b_t4sa / f"b-t4sa_{split}.txt").read_bytes()
    assert len({member.mtime for member in members}) == 1
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}
    assert members[0].name == "b-t4sa_imgs"
    assert members[0].isdir()
    listed = [id_ for id_, _ in split_lines(b_t4sa)]
    assert sorted(listed) == sorted(images(b_t4sa))
    assert all(int(id_.split("-")[0]) > 2**53 for id_ in listed)


def test_splits_are_about_80_10_10_and_keep_a_tweet_together(b_t4sa: Path) -> None:
    files = [(b_t4sa / f"b-t4sa_{split}.txt").read_text().splitlines() for split in ("train", "val", "test")]
    tweets = [{line.split("/")[2].split("-")[0] for line in lines} for lines in files]
    total = sum(map(len, tweets))
    assert len(set.union(*tweets)) == total
    assert [round(len(part) / total, 1) for part in tweets] == [0.8, 0.1, 0.1]


def test_sentiment_table_is_sorted_and_its_maximum_is_the_split_label(b_t4sa: Path) -> None:
    header, *rows = (b_t4sa / "t4sa_text_sentiment.tsv").read_text(encoding="utf-8").splitlines()
    assert header == "TWID\tNEG\tNEU\tPOS"
    table = {row.split("\t")[0]: [float(value) for value in row.split("\t")[1:]] for row in rows}
    assert list(table) == sorted(table, key=int)
    assert all(sum(values) == pytest.approx(1, abs=1e-6) for values in table.values())
    for id_, label in split_lines(b_t4sa):
        assert int(np.argmax(table[id_.split("-")[0]])) == int(label)


def test_tweets_have_one_to_four_images(b_t4sa: Path) -> None:
    per_tweet = Counter(id_.split("-")[0] for id_, _ in split_lines(b_t4sa))
    assert {1, 2, 4} <= set(per_tweet.values()) <= {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("retweet prefix", r"^RT @\w+: "),
        ("link", r"https://t\.co/\w{10}(\s|$)"),
        ("link cut off", r"https://t\.co/\w{1,9}…$"),
        ("text cut off", r"\w… "),
        ("entity", r"&amp;"),
        ("emoji", r"[\U0001F300-\U0001FAFF]"),
        ("hashtag", r"(^|\s)#[A-Za-z]\w+"),
        ("mention", r"@\w+"),
        ("several lines", r"\n"),
        ("quotation marks", r'"'),
        ("empty", r"\A\Z"),
        ("only space", r"\A\s+\Z"),
        ("only a link", r"\Ahttps://t\.co/\w+\Z"),
        ("not UTF-8", "[\udc80-\udcff]"),
        ("looks like a missing value", r"\ANA\Z"),
        ("hashtag with digits", r"#\d+[A-Z]\w+"),
        ("sign after its amount", r"\d[€$]"),
        ("stretched word", r"([a-z])\1{3}"),
        ("another language", r"deux heures"),
        ("another script", r"\A[^a-z]*[\u3040-\u30ff]"),
        ("two scripts", r"[\u0400-\u04ff].*[a-z]{3}"),
        ("powers", r"[²³]"),
        ("wrongly decoded", r"â€™"),
        ("tags", r"<b>.*<br>"),
        ("emoticons", r":'\(.*ツ"),
        ("signs with a meaning", r"-20.*A\+.*</3"),
        ("dates, ranges and shares", r"\d/\d.*\d-\d"),
        ("dots of its own at the end", r"\w\.\.\.\Z"),
        ("handles in a sentence", r"with @\w+ and I"),
        ("only a number", r"\A\d+\Z"),
        ("one word", r"\A[A-Z][a-z]+\Z"),
    ],
)
def test_texts_have_the_oddity(b_t4sa: Path, what: str, pattern: str) -> None:
    pictured = {id_.split("-")[0] for id_, _ in split_lines(b_t4sa)}
    assert any(re.search(pattern, text) for id_, text in texts(b_t4sa).items() if id_ in pictured), what


def test_one_text_has_5000_characters_and_no_slot_is_left_open(b_t4sa: Path) -> None:
    found = texts(b_t4sa).values()
    assert max(map(len, found)) == 5_000
    assert not any("{" in text for text in found)


def test_some_texts_have_no_image_and_some_images_no_text(b_t4sa: Path) -> None:
    pictured = {id_.split("-")[0] for id_, _ in split_lines(b_t4sa)}
    assert len(set(texts(b_t4sa)) - pictured) >= 2
    assert len(pictured - set(texts(b_t4sa))) == 2


def test_same_text_stands_under_different_ids_with_different_images(b_t4sa: Path) -> None:
    pictures = images(b_t4sa)
    by_text: dict[str, set[str]] = {}
    for id_, text in texts(b_t4sa).items():
        bare = re.sub(r"^(RT @\w+: )+", "", text)
        if f"{id_}-1" in pictures:
            by_text.setdefault(bare, set()).add(hashlib.sha256(pictures[f"{id_}-1"]).hexdigest())
    assert max(map(len, by_text.values())) >= 2


def test_damaged_pictures_are_there(b_t4sa: Path) -> None:
    statuses: Counter[str] = Counter()
    for content in images(b_t4sa).values():
        try:
            decode_image(content, min_side_px=32, max_pixels=50_000_000)
        except RowError as error:
            statuses[error.status] += 1
    # The two unreadable ones are a web page and a file of zero bytes.
    expected = {
        "image_truncated": 1, "image_too_small": 1, "image_bomb": 1, "image_unreadable": 2,
        "image_not_a_photo_format": 1,
    }  # fmt: skip
    assert statuses == expected
    assert sum(not content for content in images(b_t4sa).values()) == 1


def test_a_png_is_named_jpg_and_can_be_decoded(b_t4sa: Path) -> None:
    pngs = [data for data in images(b_t4sa).values() if data.startswith(b"\x89PNG") and len(data) > 1_000]
    assert len(pngs) == 3  # one of them with 16 bits
    assert all(min(decode_image(data, min_side_px=32, max_pixels=50_000_000).size) >= 180 for data in pngs)


def test_a_template_is_filled_three_times(b_t4sa: Path) -> None:
    assert len([text for text in texts(b_t4sa).values() if text.startswith("Why are you feeling ")]) == 3


def test_colours_of_a_wide_gamut_a_lost_end_mark_and_12_of_16_bits_are_read_as_they_were_meant(b_t4sa: Path) -> None:
    pictures = images(b_t4sa).values()
    (wide,) = [data for data in pictures if b"ICC_PROFILE" in data]
    plain = np.asarray(Image.open(io.BytesIO(wide)).convert("RGB"), int)
    shown = np.asarray(decode_image(wide, min_side_px=32, max_pixels=50_000_000), int)
    colourful = plain.max(axis=2) - plain.min(axis=2) > 60
    spread = (shown.max(axis=2) - shown.min(axis=2))[colourful] - (plain.max(axis=2) - plain.min(axis=2))[colourful]
    assert spread.mean() > 5  # the same numbers mean stronger colours there
    (cut,) = [data for data in pictures if data.startswith(b"\xff\xd8") and _is_whole_but_for_its_end(data)]
    assert decode_image(cut, min_side_px=32, max_pixels=50_000_000).size == Image.open(io.BytesIO(cut)).size
    (grey,) = [data for data in pictures if data.startswith(b"\x89PNG") and data[24] == 16]
    assert np.asarray(decode_image(grey, min_side_px=32, max_pixels=50_000_000)).mean() > 40


def _is_whole_but_for_its_end(jpeg: bytes) -> bool:
    if jpeg.endswith(b"\xff\xd9"):
        return False
    with contextlib.suppress(RowError):
        decode_image(jpeg, min_side_px=32, max_pixels=50_000_000)
        return True
    return False


def test_one_picture_stands_under_many_ids_and_others_under_two(b_t4sa: Path) -> None:
    times = Counter(hashlib.sha256(content).hexdigest() for content in images(b_t4sa).values()).values()
    # A copy under another text, one in a retweet, one posted thrice, and the placeholder.
    assert [count for count in sorted(times) if count > 1] == [2, 2, 3, 9]


def test_near_duplicates_are_near_and_other_pictures_are_not(b_t4sa: Path) -> None:
    hashes = {}
    for content in images(b_t4sa).values():
        try:
            image = decode_image(content, min_side_px=32, max_pixels=50_000_000)
        except RowError:
            continue
        hashes[hashlib.sha256(content).hexdigest()] = int.from_bytes(perceptual_hash(image))
    values = list(hashes.values())
    distances = [(a ^ b).bit_count() for i, a in enumerate(values) for b in values[:i]]
    assert sum(distance <= 12 for distance in distances) == 3  # resized, encoded again, resized in a retweet
    assert not any(12 < distance < 36 for distance in distances)


def test_reader_accounts_for_every_line(b_t4sa: Path) -> None:
    b_t4sa_reader.check(b_t4sa)
    found = b_t4sa_reader.read_rows(b_t4sa, b_t4sa_reader.index_tar(b_t4sa / b_t4sa_reader.TAR))
    assert found.rows.num_rows + len(found.rejects) == found.rows_in == len(split_lines(b_t4sa))
    assert Counter(status for _, status, _ in found.rejects) == {"text_missing": 2, "image_empty": 1}


@settings(deadline=None)
@given(count=st.integers(4, 90).map(lambda third: 3 * third), seed=st.integers(0, 2**32 - 1))
def test_usable_tweets_are_balanced_over_sentiments_and_distinct(count: int, seed: int) -> None:
    tweets = write_tweets(seed, count)
    assert len(tweets) == count == len({tweet.id for tweet in tweets}) == len({tweet.text for tweet in tweets})
    per_sentiment = Counter(tweet.sentiment for tweet in tweets for _ in tweet.subjects)
    assert len(set(per_sentiment.values())) == 1
    agreeing = sum(tweet.feeling in FEELINGS[tweet.sentiment] for tweet in tweets)
    assert 0.7 <= agreeing / count <= 0.95


def test_more_tweets_than_authored_texts_are_distinct_too() -> None:
    tweets = write_tweets(SEED, 900)
    assert len({tweet.text for tweet in tweets}) == 900


def test_some_pictures_are_two_side_by_side(b_t4sa: Path) -> None:
    sizes = []
    for content in images(b_t4sa).values():
        with contextlib.suppress(RowError):
            sizes.append(decode_image(content, min_side_px=32, max_pixels=50_000_000).size)
    assert 0 < sum(width > 340 for width, _ in sizes) < len(sizes) / 2
