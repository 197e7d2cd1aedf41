from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.corpora import b_t4sa
from pipeline.errors import UserError
from tests.builders import Tweet, build_b_t4sa, defect_tweets, jpeg, plain_tweets

LIMIT = 10**7


def read(root: Path) -> b_t4sa.SourceRows:
    return b_t4sa.read_rows(root, b_t4sa.index_tar(root / b_t4sa.TAR))


def status_of(source: b_t4sa.SourceRows) -> dict[str, str]:
    return {row_id: status for row_id, status, _ in source.rejects}


def texts_of(source: b_t4sa.SourceRows) -> dict[str, str]:
    return dict(zip(source.rows["tweet_id"].to_pylist(), source.rows["text"].to_pylist(), strict=True))


def test_every_listed_image_of_a_sound_corpus_becomes_a_row_with_its_own_bytes(tmp_path: Path) -> None:
    tweets = plain_tweets(10)
    source = read(build_b_t4sa(tmp_path, tweets))
    expected = {f"{t.id}-{n}": (t, n, data) for t in tweets for n, data in enumerate(t.images, 1)}
    assert source.rows.schema.equals(b_t4sa.ROWS)
    assert source.rows["id"].to_pylist() == sorted(expected)
    assert (source.rejects, source.rows_in, set(source.facts.values())) == ([], 12, {0, 10})
    assert source.facts["csv_rows"] == source.facts["tsv_rows"] == 10
    with b_t4sa.ImageReader(tmp_path / b_t4sa.TAR) as reader:
        for row in source.rows.to_pylist():
            tweet, number, data = expected[row["id"]]
            assert reader.read(row["offset_bytes"], row["size_bytes"], LIMIT) == data
            assert (row["tweet_id"], row["image_index"], row["member"]) == (tweet.id, number, tweet.member(number))
            assert (row["text"], row["sentiment"], row["source_split"]) == (tweet.text, tweet.sentiment, tweet.split)


def test_rows_are_sorted_by_tweet_id_as_text_then_image(tmp_path: Path) -> None:
    tweets = [Tweet("999", "b", [jpeg(1)]), Tweet("1000", "a", [jpeg(n) for n in range(4)])]
    assert read(build_b_t4sa(tmp_path, tweets)).rows["id"].to_pylist() == [*(f"1000-{n}" for n in range(1, 5)), "999-1"]


def test_each_defect_costs_its_own_row_only(tmp_path: Path) -> None:
    tweets = defect_tweets()
    source = read(build_b_t4sa(tmp_path, [*tweets.values(), *plain_tweets(5)], hostile_members=True, apple_double=True))
    expected = {
        "text_missing": "text_missing",
        "image_missing": "image_missing",
        "image_empty": "image_empty",
        "bad_sentiment": "bad_sentiment",
    }
    assert status_of(source) == {f"{tweets[name].id}-1": status for name, status in expected.items()}
    assert source.rows.num_rows + len(source.rejects) == source.rows_in == len(tweets) + 6
    assert source.facts["texts_not_utf8"] == 1
    assert source.facts["tweets_without_sentiment_row"] == source.facts["sentiment_disagreements"] == 1
    assert source.facts["tar_members_left_out"] == 8
    found = texts_of(source)
    for name in set(tweets) - set(expected) - {"not_utf8"}:
        assert found[tweets[name].id] == tweets[name].text, name
    assert found[tweets["not_utf8"].id] == "caf\ufffd by the river"
    assert tweets["leading_zero"].id == "00791000000000000099"
    assert len(found[tweets["long_text"].id]) == 5002


def test_crlf_bom_and_split_files_beside_the_tar_change_nothing(tmp_path: Path) -> None:
    tweets = [tweet for name, tweet in defect_tweets().items() if name != "multi_line"]
    plain = read(build_b_t4sa(tmp_path / "plain", tweets))
    windows = build_b_t4sa(tmp_path / "windows", tweets, newline="\r\n", bom=True, splits_in="folder")
    inside = build_b_t4sa(tmp_path / "inside", tweets, newline="\r\n", bom=True)
    for other in (read(windows), read(inside)):
        assert other.rows.drop(["offset_bytes"]).equals(plain.rows.drop(["offset_bytes"]))
        assert (other.rejects, other.rows_in, other.facts) == (plain.rejects, plain.rows_in, plain.facts)


def test_line_ends_inside_a_text_survive(tmp_path: Path) -> None:
    tweets = [Tweet("1", "a\r\nb\nc\rd\u2028e\x0cf", [jpeg(1)]), Tweet("2", "x", [jpeg(2)])]
    source = read(build_b_t4sa(tmp_path, tweets, newline="\r\n"))
    assert texts_of(source) == {"1": "a\r\nb\nc\rd\u2028e\x0cf", "2": "x"}
    assert source.facts["csv_rows"] == 2


def test_split_files_beside_the_tar_go_before_those_inside(tmp_path: Path) -> None:
    root = build_b_t4sa(tmp_path, plain_tweets(10), splits_in="both")
    first = plain_tweets(10)[0]
    (root / "b-t4sa_train.txt").write_text(first.lines()[0] + "\n")
    source = read(root)
    assert source.rows.filter(pa.compute.equal(source.rows["source_split"], "train"))["tweet_id"].to_pylist() == [
        first.id
    ]
    assert source.facts["images_without_row"] == 12 - source.rows.num_rows > 0


def test_two_reads_are_equal_and_the_index_survives_parquet(tmp_path: Path) -> None:
    root = build_b_t4sa(tmp_path / "corpus", list(defect_tweets().values()), hostile_members=True)
    index = b_t4sa.index_tar(root / b_t4sa.TAR)
    pq.write_table(index, tmp_path / "index.parquet")
    one, two = b_t4sa.read_rows(root, index), b_t4sa.read_rows(root, pq.read_table(tmp_path / "index.parquet"))
    assert one.rows.equals(two.rows)
    assert (one.rejects, one.facts) == (two.rejects, two.facts)


def test_a_linked_read_only_folder_can_be_read(tmp_path: Path) -> None:
    root = build_b_t4sa(tmp_path / "media")
    for path in (*root.iterdir(), root):
        path.chmod(0o555)
    (tmp_path / "link").symlink_to(root)
    b_t4sa.check(tmp_path / "link")
    assert read(tmp_path / "link").rows.num_rows == 24


GOOD = "data/78476/784760943188189184-1.jpg"


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        f"{GOOD}",
        f"{GOOD} 0 1",
        f"{GOOD},0",
        "data/78476/784760943188189184.jpg 0",
        "data/78476/784760943188189184-5.jpg 0",
        "data/78476/784760943188189184-0.jpg 0",
        "data/78476/abc-1.jpg 0",
        "data/78476/7.84e17-1.jpg 0",
        "data/78476/\u0667\u0668-1.jpg 0",
        "/data/78476/784760943188189184-1.jpg 0",
    ],
)
def test_a_malformed_line_is_rejected_by_file_and_line_number(tmp_path: Path, line: str) -> None:
    source = read(build_b_t4sa(tmp_path, plain_tweets(3), extra_split_lines={"train": [line]}))
    assert [reject[:2] for reject in source.rejects] == [("b-t4sa_train.txt:4", "bad_split_line")]
    assert source.rows.num_rows == 3
    assert source.rows_in == 4


@pytest.mark.parametrize("digit", ["3", "-1", "00", "x", "0.0", "\u0661"])
def test_an_unknown_sentiment_digit_is_rejected_by_row_id(tmp_path: Path, digit: str) -> None:
    source = read(build_b_t4sa(tmp_path, [*plain_tweets(1), Tweet("5", "t", [jpeg(5)], digit=digit)]))
    assert [reject[:2] for reject in source.rejects] == [("5-1", "bad_sentiment")]


def test_blank_lines_and_tabs_are_harmless(tmp_path: Path) -> None:
    lines = ["", "   ", "data/00001/00001-1.jpg\t2  "]
    tweets = [*plain_tweets(1), Tweet("00001", "zero", [])]
    extra = {"data/00001/00001-1.jpg": jpeg(3)}
    source = read(build_b_t4sa(tmp_path, tweets, extra_split_lines={"val": lines}, extra_images=extra))
    assert source.rows_in == source.rows.num_rows == 2
    assert source.rows.to_pylist()[0]["sentiment"] == "positive"


def test_a_second_line_of_an_id_is_a_duplicate_and_the_first_counts(tmp_path: Path) -> None:
    tweet = plain_tweets(1)[0]
    lines = {"train": [tweet.lines()[0]], "test": [f"{tweet.member(1)} 2"]}
    source = read(build_b_t4sa(tmp_path, [tweet], extra_split_lines=lines))
    assert [reject[:2] for reject in source.rejects] == [(f"{tweet.id}-1", "duplicate_id")] * 2
    assert source.rows.num_rows == 1
    assert source.rows["source_split"].to_pylist() == ["train"]


def test_images_of_one_tweet_that_disagree_are_counted(tmp_path: Path) -> None:
    tweet = Tweet("77", "x", [jpeg(1)], sentiment="negative")
    source = read(
        build_b_t4sa(
            tmp_path,
            [tweet],
            extra_split_lines={"val": [f"{tweet.member(2)} 2"]},
            extra_images={tweet.member(2): jpeg(2)},
        )
    )
    assert source.rows.num_rows == 2
    assert source.facts["tweets_of_two_sentiments"] == source.facts["tweets_in_two_splits"] == 1
    assert source.facts["sentiment_disagreements"] == 1


@pytest.mark.parametrize("where", ["tar", "folder"])
def test_a_missing_split_file_is_named(tmp_path: Path, where: str) -> None:
    root = build_b_t4sa(tmp_path, splits_in="folder")
    (root / "b-t4sa_val.txt").unlink()
    with pytest.raises(UserError, match=r"b-t4sa_val\.txt"):
        read(root)


def test_no_usable_row_is_an_error_that_says_why(tmp_path: Path) -> None:
    tweets = [replace(tweet, text=None) for tweet in plain_tweets(3)]
    with pytest.raises(UserError, match=r"none of 3 .*text_missing"):
        read(build_b_t4sa(tmp_path, tweets))


def test_empty_split_files_are_an_error(tmp_path: Path) -> None:
    root = build_b_t4sa(tmp_path, splits_in="folder")
    for split in b_t4sa.SPLITS:
        (root / f"b-t4sa_{split}.txt").write_bytes(b"")
    with pytest.raises(UserError, match="split files are empty"):
        read(root)


@pytest.mark.skipif("SIER_REAL_CORPORA" not in os.environ, reason="SIER_REAL_CORPORA does not name the real corpora")
def test_real_tweets_are_read_whole() -> None:
    root = Path(os.environ["SIER_REAL_CORPORA"]) / "b_t4sa"
    b_t4sa.check(root)
    source = read(root)
    assert (source.rows_in, source.rows.num_rows, source.rejects) == (315, 315, [])
    counts = Counter(source.rows["sentiment"].to_pylist())
    assert counts == {"positive": 122, "negative": 103, "neutral": 90}
    assert source.facts["sentiment_disagreements"] == source.facts["csv_rows_broken"] == 0
    with b_t4sa.ImageReader(root / b_t4sa.TAR) as reader:
        for row in source.rows.to_pylist():
            assert reader.read(row["offset_bytes"], row["size_bytes"], LIMIT).startswith(b"\xff\xd8\xff")
