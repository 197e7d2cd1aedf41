"""The sample of emotion texts: same bytes everywhere, three published formats, neither too easy nor too hard."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline

from pipeline.corpora import emotion_texts as reader
from pipeline.errors import UserError
from pipeline.sample import make_emotion_texts
from pipeline.sample.tweets import write_tweets
from tests.sample_helpers import SEED, digests, elsewhere, size_bytes

TEXTS = 400
CLASSES = {
    "anger": "anger", "annoyance": "anger", "disgust": "disgust", "sadness": "sadness", "grief": "sadness",
    "joy": "excitement", "excitement": "excitement", "amusement": "excitement",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sample") / "emotion_texts"
    make_emotion_texts(target, seed=SEED, texts=TEXTS)
    return target


@pytest.fixture(scope="module")
def corpus(made: Path) -> reader.EmotionTexts:
    return reader.read(made)


def test_it_has_the_same_bytes_elsewhere_and_others_with_another_seed(made: Path, tmp_path: Path) -> None:
    with elsewhere(tmp_path) as folder:
        make_emotion_texts(folder, seed=SEED, texts=TEXTS)
        assert digests(folder) == digests(made)
        make_emotion_texts(folder / "other", seed=SEED + 1, texts=TEXTS)
        changed = {name for name, digest in digests(folder / "other").items() if digests(made)[name] != digest}
    assert {"goemotions/train.tsv", "isear/isear.csv", "meld/train_sent_emo.csv"} <= changed


def test_too_small_a_sample_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"texts = 39: expected at least 40$"):
        make_emotion_texts(tmp_path, seed=1, texts=39)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("texts", [40, 60, 400, 3_000])
def test_the_asked_number_of_texts_is_usable_and_every_oddity_is_rejected(tmp_path: Path, texts: int) -> None:
    make_emotion_texts(tmp_path, seed=SEED, texts=texts)
    corpus = reader.read(tmp_path)
    assert texts <= len(corpus.texts) <= texts + 2  # an aside that stands twice, a report with damaged quotes
    assert set(corpus.rows_of) == {"goemotions", "isear", "meld"}
    assert Counter(reject[1] for reject in corpus.rejects) == {
        "bad_row": 4, "empty_text": 2, "conflicting_labels": 2, "several_labels": 1, "unknown_label": 1, "not_utf8": 1,
        "no_report": 1, "duplicate_text": 1,
    }  # fmt: skip


def test_it_is_small_no_slot_is_left_open_and_subjects_and_dialogues_hold_several(
    made: Path, corpus: reader.EmotionTexts
) -> None:
    assert size_bytes(made) < 200_000
    assert not any("{" in text.text for text in corpus.texts)
    sizes = Counter(text.group for text in corpus.texts if text.part != "goemotions")
    assert 4 <= np.mean(list(sizes.values())) <= 6


def words() -> Pipeline:
    model = LogisticRegression(C=3, class_weight="balanced", max_iter=1000)
    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), model)


def cramers_v(first: list[str], second: list[int]) -> float:
    table = np.array(
        [[sum(a == x and b == y for a, b in zip(first, second, strict=True)) for y in set(second)] for x in set(first)]
    )
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    return float(np.sqrt(((table - expected) ** 2 / expected).sum() / table.sum() / (min(table.shape) - 1)))


@pytest.mark.parametrize("seed", [7, SEED])
def test_words_tell_most_of_the_held_out_texts_and_something_of_the_tweets(tmp_path: Path, seed: int) -> None:
    make_emotion_texts(tmp_path, seed=seed, texts=TEXTS)
    rows = [text for text in reader.read(tmp_path).texts if text.label in CLASSES]
    texts, labels = [text.text for text in rows], [CLASSES[text.label] for text in rows]
    groups = [text.group for text in rows]
    answers = cross_val_predict(words(), texts, labels, groups=groups, cv=GroupKFold(5))
    assert 0.6 <= np.mean(answers == np.array(labels)) <= 0.9
    tweets = write_tweets(seed, 240)
    answers = list(words().fit(texts, labels).predict([tweet.text for tweet in tweets]))
    sentiments = [tweet.sentiment for tweet in tweets]
    by_chance = [cramers_v(answers, list(np.random.default_rng(n).permutation(sentiments))) for n in range(40)]
    assert cramers_v(answers, sentiments) > max(by_chance)
