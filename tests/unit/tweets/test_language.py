"""Which language a text is in, and what stays of a mixed one."""

import csv
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.errors import RowError, UserError
from pipeline.tweets.language import expect_known, said_text
from pipeline.tweets.params import TextParams

ENGLISH = TextParams(emoji="words", max_characters=300)


def said(text: str, *languages: str) -> str:
    return said_text(text, ENGLISH, languages or ("en",))[0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("今日はいい天気ですね", "ja"),
        ("今日はいい天気ですね 😀❤️", "ja"),  # the names of emoji are no English text
        ("Привет, как дела?", "ru"),
        ("สวัสดีครับ", "th"),
        ("안녕 하세요 오늘", "ko"),
        ("ελληνικά είναι ωραία γλώσσα", "el"),
        ("Tokyo 東京", "zh"),
        ("сегодня 25 http://t.co/abc", "ru"),
        ("Heute war ein richtig schöner Tag am See #happy #summer", "de"),
        ("te extraño mucho amiga @user", "es"),
        ("Selamat ulang tahun sahabatku sayang 🎂", "id"),
    ],
)
def test_another_language_is_rejected_by_its_name(text: str, found: str) -> None:
    with pytest.raises(RowError, match=f"^text_language: {found}, where en is spoken: ") as raised:
        said(text)
    assert raised.value.status == "text_language"
    assert said_text(text, ENGLISH, None)[0]  # any language is kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("mixed 日本 trip was great", "mixed trip was great"),
        ("mixed日本trip was great", "mixed trip was great"),
        ("I said שלום to him", "I said to him"),
        ("Hello my friends, привет! how are you", "Hello my friends! how are you"),
        ("Happy birthday to my best friend! Te quiero mucho mi amiga linda", "Happy birthday to my best friend!"),
        (
            "Hoy no tengo ganas de nada. Today is a lazy day at home with my dog",
            "Today is a lazy day at home with my dog",
        ),
        ("π is 3.14 and I love it", "π is 3.14 and I love it"),
        ("Hоllo my friend", "Hоllo my friend"),  # one letter only looks like its own
        ("𝓗𝓮𝓵𝓵𝓸 my friends", "Hello my friends"),
        ("Back at the Café in Curaçao", "Back at the Café in Curaçao"),
    ],
)
def test_the_english_of_a_mixed_text_is_kept(text: str, kept: str | None) -> None:
    assert said(text) == (text if kept is None else kept)


@pytest.mark.parametrize("text", ["25", "@user 21 http://t.co/abc", "2 0 1 5"])
def test_digits_alone_are_no_text(text: str) -> None:
    for languages in (("en",), None):
        with pytest.raises(RowError, match="no word") as raised:
            said_text(text, ENGLISH, languages)
        assert raised.value.status == "text_empty"


@pytest.mark.parametrize(
    "text", ["Goodnight", "xoxo", "Yall dead wrong", "Happy Cinco de Mayo", "Justin Bieber", "omg lol"]
)
def test_short_texts_and_names_are_kept(text: str) -> None:
    assert said(text) == text


def test_another_language_can_be_the_one_that_is_kept() -> None:
    assert said("Endlich Wochenende! Wer kommt mit ins Kino", "de") == "Endlich Wochenende! Wer kommt mit ins Kino"
    assert said("Привет, как дела?", "ru") == "Привет, как дела?"
    with pytest.raises(RowError, match="text_language: en, where de is spoken"):
        said("Finally it is the weekend! Who wants to go to the movies with me", "de")
    assert said("Finally it is the weekend! Who wants to go to the movies", "de", "en").startswith("Finally")


def test_codes_of_languages_are_checked() -> None:
    expect_known(("en", "de", "ja"))
    expect_known(None)
    with pytest.raises(UserError, match=r"clean\.text\.languages: qq is no language"):
        expect_known(("en", "qq"))
    for wrong in ((), ("English",)):
        with pytest.raises(ValidationError):
            TextParams(emoji="words", max_characters=300, languages=wrong)


@given(st.text(max_size=80))
def test_any_text_is_said_or_refused_by_a_row_error(text: str) -> None:
    try:
        spoken = said(text)
    except RowError as error:
        assert error.status in {"text_empty", "text_language"}
    else:
        assert any(map(str.isalpha, spoken))
        assert spoken == spoken.strip()


@pytest.mark.skipif("SIER_REAL_CORPORA" not in os.environ, reason="SIER_REAL_CORPORA names no folder")
def test_no_real_tweet_is_rejected() -> None:
    corpus = Path(os.environ["SIER_REAL_CORPORA"]) / "b_t4sa" / "raw_tweets_text.csv"
    with corpus.open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    assert len(texts) == 315
    assert all(map(said, texts))
