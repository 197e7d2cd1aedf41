"""The ready teacher behind the interface of all teachers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import ModelError
from models.teachers.class_map import ClassMap, OutsideClasses
from models.teachers.network_teacher import CheckpointTeacher
from models.teachers.ready_network import ReadyNetwork
from models.teachers.standardise import Statistics
from models.teachers.teacher import Normalise, Teacher
from tests.unit.models.teachers.test_ready_network import LABELS, MAP, save_speech, waveforms


def teacher_of(folder: Path, normalise: Normalise = "none") -> CheckpointTeacher:
    network = ReadyNetwork.load(save_speech(folder, norm="layer", mask=True), "speech")
    return CheckpointTeacher(network, ClassMap.of(LABELS, MAP, "renormalise", "classes"), normalise, 2.0)


def test_a_saved_teacher_gives_the_same_probabilities(tmp_path: Path) -> None:
    teacher: Teacher = teacher_of(tmp_path / "a")
    teacher.save(tmp_path / "b")
    again = CheckpointTeacher.load(tmp_path / "b")
    assert again.digest == teacher.digest
    expected = teacher.predict_proba(waveforms())
    np.testing.assert_array_equal(again.predict_proba(waveforms()), expected)
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-6)


def test_a_voice_that_shifts_all_logits_changes_nothing_when_voices_are_normalised(tmp_path: Path) -> None:
    teacher = teacher_of(tmp_path, "voice")
    logits = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    shifted = logits * 3 + np.array([5, 0, -2, 1], dtype=np.float32)
    plain = teacher.classify(logits, Statistics.of(logits))
    np.testing.assert_allclose(teacher.classify(shifted, Statistics.of(shifted)), plain, atol=1e-4)
    with pytest.raises(ValueError, match="missing"):
        teacher.classify(logits, None)


def test_another_network_in_the_folder_is_refused(tmp_path: Path) -> None:
    teacher_of(tmp_path / "a").save(tmp_path / "b")
    save_speech(tmp_path / "b", norm="group", mask=False)
    with pytest.raises(ModelError, match="not those that were saved"):
        CheckpointTeacher.load(tmp_path / "b")
    (tmp_path / "b" / "teacher.json").unlink()
    with pytest.raises(ModelError, match="run train_teacher again"):
        CheckpointTeacher.load(tmp_path / "b")


def test_the_temperature_of_classes_that_several_labels_share_is_that_which_makes_them_likeliest() -> None:
    """Against a search over all temperatures; scaling all logits scales the temperature."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(300, 4)) * 3
    cases: list[tuple[dict[str, str | None], OutsideClasses]] = [
        ({**MAP, "neu": "anger"}, "renormalise"), (MAP, "renormalise"), (MAP, "keep"),
    ]  # fmt: skip
    for mapping, outside in cases:
        chosen = ClassMap.of(LABELS, mapping, outside, "classes")
        likely = chosen.probabilities(logits, 2.0)
        exact = likely.astype(np.float64) / likely.sum(axis=1, keepdims=True, dtype=np.float64)
        truth = [chosen.classes[generator.choice(len(row), p=row)] for row in exact]
        columns = [chosen.classes.index(name) for name in truth]

        def loss(temperature: float, chosen: ClassMap = chosen, columns: list[int] = columns) -> float:
            return -float(np.log(chosen.probabilities(logits, temperature)[np.arange(300), columns]).mean())

        found = chosen.fit_temperature(logits, truth)
        grid = np.geomspace(0.2, 20, 400)
        best = grid[np.argmin([loss(temperature) for temperature in grid])]
        assert found == pytest.approx(best, rel=0.02)
        assert chosen.fit_temperature(logits * 5, truth) == pytest.approx(5 * found, rel=0.02)
        assert 1.0 < found < 4.0 or outside == "keep"


def test_a_checkpoint_that_is_always_right_keeps_its_temperature() -> None:
    chosen = ClassMap.of(LABELS, MAP, "renormalise", "classes")
    logits = np.array([[5.0, 0, 0, 0], [0, 0, 5.0, 0]])
    assert chosen.fit_temperature(logits, ["sadness", "anger"]) == 1.0
