"""Augmentation in training: only of rows that are learnt from, other in each epoch, and the same after a stop."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.frame.params import section
from pipeline.media.augmentation import AugmentParams
from pipeline.networks import fold
from pipeline.networks.build import build
from pipeline.networks.fold import augmented, make_trainer, train_fold
from pipeline.networks.inputs import InputRows, Inputs, Item, collate, open_inputs
from pipeline.networks.params import TrainParams
from pipeline.planning import needs
from tests.builders_planted import LABELS, write_planted
from tests.unit.networks.test_training import context, job, sections

SPEC = {"time_masks": 2, "time_width_share": 0.2, "frequency_masks": 2, "frequency_width_share": 0.2}
BOTH = {"flip": True, "spec_augment": SPEC}
ROWS, EPOCHS = 32, 3


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    root = tmp_path_factory.mktemp("planted")
    write_planted(root)
    found = sections()
    return open_inputs("sier_train", section(found, "train", TrainParams).inputs, context(root, found))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A number of each generator that a row is augmented with."""
    found: list[float] = []

    def noting(augment: AugmentParams, item: Item, random: np.random.Generator) -> Item:
        found.append(copy.deepcopy(random).random())
        return augmented(augment, item, random)

    monkeypatch.setattr(fold, "augmented", noting)
    return found


def test_a_row_is_mirrored_and_masked_and_keeps_its_label(inputs: Inputs) -> None:
    item = inputs.select([3])[0]
    augment = section({"augment": BOTH}, "augment", AugmentParams)
    made = [augmented(augment, item, np.random.default_rng(seed)) for seed in range(20)]
    plain, mirrored = item["pixel_values"], item["pixel_values"][..., ::-1]
    kinds = [np.array_equal(row["pixel_values"], plain) for row in made]
    assert all(kind or np.array_equal(row["pixel_values"], mirrored) for kind, row in zip(kinds, made, strict=True))
    assert 4 < sum(kinds) < 16
    assert {row["labels"] for row in made} == {item["labels"]}
    assert any((row["spectrogram"] == 0).sum() > (item["spectrogram"] == 0).sum() for row in made)
    assert collate([made[0], item])["pixel_values"].shape[0] == 2


@pytest.mark.parametrize("balance", ["none", "sampler"])
def test_each_epoch_has_other_numbers_and_another_run_the_same(
    balance: str, inputs: Inputs, drawn: list[float], tmp_path: Path
) -> None:
    found = sections({"augment": BOTH, "balance": balance, "epochs": EPOCHS})
    train_fold(job(found, tmp_path / "one"), inputs)
    first, epochs = drawn.copy(), np.array(drawn).reshape(EPOCHS, ROWS)
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert not set(epochs[one]) & set(epochs[other])
    assert all(len(set(epoch)) == ROWS for epoch in epochs) or balance == "sampler"  # which draws some rows twice
    drawn.clear()
    train_fold(job(found, tmp_path / "two"), inputs)
    assert drawn == first
    weights = [(tmp_path / name / "net" / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]


def test_a_training_that_was_stopped_goes_on_with_the_numbers_of_its_epoch(
    inputs: Inputs, drawn: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = sections({"augment": BOTH, "epochs": EPOCHS})
    train_fold(job(found, tmp_path / "calm"), inputs)
    calm = drawn.copy()
    drawn.clear()
    noting = fold.augmented

    def stopping(*arguments: Any) -> Item:
        if len(drawn) == 2 * ROWS + 1:
            raise KeyboardInterrupt
        return noting(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fold, "augmented", stopping)
        train_fold(job(found, tmp_path / "stopped"), inputs)
    drawn.clear()
    train_fold(job(found, tmp_path / "stopped"), inputs)
    assert drawn == calm[2 * ROWS :]
    outcomes = [json.loads((tmp_path / name / "run.json").read_bytes()) for name in ("calm", "stopped")]
    assert outcomes[0] == outcomes[1]


def test_rows_that_are_held_out_and_trainings_without_it_are_as_they_are(inputs: Inputs, tmp_path: Path) -> None:
    for augment, augments in ({}, False), (BOTH, True):
        work = job(sections({"augment": augment}), tmp_path)
        trainer = make_trainer(work, build(work.model, work.train, LABELS), inputs)
        assert isinstance(trainer.eval_dataset, InputRows)
        assert isinstance(trainer.train_dataset, InputRows) is not augments


@pytest.mark.parametrize(
    ("augment", "kept", "lost"),
    [({}, ["image", "speech"], ""), ({"flip": True}, ["speech"], "net (image)"),
     ({"spec_augment": SPEC}, ["image"], "net (speech)"), (BOTH, [], "net (image and speech)")],
)  # fmt: skip
def test_features_of_what_is_augmented_are_not_kept_and_the_plan_says_so(
    augment: dict[str, Any], kept: list[str], lost: str
) -> None:
    backbone = {"name": "test_efficientnet", "pretrained": True, "weights": "hub"}
    frozen = {"freeze_backbone": True, "learn_colours": False, "image_backbone": backbone, "speech_backbone": backbone}
    found = sections({"augment": augment, "cache_features": True}, net=frozen)
    work = job(found, Path())
    assert list(work.train.kept_features(work.model)) == kept
    said = [need.what for need in needs.features(found)]
    assert len(said) == bool(lost)
    assert all(f"frozen backbones of {lost} run in every epoch" in what for what in said)
    assert not job(sections({"augment": augment}, net=frozen), Path()).train.kept_features(work.model)
