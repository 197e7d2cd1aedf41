"""Probes: probabilities that depend on their row alone, classes by name, and files that cannot be mistaken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from models.errors import ItemError, ModelError
from models.teachers.encoder_settings import EncoderSettings
from models.teachers.probe import LinearModel, Probe, probabilities_of
from models.teachers.standardise import Statistics, standardise_by_group
from models.teachers.teacher import Teacher

CLASSES = ("anger", "excitement", "sadness", "disgust")


@dataclass(frozen=True)
class SumsEncoder:
    """A real, tiny encoder: an item is a list of numbers, its vector their first, last and sum."""

    name: str = "sums"
    digest: str = "d" * 64
    dimensions: int = 3
    settings: EncoderSettings = field(default_factory=EncoderSettings)

    def check(self, item: list[float]) -> None:
        if not len(item):
            raise ItemError("empty", "no numbers")

    def encode(self, batch: Sequence[list[float]]) -> NDArray[np.float32]:
        for item in batch:
            self.check(item)
        return np.array([[item[0], item[-1], sum(item)] for item in batch], dtype=np.float32).reshape(-1, 3)


def probe(normalise: str = "none", **changes: Any) -> Probe:
    generator = np.random.default_rng(5)
    model = LinearModel(generator.normal(size=(4, 3)), generator.normal(size=4))
    statistics = Statistics(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.5, 2.0]))
    fields = {"encoder": SumsEncoder(), "classes": CLASSES, "model": model, "normalise": normalise}
    return Probe(**{**fields, "statistics": statistics if normalise == "none" else None, **changes})


def without_sadness() -> LinearModel:
    model = probe().model
    return replace(model, intercepts=np.where(np.array(CLASSES) == "sadness", -np.inf, model.intercepts))


def test_a_probe_is_a_teacher() -> None:
    teacher: Teacher = probe()
    assert teacher.classes == CLASSES


def test_probabilities_of_a_two_class_probe_worked_by_hand() -> None:
    model = LinearModel(np.array([[np.log(3.0), 0, 0], [0, 0, 0]]), np.zeros(2))
    statistics = Statistics(np.array([4.0, 0, 0]), np.array([2.0, 1, 1]))
    two = probe(model=model, classes=("a", "b"), statistics=statistics)
    # (6 - 4) / 2 = 1 standard deviation, odds of 3 to 1; at half the temperature, 9 to 1.
    assert two.predict_proba([[6.0]]).tolist() == [pytest.approx([0.75, 0.25])]
    assert replace(two, temperature=0.5).predict_proba([[6.0]]).tolist() == [pytest.approx([0.9, 0.1])]


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(-1e3, 1e3, width=32)))
@settings(max_examples=60)
def test_rows_sum_to_one_and_do_not_depend_on_their_neighbours(rows: NDArray[np.float32]) -> None:
    probabilities = probe().classify(rows, None)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    alone = np.concatenate([probe().classify(row[np.newaxis], None) for row in rows])
    np.testing.assert_array_equal(probabilities, alone)


def test_wide_rows_do_not_depend_on_their_neighbours_either() -> None:
    generator = np.random.default_rng(0)
    model = LinearModel(generator.normal(size=(4, 1280)), generator.normal(size=4))
    rows = generator.normal(size=(257, 1280))
    np.testing.assert_array_equal(model.logits(rows), np.concatenate([model.logits(row[None]) for row in rows]))
    np.testing.assert_allclose(model.logits(rows), rows @ model.coefficients.T + model.intercepts, atol=1e-9)
    np.testing.assert_array_equal(model.logits(np.asfortranarray(rows)), model.logits(rows))


def test_class_without_training_rows_has_probability_zero_and_keeps_its_column() -> None:
    probabilities = probe(model=without_sadness()).predict_proba([[1.0], [5.0, -2.0]])
    assert probabilities.shape == (2, 4)
    assert probabilities[:, 2].tolist() == [0, 0]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_normalised_by_voice_a_shift_and_gain_of_the_voice_change_nothing() -> None:
    rows = np.random.default_rng(3).normal(size=(30, 3)).astype(np.float32)
    other = rows * 4 + 16  # powers of two: exact in floating point
    teacher = probe("voice")
    np.testing.assert_allclose(
        teacher.classify(rows, Statistics.of(rows)), teacher.classify(other, Statistics.of(other)), atol=1e-5
    )


@pytest.mark.parametrize("normalise", ["voice", "none"])
def test_statistics_missing_or_superfluous_are_refused(normalise: str) -> None:
    rows = np.ones((2, 3), dtype=np.float32)
    wrong = None if normalise == "voice" else Statistics.of(rows)
    with pytest.raises(ValueError, match=r"statistics (missing|given)"):
        probe(normalise).classify(rows, wrong)


def test_items_are_checked_one_by_one() -> None:
    probe().check([1.0])
    with pytest.raises(ItemError, match="no numbers"):
        probe().check([])


@pytest.mark.parametrize("normalise", ["voice", "none"])
def test_saved_and_loaded_is_the_same_probe(tmp_path: Path, normalise: str) -> None:
    saved = probe(normalise, model=without_sadness(), temperature=1.7, regularisation=0.1)
    saved.save(tmp_path)
    loaded = Probe.load(tmp_path, SumsEncoder())
    rows = np.random.default_rng(1).normal(size=(9, 3)).astype(np.float32)
    statistics = Statistics.of(rows) if normalise == "voice" else None
    np.testing.assert_array_equal(loaded.classify(rows, statistics), saved.classify(rows, statistics))
    assert loaded.digest == saved.digest
    assert (loaded.classes, loaded.normalise, loaded.temperature, loaded.regularisation) == (
        CLASSES,
        normalise,
        1.7,
        0.1,
    )


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    probe().save(tmp_path / "a")
    probe().save(tmp_path / "b")
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["probe.safetensors", "teacher.json"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def test_digest_changes_with_everything_that_decides() -> None:
    base = probe()
    model, statistics = base.model, base.statistics
    assert statistics is not None
    others = [
        replace(base, classes=("excitement", "anger", "sadness", "disgust")),
        replace(base, encoder=SumsEncoder(digest="e" * 64)),
        replace(base, temperature=1.1),
        replace(base, model=replace(model, intercepts=model.intercepts + 1e-12)),
        replace(base, model=replace(model, coefficients=model.coefficients * (1 + 1e-12))),
        replace(base, statistics=replace(statistics, mean=statistics.mean + 1)),
        probe("voice"),
    ]
    assert len({teacher.digest for teacher in [base, *others]}) == len(others) + 1


def test_other_encoder_than_in_training_is_refused(tmp_path: Path) -> None:
    probe().save(tmp_path)
    with pytest.raises(ModelError, match="another version of encoder sums"):
        Probe.load(tmp_path, SumsEncoder(digest="e" * 64))


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    probe().save(tmp_path)
    card = json.loads((tmp_path / "teacher.json").read_text())
    card["classes"].reverse()  # the same weights under other names
    (tmp_path / "teacher.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="not those that were saved"):
        Probe.load(tmp_path, SumsEncoder())


@pytest.mark.parametrize("file", ["teacher.json", "probe.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff\xfe"])
def test_missing_or_broken_file_is_one_line(tmp_path: Path, file: str, content: bytes | None) -> None:
    probe().save(tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ModelError, match="expected a saved probe, found") as caught:
        Probe.load(tmp_path, SumsEncoder())
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_the_encoder_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit sums"):
        probe(model=LinearModel(np.zeros((4, 2)), np.zeros(4)))


def test_softmax_survives_huge_and_infinite_logits() -> None:
    logits = np.array([[1e4, -np.inf, 1e4], [-1e4, -1e4 - np.log(3), -np.inf]])
    np.testing.assert_allclose(probabilities_of(logits), [[0.5, 0, 0.5], [0.75, 0.25, 0]], atol=1e-6)


@given(arrays.arrays(np.float32, (12, 3), elements=st.floats(-100, 100, width=32)))
def test_standardised_groups_have_mean_zero_and_deviation_one_or_zero(rows: NDArray[np.float32]) -> None:
    groups = ["x"] * 5 + ["y"] * 6 + ["z"]
    standardised = standardise_by_group(rows, groups)
    for name in "xyz":
        members = standardised[np.asarray(groups) == name]
        np.testing.assert_allclose(members.mean(axis=0), 0, atol=1e-6)
        deviations = members.std(axis=0)
        assert all(value == pytest.approx(1, abs=1e-6) or value < 1e-5 for value in deviations)


def test_single_row_and_constant_dimension_become_zero_and_not_infinite() -> None:
    constant = np.full((7, 2), 0.1, dtype=np.float32)
    assert Statistics.of(constant).std.tolist() == [1.0, 1.0]
    assert standardise_by_group(np.array([[3.0, -4.0]]), ["only"]).tolist() == [[0.0, 0.0]]


def test_standardisation_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        Statistics.of(np.empty((0, 3)))
    with pytest.raises(ValueError, match=r"expected \[n, 3\]"):
        Statistics.of(np.ones((2, 3))).apply(np.ones((2, 4)))
    with pytest.raises(ValueError, match="expected 2 groups, found 1"):
        standardise_by_group(np.ones((2, 3)), ["x"])


def test_statistics_digest_follows_the_numbers() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 3))
    assert Statistics.of(rows).digest == Statistics.of(rows.copy()).digest
    assert Statistics.of(rows).digest != Statistics.of(rows + 1e-9).digest
