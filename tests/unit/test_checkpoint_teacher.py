"""The ready teacher behind the interface of all teachers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.checkpoint_teacher import CheckpointTeacher
from models.class_map import ClassMap
from models.classifier import Normalise, Teacher
from models.ready_network import ReadyNetwork
from models.standardise import Statistics
from pipeline.errors import UserError
from tests.unit.test_ready_network import LABELS, MAP, save_speech, waveforms


def teacher_of(folder: Path, normalise: Normalise = "none") -> CheckpointTeacher:
    network = ReadyNetwork.load(save_speech(folder, norm="layer", mask=True), "speech")
    return CheckpointTeacher(network, ClassMap.of(LABELS, MAP, "renormalise", "classes"), MAP, normalise, 2.0)


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
    with pytest.raises(UserError, match="not those that were saved"):
        CheckpointTeacher.load(tmp_path / "b")
    (tmp_path / "b" / "teacher.json").unlink()
    with pytest.raises(UserError, match="run train_teacher again"):
        CheckpointTeacher.load(tmp_path / "b")
