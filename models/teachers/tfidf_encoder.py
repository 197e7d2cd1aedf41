"""Words to vectors without a network: how often words and pairs of words stand in a text, and how rare they are.

In   texts, as a recogniser heard them
Out  float32 [n, terms (+ 4)]: TF-IDF of the vocabulary's terms, rows of length 1; VADER's four scores if asked for

The light fallback beside `words_encoder`: its vocabulary is that of the texts it was fitted on.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.teachers.encoder_settings import EncoderSettings
from models.teachers.words_encoder import Lexicon, expect_words

TFIDF, TFIDF_VADER = "tf-idf", "tf-idf+vader"
TFIDF_ENCODERS = (TFIDF, TFIDF_VADER)
VOCABULARY_FILE = "vocabulary.json"
TERMS_MAX = 4_096  # the most frequent; vectors are dense
TEXTS_MIN = 2  # with a term, for it to be one

_RECIPE = "1-2 grams, sublinear, float32, version 1"


class TfidfEncoder:
    """`name` is one of `TFIDF_ENCODERS`; `idf` has a weight for each term."""

    settings = EncoderSettings()

    def __init__(self, name: str, terms: Sequence[str], idf: Sequence[float]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - takes a second

        self.name, self.terms, self.idf = name, tuple(terms), tuple(idf)
        self._lexicon = Lexicon() if name == TFIDF_VADER else None
        self._vectorizer = TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32, vocabulary=list(self.terms)
        )
        self._vectorizer.idf_ = np.asarray(idf, dtype=np.float32)
        self.dimensions = len(self.terms) + (self._lexicon.dimensions if self._lexicon else 0)
        facts = [_RECIPE, self.terms, self.idf, self._lexicon.digest if self._lexicon else ""]
        self.digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    @classmethod
    def fit(cls, name: str, texts: Sequence[str]) -> Self:
        """The vocabulary of `texts`; ModelError if no term stands in two of them."""
        from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415

        vectorizer = TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32, min_df=TEXTS_MIN, max_features=TERMS_MAX
        )
        try:
            vectorizer.fit(texts)
        except ValueError:  # its words speak of its own parameters
            raise ModelError(
                f"{name}: the vocabulary is empty: no word stands in {TEXTS_MIN} of {len(texts)} texts"
            ) from None
        return cls(name, vectorizer.get_feature_names_out().tolist(), vectorizer.idf_.astype(float).tolist())

    def check(self, item: str) -> None:
        """Raises ItemError for a text without a word."""
        expect_words(item)

    def encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        """Vectors float32 [n, dimensions] of n texts; ItemError: see `check`."""
        for text in batch:
            self.check(text)
        vectors = np.zeros((len(batch), self.dimensions), dtype=np.float32)
        vectors[:, : len(self.terms)] = self._vectorizer.transform(batch).toarray()
        if self._lexicon:
            vectors[:, len(self.terms) :] = [self._lexicon.scores(text) for text in batch]
        return vectors

    def save(self, folder: Path) -> None:
        """Write the vocabulary into `folder`; the same encoder gives the same bytes."""
        content = json.dumps({"terms": self.terms, "idf": self.idf}, indent=0, ensure_ascii=False)
        (folder / VOCABULARY_FILE).write_text(content + "\n", encoding="utf-8")

    @classmethod
    def load(cls, name: str, folder: Path) -> Self:
        """What `save` wrote; OSError, KeyError, TypeError or ValueError if it is not there or damaged."""
        saved = json.loads((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
        terms, idf = saved["terms"], saved["idf"]
        if len(terms) != len(idf) or not all(isinstance(term, str) for term in terms):
            raise ValueError(f"{VOCABULARY_FILE} is damaged")
        return cls(name, terms, idf)
