"""Folds of texts and sessions, probes that have not seen their fold, and the pool of sound and words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import ModelError
from models.teachers.encoders import load_encoder
from models.teachers.fused_probe import FusedProbe, pooled_logits
from models.teachers.loading import load_teacher
from models.teachers.probe import LinearModel, Probe, probabilities_of
from models.teachers.standardise import Statistics
from models.teachers.teacher import Utterance
from models.teachers.tfidf_encoder import TFIDF, TfidfEncoder
from models.teachers.words_training import Recipe, WordRows, fit_words, out_of_fold, text_folds
from tests.unit.models.teachers.test_probe import SumsEncoder

RECIPE = Recipe(("calm", "glad"), (0.1, 1.0), balanced=True, seed=3)


def rows(count: int, folds: int) -> tuple[WordRows, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    labels = ["glad" if number % 3 else "calm" for number in range(count)]
    vectors = rng.normal(size=(count, 3)).astype(np.float32)
    vectors[:, 0] += [2.0 if label == "glad" else -2.0 for label in labels]
    groups = [f"g{number // 2}" for number in range(count)]
    return WordRows(labels, groups, np.arange(count, dtype=np.intp) // 2 % folds), vectors


def test_folds_of_texts_keep_groups_whole_and_classes_even() -> None:
    labels = ["glad", "calm"] * 30
    groups = [f"g{number // 3}" for number in range(60)]
    folds = text_folds(labels, groups, 5, seed=1)
    assert {len(set(folds[np.array(groups) == group])) for group in groups} == {1}
    assert np.bincount(folds).tolist() == [12] * 5
    assert folds.tolist() == text_folds(labels, groups, 5, seed=1).tolist()
    assert text_folds([], [], 5, seed=1).tolist() == []


def test_too_few_groups_are_one_line() -> None:
    with pytest.raises(ModelError, match="emotion texts: expected 5 groups or more to hold out in turn, found 2"):
        text_folds(["glad"] * 4, ["a", "a", "b", "b"], 5, seed=1)


def test_no_row_is_judged_by_what_has_seen_it() -> None:
    """A held-out row's own vector is told by the vectors that its model was fitted on: it is never among them."""
    table, vectors = rows(60, 3)
    asked: list[set[int]] = []

    def vectors_for(known: NDArray[np.bool_]) -> NDArray[np.float32]:
        asked.append(set(np.flatnonzero(known).tolist()))
        return vectors

    logits = out_of_fold(table, RECIPE, vectors_for)
    held_out = [set(range(60)) - known for known in asked]
    assert sorted(row for fold in held_out for row in fold) == list(range(60))
    said = np.array(RECIPE.classes)[logits.argmax(axis=1)]
    assert (said == np.array(table.labels)).mean() > 0.9
    # Labels of the held-out fold do not reach its model.
    flipped = [("calm" if label == "glad" else "glad") if row in held_out[0] else label
               for row, label in enumerate(table.labels)]  # fmt: skip
    other = out_of_fold(WordRows(flipped, table.groups, table.folds), RECIPE, lambda _: vectors)
    first = sorted(held_out[0])
    np.testing.assert_array_equal(other[first], logits[first])


def test_balanced_classes_move_the_answer_for_what_says_nothing() -> None:
    table, vectors = rows(60, 3)
    nothing = np.zeros((1, 3), dtype=np.float32)
    even, uneven = (
        fit_words(table, Recipe(RECIPE.classes, (0.001,), balanced=balanced, seed=3), SumsEncoder(), vectors, 1.0)
        for balanced in (True, False)
    )  # fmt: skip
    glad_even, glad_uneven = (probe.classify(nothing, None)[0, 1] for probe in (even, uneven))
    assert glad_uneven > glad_even + 0.1  # two thirds are glad


def test_a_pool_by_hand() -> None:
    """.8^.25 x .4^.75 and .2^.25 x .6^.75."""
    pooled = probabilities_of(pooled_logits(np.array([[0.8, 0.2]]), np.array([[0.4, 0.6]]), 0.25))
    a, b = 0.8**0.25 * 0.4**0.75, 0.2**0.25 * 0.6**0.75
    assert pooled[0].tolist() == pytest.approx([a / (a + b), b / (a + b)], abs=1e-6)
    assert pooled_logits(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]), 1.0)[0, 1] == pytest.approx(np.log(1e-6))


def words_probe() -> Probe:
    encoder = TfidfEncoder.fit(TFIDF, ["red fox", "red fox", "blue fox", "blue fox"])
    model = LinearModel(np.arange(2 * encoder.dimensions).reshape(2, -1) / 7.0, np.array([0.1, -0.1]))
    statistics = Statistics(np.zeros(encoder.dimensions), np.ones(encoder.dimensions))
    return Probe(encoder, ("calm", "glad"), model, "none", statistics)


def test_a_probe_on_a_vocabulary_is_read_back_by_its_folder(tmp_path: Path) -> None:
    probe = words_probe()
    probe.save(tmp_path)
    again = load_teacher(tmp_path)
    assert again.features == "linguistic"
    assert again.digest == probe.digest
    np.testing.assert_array_equal(again.predict_proba(["red fox", "a hen"]), probe.predict_proba(["red fox", "a hen"]))
    (tmp_path / "vocabulary.json").unlink()
    with pytest.raises(ModelError, match="expected a saved probe, found FileNotFoundError"):
        load_teacher(tmp_path)


def test_a_fused_teacher_hears_both_and_its_voice_is_that_of_the_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = Probe(SumsEncoder(), ("calm", "glad"), LinearModel(np.eye(2, 3), np.zeros(2)), "voice", None)
    fused = FusedProbe(sound, words_probe(), 0.5, 2.0)
    batch = [Utterance(np.full(4, level, dtype=np.float32), words) for level, words in ((0.1, "red fox"), (0.9, "hen"))]
    vectors = fused.represent(batch)
    assert vectors.shape == (2, 3 + words_probe().encoder.dimensions)
    statistics = Statistics(np.full(vectors.shape[1], 0.5), np.full(vectors.shape[1], 2.0))
    own = Statistics(np.full(3, 0.5), np.full(3, 2.0))
    of_sound, of_words = sound.classify(vectors[:, :3], own), words_probe().classify(vectors[:, 3:], None)
    expected = probabilities_of(pooled_logits(of_sound, of_words, 0.5), 2.0)
    np.testing.assert_array_equal(fused.classify(vectors, statistics), expected)
    with pytest.raises(ValueError, match="statistics missing"):
        fused.classify(vectors, None)
    fused.save(tmp_path)
    # The encoder of this test has no name that leads to it.
    monkeypatch.setattr(
        "models.teachers.probe.load_encoder",
        lambda name, *given, device: sound.encoder if name == "sums" else load_encoder(name, *given, device=device),
    )
    again = FusedProbe.load(tmp_path)
    assert again.digest == fused.digest
    card = (tmp_path / "teacher.json").read_text()
    (tmp_path / "teacher.json").write_text(card.replace('"weight": 0.5', '"weight": 0.6'))
    with pytest.raises(ModelError, match="not those that were saved"):
        FusedProbe.load(tmp_path)
