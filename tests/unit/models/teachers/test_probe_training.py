"""Fitting a probe: classes by name, C by validation, the same weights every time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from models.errors import ModelError
from models.teachers.encoder_settings import EncoderSettings
from models.teachers.probe import probabilities_of
from models.teachers.probe_training import (
    choose_c,
    choose_c_by_folds,
    fit_linear,
    fit_probe,
    out_of_fold_logits,
    usable_folds,
    validation_speakers,
)
from models.teachers.standardise import Statistics

CLASSES = ("sadness", "anger", "excitement")  # deliberately not alphabetical
CS = (0.001, 0.01, 0.1, 1.0)


@dataclass(frozen=True)
class VectorEncoder:
    """A real, tiny encoder: an item is its own vector."""

    name: str = "vectors"
    digest: str = "d" * 64
    dimensions: int = 8
    settings: EncoderSettings = field(default_factory=EncoderSettings)

    def check(self, item: NDArray[np.float32]) -> None:
        assert len(item) == self.dimensions

    def encode(self, batch: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.asarray(batch, dtype=np.float32).reshape(-1, self.dimensions)


def clouds(rows: int, classes: Sequence[str], spread: float, seed: int = 0) -> tuple[NDArray[np.float32], list[str]]:
    """Rows around one centre per class, and their classes in turn."""
    generator = np.random.default_rng(seed)
    labels = [classes[place % len(classes)] for place in range(rows)]
    centres = {name: np.random.default_rng(len(name)).normal(size=8) for name in CLASSES}
    points = np.stack([centres[label] for label in labels]) + generator.normal(scale=spread, size=(rows, 8))
    return points.astype(np.float32), labels


def every_fifth(rows: int) -> NDArray[np.bool_]:
    # 5 and 3 classes have no common factor: each class is held out equally often.
    mask: NDArray[np.bool_] = np.arange(rows) % 5 == 0
    return mask


def test_weights_stand_in_the_order_of_the_given_classes() -> None:
    rows, labels = clouds(90, CLASSES, spread=0.3)
    model = fit_linear(rows.astype(np.float64), labels, CLASSES, c=1.0)
    predictions = [CLASSES[place] for place in model.logits(rows.astype(np.float64)).argmax(axis=1)]
    assert np.mean(np.asarray(predictions) == labels) > 0.95


@pytest.mark.parametrize("present", [CLASSES, CLASSES[:2], ("anger", "excitement")])
def test_probabilities_are_those_of_scikit_learn(present: tuple[str, ...]) -> None:
    rows, labels = clouds(60, present, spread=1.0)
    exact = rows.astype(np.float64)
    regression = LogisticRegression(C=0.5, max_iter=5_000).fit(exact, labels)
    expected = np.zeros((60, 3))
    expected[:, [CLASSES.index(name) for name in regression.classes_]] = regression.predict_proba(exact)
    np.testing.assert_allclose(
        probabilities_of(fit_linear(exact, labels, CLASSES, 0.5).logits(exact)), expected, atol=1e-5
    )


def test_fitting_does_not_depend_on_the_number_of_threads() -> None:
    rows, labels = clouds(200, CLASSES, spread=1.0)
    with threadpool_limits(limits=1):
        one = fit_linear(rows.astype(np.float64), labels, CLASSES, 1.0)
    two = fit_linear(rows.astype(np.float64), labels, CLASSES, 1.0)
    np.testing.assert_array_equal(one.coefficients, two.coefficients)
    np.testing.assert_array_equal(one.intercepts, two.intercepts)


@pytest.mark.parametrize("labels", [[], ["anger"] * 4])
def test_fewer_than_two_classes_cannot_be_taught(labels: list[str]) -> None:
    with pytest.raises(ModelError, match="at least two classes, found"):
        fit_linear(np.zeros((len(labels), 8)), labels, CLASSES, 1.0)


def test_pure_noise_is_met_with_the_strongest_regularisation() -> None:
    rows = np.random.default_rng(0).normal(size=(120, 8))
    labels = np.random.default_rng(1).choice(CLASSES, 120).tolist()
    assert choose_c(rows, labels, every_fifth(120), CLASSES, CS).regularisation == 0.001


def test_clear_classes_are_met_with_the_weakest() -> None:
    rows, labels = clouds(120, CLASSES, spread=0.2)
    assert choose_c(rows.astype(np.float64), labels, every_fifth(120), CLASSES, CS[::-1]).regularisation == 1.0


def test_model_that_chose_c_has_not_seen_the_validation_rows() -> None:
    rows, labels = clouds(60, CLASSES, spread=1.0)
    exact, validation = rows.astype(np.float64), every_fifth(60)
    before = choose_c(exact, labels, validation, CLASSES, [0.1]).model
    exact[validation] = 1e6
    after = choose_c(exact, labels, validation, CLASSES, [0.1]).model
    np.testing.assert_array_equal(before.coefficients, after.coefficients)


def test_class_that_occurs_in_validation_only_does_not_spoil_the_choice() -> None:
    rows, labels = clouds(60, CLASSES[:2], spread=0.3)
    labels[0] = "excitement"
    validation = every_fifth(60)
    assert validation[0]
    choice = choose_c(rows.astype(np.float64), labels, validation, CLASSES, CS)
    assert choice.model.intercepts[CLASSES.index("excitement")] == -np.inf


def test_no_usable_validation_row_is_one_line() -> None:
    rows, labels = clouds(10, CLASSES[:2], spread=0.3)
    with pytest.raises(ModelError, match="no validation rows"):
        choose_c(rows.astype(np.float64), labels, np.zeros(10, dtype=np.bool_), CLASSES, CS)


def test_validation_speakers_are_whole_and_a_fifth_rounded_up() -> None:
    speakers = [f"s{place % 8}" for place in range(80)]
    mask = validation_speakers(speakers, seed=1)
    held = {name for name, chosen in zip(speakers, mask, strict=True) if chosen}
    assert len(held) == 2
    assert all(chosen == (name in held) for name, chosen in zip(speakers, mask, strict=True))
    np.testing.assert_array_equal(mask, validation_speakers(speakers, seed=1))
    draws = {tuple(validation_speakers(speakers, seed)) for seed in range(8)}
    assert len(draws) > 1


def test_one_speaker_is_too_few() -> None:
    with pytest.raises(ModelError, match="at least 2 speakers"):
        validation_speakers(["s1"] * 5, seed=0)


def test_probe_without_speakers_keeps_the_statistics_of_all_its_rows() -> None:
    rows, labels = clouds(90, CLASSES, spread=0.5)
    probe = fit_probe(VectorEncoder(), rows * 50 + 7, labels, CLASSES, validation=every_fifth(90), cs=CS)
    assert probe.normalise == "none"
    assert probe.statistics is not None
    np.testing.assert_allclose(probe.statistics.mean, (rows * 50 + 7).mean(axis=0), rtol=1e-4)
    predictions = np.asarray(CLASSES)[probe.predict_proba(list(rows * 50 + 7)).argmax(axis=1)]
    assert np.mean(predictions == labels) > 0.9
    assert probe.temperature == 1.0


def test_probe_with_speakers_hears_through_their_voices() -> None:
    rows, labels = clouds(90, CLASSES, spread=0.3)
    speakers = [f"s{place // 18}" for place in range(90)]
    offsets = np.repeat(np.random.default_rng(9).normal(scale=30, size=(5, 8)), 18, axis=0).astype(np.float32)
    probe = fit_probe(
        VectorEncoder(), rows + offsets, labels, CLASSES,
        validation=validation_speakers(speakers, 0), cs=CS, speakers=speakers,
    )  # fmt: skip
    assert probe.normalise == "voice"
    assert probe.statistics is None
    new_rows, new_labels = clouds(90, CLASSES, spread=0.3, seed=4)
    new_voice = new_rows - 200
    probabilities = probe.predict_proba(list(new_voice), Statistics.of(new_voice))
    assert np.mean(np.asarray(CLASSES)[probabilities.argmax(axis=1)] == new_labels) > 0.9


def test_calibration_is_fitted_on_validation_rows_when_asked() -> None:
    rows, labels = clouds(90, CLASSES, spread=1.5)
    plain, calibrated = (
        # C = 100 is far too sure of clouds that overlap.
        fit_probe(VectorEncoder(), rows, labels, CLASSES, validation=every_fifth(90), cs=[100.0], calibrate=calibrate)
        for calibrate in (False, True)
    )
    assert calibrated.temperature > 1.05
    np.testing.assert_array_equal(plain.model.coefficients, calibrated.model.coefficients)
    assert calibrated.classify(rows, None).max(axis=1).mean() < plain.classify(rows, None).max(axis=1).mean()


def test_fitting_twice_gives_one_digest() -> None:
    rows, labels = clouds(60, CLASSES, spread=0.8)
    digests = {
        fit_probe(VectorEncoder(), rows, labels, CLASSES, validation=every_fifth(60), cs=CS, calibrate=True).digest
        for _ in range(2)
    }
    assert len(digests) == 1


def test_out_of_fold_logits_do_not_know_the_row_they_judge() -> None:
    rows, labels = clouds(60, CLASSES, spread=0.3)
    wrong = [*labels]
    wrong[7] = next(name for name in CLASSES if name != labels[7])
    logits = [out_of_fold_logits(rows, given, CLASSES, c=1.0, seed=3, folds=5) for given in (labels, wrong)]
    predicted = [CLASSES[found[7].argmax()] for found in logits]
    assert predicted == [labels[7], labels[7]]
    in_sample = fit_linear(Statistics.of(rows).apply(rows), labels, CLASSES, c=1.0).logits(
        Statistics.of(rows).apply(rows)
    )
    assert not np.allclose(logits[0], in_sample)


def test_folds_choose_little_regularisation_for_clear_classes_and_much_for_noise() -> None:
    rows, labels = clouds(60, CLASSES, spread=0.2)
    shuffled = np.random.default_rng(1).permutation(labels).tolist()
    assert choose_c_by_folds(rows, labels, CLASSES, CS, seed=0)[0] == max(CS)
    assert choose_c_by_folds(rows, shuffled, CLASSES, CS, seed=0)[0] == min(CS)


def test_folds_choose_the_same_every_time_and_in_any_order_of_cs() -> None:
    rows, labels = clouds(60, CLASSES, spread=1.0)
    first, again = (choose_c_by_folds(rows, labels, CLASSES, cs, seed=5) for cs in (CS, CS[::-1]))
    assert first[0] == again[0]
    assert np.array_equal(first[1], again[1])


def test_the_rarest_class_limits_the_folds_and_a_single_row_is_refused() -> None:
    rows, labels = clouds(12, CLASSES, spread=0.3)
    assert usable_folds(labels) == 4
    with pytest.raises(ModelError, match="sadness has 1"):
        choose_c_by_folds(rows[:-9], ["anger", "sadness", "anger"], CLASSES, CS, seed=0)


def test_a_probe_without_validation_rows_is_fitted_on_all_rows_with_the_c_of_the_folds() -> None:
    rows, labels = clouds(60, CLASSES, spread=1.0)
    probe = fit_probe(VectorEncoder(), rows, labels, CLASSES, validation=None, cs=CS, seed=5)
    c, _ = choose_c_by_folds(rows, labels, CLASSES, CS, seed=5)
    expected = fit_linear(Statistics.of(rows).apply(rows), labels, CLASSES, c)
    assert probe.regularisation == c
    assert np.array_equal(probe.model.coefficients, expected.coefficients)
    with pytest.raises(ValueError, match="tear speakers apart"):
        fit_probe(VectorEncoder(), rows, labels, CLASSES, validation=None, cs=CS, speakers=["one", "two"] * 30)
