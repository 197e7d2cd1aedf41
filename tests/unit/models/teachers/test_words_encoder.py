"""Texts to vectors: of a text alone, whatever comes with it; close in meaning is close in space."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ItemError, ModelError
from models.teachers import words_encoder
from models.teachers.encoders import create_encoder
from models.teachers.words_encoder import DIMENSIONS, SENTENCES, SENTENCES_VADER, WordsEncoder

TEXTS = ["I am so happy for you!", "This makes me furious.", "We met at the station.", "no", "So glad you made it."]


@cache
def encoder(name: str = SENTENCES_VADER) -> WordsEncoder:
    return WordsEncoder(name)


@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=6))
@settings(max_examples=10, deadline=None)
def test_vector_of_a_text_is_bit_identical_alone_and_among_any_neighbours(texts: list[str]) -> None:
    together = encoder().encode(texts)
    assert together.dtype == np.float32
    np.testing.assert_array_equal(together, np.concatenate([encoder().encode([text]) for text in texts]))


def test_a_vector_is_a_sentence_and_what_the_lexicon_says_of_it() -> None:
    vectors = encoder().encode(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder().dimensions) == (5, DIMENSIONS + 4)
    np.testing.assert_array_equal(vectors[:, :DIMENSIONS], encoder(SENTENCES).encode(TEXTS))
    np.testing.assert_allclose(np.linalg.norm(vectors[:, :DIMENSIONS], axis=1), 1, rtol=1e-4)
    compound = vectors[:, -1]
    assert compound[0] > 0.5
    assert compound[1] < 0
    assert compound[2] == 0  # no word of it is in the lexicon
    likeness = vectors[:, :DIMENSIONS] @ vectors[0, :DIMENSIONS]
    assert likeness[4] > max(likeness[1:4])  # glad is nearer to happy than all others are


@pytest.mark.parametrize("text", ["", "  ", "...", "?!", "🙂"])
def test_a_text_without_a_word_costs_its_row(text: str) -> None:
    with pytest.raises(ItemError, match="no word was heard"):
        encoder().check(text)


@given(st.text(max_size=300).filter(lambda text: any(map(str.isalnum, text))))
@settings(max_examples=50, deadline=None)
def test_any_text_with_a_word_has_a_finite_vector(text: str) -> None:
    encoder().check(text)
    assert np.isfinite(encoder().encode([text])).all()


def test_the_digest_tells_encoders_apart_and_stays_the_same() -> None:
    assert encoder().digest == WordsEncoder(SENTENCES_VADER).digest != encoder(SENTENCES).digest
    assert create_encoder(SENTENCES).name == SENTENCES


@pytest.mark.parametrize("file", ["MODEL_FILE", "LEXICON_FILE"])
def test_other_weights_than_the_pinned_ones_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str
) -> None:
    packaged = getattr(words_encoder, file)
    target = tmp_path / packaged.module / packaged.relative
    target.parent.mkdir(parents=True)
    target.write_bytes(b"other weights")
    monkeypatch.setenv("SIER_WEIGHTS", str(tmp_path))
    with pytest.raises(ModelError, match=r"sha256 is .*, expected "):
        WordsEncoder(SENTENCES_VADER)
