from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.corpora import b_t4sa
from tests.builders import Tweet, build_b_t4sa, jpeg, plain_tweets


def read(root: Path) -> b_t4sa.SourceRows:
    return b_t4sa.read_rows(root, b_t4sa.index_tar(root / b_t4sa.TAR))


def status_of(source: b_t4sa.SourceRows) -> dict[str, str]:
    return {row_id: status for row_id, status, _ in source.rejects}


def texts_of(source: b_t4sa.SourceRows) -> dict[str, str]:
    return dict(zip(source.rows["tweet_id"].to_pylist(), source.rows["text"].to_pylist(), strict=True))


def test_ids_above_2_to_the_53_are_never_rounded(tmp_path: Path) -> None:
    # As float64 all of these are the same number.
    ids = [str(2**60 + offset) for offset in range(4)]
    assert len({float(tweet_id) for tweet_id in ids}) == 1
    source = read(build_b_t4sa(tmp_path, [Tweet(i, f"text {i}", [jpeg(int(i) % 97)]) for i in ids]))
    assert texts_of(source) == {i: f"text {i}" for i in ids}


@pytest.mark.parametrize(
    "text", ["NA", "null", "NaN", "None", "", " ", "1e5", "007", "-", "#N/A", "True", "\\N", '"', "'"]
)
def test_a_text_that_looks_like_something_else_stays_a_text(tmp_path: Path, text: str) -> None:
    assert texts_of(read(build_b_t4sa(tmp_path, [Tweet("8", text, [jpeg(8)])]))) == {"8": text}


@pytest.mark.parametrize(
    "line",
    [
        b"12",
        b"784760943188189999,with, a comma too many",
        b"784760943188189999",
        b",no id",
        b"7.84760943188189E+17,an id that a spreadsheet has eaten",
        b'784760943188189999,"closed" too early',
        b'784760943188189999,"never closed',
        b"784760943188189999,a bare carriage\rreturn",
    ],
)
def test_a_broken_csv_row_costs_that_row_only(tmp_path: Path, line: bytes) -> None:
    source = read(build_b_t4sa(tmp_path, plain_tweets(6), extra_csv_lines=[line]))
    assert source.facts["csv_rows_broken"] == 1
    assert source.rejects == []
    assert texts_of(source) == {tweet.id: tweet.text for tweet in plain_tweets(6)}


def test_an_unclosed_quote_before_quoted_texts_costs_that_row_only(tmp_path: Path) -> None:
    tweets = [Tweet(str(790000000000000001 + n), f'say "{n}",\nplease', [jpeg(n)]) for n in range(6)]
    lines = [b'790000000000000999,"never closed']
    source = read(build_b_t4sa(tmp_path, tweets, extra_csv_lines=lines))
    assert source.rejects == []
    assert texts_of(source) == {tweet.id: tweet.text for tweet in tweets}


def test_a_broken_row_of_a_listed_tweet_rejects_that_tweet(tmp_path: Path) -> None:
    tweets = [*plain_tweets(2), Tweet("55", None, [jpeg(5)])]
    source = read(build_b_t4sa(tmp_path, tweets, extra_csv_lines=[b"55,a,b"]))
    assert status_of(source) == {"55-1": "text_missing"}


def test_a_bare_carriage_return_never_cuts_a_text_in_two(tmp_path: Path) -> None:
    tweets = [*plain_tweets(2), Tweet("55", None, [jpeg(5)])]
    source = read(build_b_t4sa(tmp_path, tweets, extra_csv_lines=[b"55,before\rafter"]))
    assert status_of(source) == {"55-1": "text_missing"}
    assert source.facts["csv_rows_broken"] == 1


def test_an_unclosed_quote_in_a_long_file_does_not_reach_far(tmp_path: Path) -> None:
    others = [(str(800000000000000000 + n), "some words without any quote " * 5) for n in range(3000)]
    tweets = [Tweet(str(900000000000000001 + n), f"text {n}", [jpeg(n)]) for n in range(3)]
    lines = [b'800000000000009999,"never closed']
    source = read(build_b_t4sa(tmp_path, tweets, extra_texts=others, extra_csv_lines=lines))
    assert source.facts["csv_rows_broken"] == 1
    assert source.facts["texts_without_image"] == 3000
    assert source.rows.num_rows == 3


def test_a_field_beyond_the_csv_limit_costs_one_row(tmp_path: Path) -> None:
    source = read(build_b_t4sa(tmp_path, plain_tweets(4), extra_csv_lines=[b'123,"' + b"a" * 200_000 + b'"']))
    assert source.facts["csv_rows_broken"] == 1
    assert source.rows.num_rows == 4


def test_texts_without_image_and_second_texts_are_counted_and_the_first_text_counts(tmp_path: Path) -> None:
    tweets = plain_tweets(2)
    extra = [("1", "no image"), ("2", "nor this"), (tweets[0].id, "a second text")]
    source = read(build_b_t4sa(tmp_path, tweets, extra_texts=extra))
    assert (source.facts["texts_without_image"], source.facts["texts_twice"]) == (2, 1)
    assert texts_of(source)[tweets[0].id] == tweets[0].text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=8))
def test_any_text_comes_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    tweets = [Tweet(str(100 + number), text, [b"x"]) for number, text in enumerate(texts)]
    source = read(build_b_t4sa(tmp_path_factory.mktemp("texts"), tweets))
    assert texts_of(source) == {tweet.id: tweet.text for tweet in tweets}


def test_tsv_rows_that_are_broken_or_without_image_are_counted(tmp_path: Path) -> None:
    extra = [
        "5\t0.1\t0.9",
        "6\tx\t0\t1",
        "7\tnan\t0\t1",
        "8\t0.1\t0.8\t0.1",
        "\t0.1\t0.8\t0.1",
        "9\t0.1\t0.8\t0.05\t0.05",
    ]
    source = read(build_b_t4sa(tmp_path, plain_tweets(3), extra_tsv_lines=extra))
    assert source.facts["tsv_rows"] == 9
    assert source.facts["tsv_rows_broken"] == 5
    assert source.facts["tsv_rows_without_image"] == 1


def test_an_equal_probability_is_no_disagreement(tmp_path: Path) -> None:
    tweets = [
        Tweet(str(10 + n), "x", [jpeg(n)], sentiment=s, tsv_sentiment="")
        for n, s in enumerate(["negative", "positive"])
    ]
    source = read(build_b_t4sa(tmp_path, tweets, extra_tsv_lines=["10\t0.5\t0.5\t0.0", "11\t0.5\t0.5\t0.0"]))
    assert source.facts["sentiment_disagreements"] == 1
