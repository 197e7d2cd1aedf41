"""Words and pairs of words, how often and how rare: by hand, saved and read back, damaged."""

from __future__ import annotations

import json
from math import log
from pathlib import Path

import numpy as np
import pytest

from models.errors import ItemError, ModelError
from models.teachers.tfidf_encoder import TFIDF, TFIDF_VADER, VOCABULARY_FILE, TfidfEncoder

TEXTS = ["red fox", "red fox runs", "red hen"]


def test_a_vector_by_hand() -> None:
    """Terms of two texts and more: fox (2), red (3), red fox (2); idf = ln((1 + 3) / (1 + n)) + 1."""
    encoder = TfidfEncoder.fit(TFIDF, TEXTS)
    assert encoder.terms == ("fox", "red", "red fox")
    fox, red = log(4 / 3) + 1, 1.0
    assert encoder.idf == pytest.approx((fox, red, fox), rel=1e-6)
    twice = fox * (log(2) + 1)  # sublinear: 1 + ln(2)
    length = (twice**2 + red**2 + fox**2) ** 0.5
    found = encoder.encode(["Red fox FOX!", "blue"])
    np.testing.assert_allclose(found, [[twice / length, red / length, fox / length], [0, 0, 0]], rtol=1e-6)


def test_four_scores_stand_beside() -> None:
    encoder = TfidfEncoder.fit(TFIDF_VADER, TEXTS)
    assert encoder.dimensions == 3 + 4
    vectors = encoder.encode(["I love the fox", "I hate the fox"])
    assert vectors[0, -1] > 0.5
    assert vectors[1, -1] < -0.3


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    encoder = TfidfEncoder.fit(TFIDF_VADER, TEXTS)
    encoder.save(tmp_path)
    first = (tmp_path / VOCABULARY_FILE).read_bytes()
    again = TfidfEncoder.load(TFIDF_VADER, tmp_path)
    assert again.digest == encoder.digest != TfidfEncoder.fit(TFIDF_VADER, [*TEXTS, "red dog"]).digest
    np.testing.assert_array_equal(again.encode(TEXTS), encoder.encode(TEXTS))
    again.save(tmp_path)
    assert (tmp_path / VOCABULARY_FILE).read_bytes() == first


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"terms": ["a"]}', '{"terms": ["a"], "idf": [1, 2]}',
                                    '{"terms": [1], "idf": [1]}'])  # fmt: skip
def test_a_damaged_vocabulary_is_told(tmp_path: Path, damage: str) -> None:
    (tmp_path / VOCABULARY_FILE).write_text(damage)
    with pytest.raises((ValueError, KeyError, TypeError)):
        TfidfEncoder.load(TFIDF, tmp_path)


@pytest.mark.parametrize("texts", [["one", "two"], ["a", "b"], []])
def test_an_empty_vocabulary_is_one_line(texts: list[str]) -> None:
    with pytest.raises(
        ModelError, match=rf"tf-idf: the vocabulary is empty: no word stands in 2 of {len(texts)} texts"
    ):
        TfidfEncoder.fit(TFIDF, texts)


def test_a_text_without_a_word_costs_itself() -> None:
    with pytest.raises(ItemError, match="no word was heard"):
        TfidfEncoder.fit(TFIDF, TEXTS).encode(["red", "..."])


def test_the_vocabulary_of_json_is_readable(tmp_path: Path) -> None:
    TfidfEncoder.fit(TFIDF, ["naïve fox", "naïve fox"]).save(tmp_path)
    assert json.loads((tmp_path / VOCABULARY_FILE).read_text(encoding="utf-8"))["terms"] == [
        "fox",
        "naïve",
        "naïve fox",
    ]
