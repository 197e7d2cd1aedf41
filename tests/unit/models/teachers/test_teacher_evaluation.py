"""Evaluation: hand-worked figures, splits that hold, and the two teachers on real speech and photographs."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from models.errors import ModelError
from models.teachers.evaluation import evaluate, leave_one_group_out, stratified_split
from models.teachers.teacher import Normalise

CLASSES = ("anger", "excitement", "sadness", "disgust")
CS = (0.001, 0.01, 0.1, 1.0, 10.0)

REAL = os.environ.get("SIER_REAL_CORPORA")
needs_real_corpora = pytest.mark.skipif(not REAL, reason="SIER_REAL_CORPORA does not name a folder of real corpora")


def test_figures_worked_by_hand() -> None:
    labels = ["anger", "anger", "anger", "sadness"]
    predictions = ["anger", "anger", "sadness", "sadness"]
    figures = evaluate(labels, predictions, ["anger", "sadness", "disgust"])
    assert figures["rows"] == 4
    assert figures["accuracy"] == 0.75
    assert figures["unweighted_average_recall"] == pytest.approx((2 / 3 + 1) / 2)  # disgust has no rows
    assert figures["confusion_matrix"] == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert figures["per_class"]["anger"] == {
        "recall": pytest.approx(2 / 3), "precision": 1.0, "f1": pytest.approx(0.8), "support": 3,
    }  # fmt: skip
    assert figures["per_class"]["disgust"] == {"recall": None, "precision": None, "f1": None, "support": 0}


def test_class_with_rows_that_is_never_predicted_lowers_the_average_recall() -> None:
    figures = evaluate(["anger", "disgust"], ["anger", "anger"], ["anger", "disgust"])
    assert figures["unweighted_average_recall"] == 0.5
    assert figures["per_class"]["disgust"]["recall"] == 0
    assert figures["per_class"]["disgust"]["precision"] is None


def test_nothing_to_evaluate_is_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        evaluate([], [], CLASSES)


def voices(sessions: int = 4, per_speaker: int = 12, offset: float = 20) -> dict[str, list[str] | NDArray[np.float32]]:
    """Two speakers a session; each speaks every class, with an offset of the speaker's own that hides it."""
    generator = np.random.default_rng(2)
    centres = generator.normal(size=(4, 8)) * 2
    rows, labels, speakers = [], [], []
    for speaker in range(2 * sessions):
        voice = generator.normal(scale=offset, size=8)
        for utterance in range(per_speaker):
            rows.append(centres[utterance % 4] + voice + generator.normal(scale=0.5, size=8))
            labels.append(CLASSES[utterance % 4])
            speakers.append(f"Ses{speaker // 2}{'FM'[speaker % 2]}")
    return {
        "representation": np.array(rows, dtype=np.float32),
        "labels": labels,
        "speakers": speakers,
        "sessions": [speaker[:-1] for speaker in speakers],
    }


def out_of_fold(data: dict[str, list[str] | NDArray[np.float32]], normalise: Normalise = "voice"):  # type: ignore[no-untyped-def]
    return leave_one_group_out(
        data["representation"], data["labels"], CLASSES,  # type: ignore[arg-type]
        speakers=data["speakers"], sessions=data["sessions"], cs=CS, normalise=normalise, seed=0,  # type: ignore[arg-type]
    )  # fmt: skip


def test_unseen_voices_are_understood_only_when_normalised() -> None:
    data = voices()
    accuracies = {
        normalise: np.mean(np.asarray(out_of_fold(data, normalise).predictions) == data["labels"])
        for normalise in ("voice", "none")
    }
    assert accuracies["voice"] > 0.95
    assert accuracies["none"] < 0.8


def test_labels_of_a_session_do_not_reach_its_own_predictions() -> None:
    data = voices()
    before = out_of_fold(data)
    labels = list(data["labels"])
    held_out = np.asarray(data["sessions"]) == "Ses1"
    shuffled = np.random.default_rng(0).permutation(np.asarray(labels)[held_out]).tolist()
    changed = [shuffled.pop() if held else label for held, label in zip(held_out, labels, strict=True)]
    after = out_of_fold({**data, "labels": changed})
    np.testing.assert_array_equal(before.logits[held_out], after.logits[held_out])
    assert not np.array_equal(before.logits[~held_out], after.logits[~held_out])


@pytest.mark.parametrize("normalise", ["voice", "none"])
def test_held_out_rows_matter_to_their_own_voice_only(normalise: Normalise) -> None:
    data = voices()
    held_out = np.flatnonzero(np.asarray(data["sessions"]) == "Ses1")
    before = out_of_fold(data, normalise)
    changed = np.array(data["representation"])
    changed[held_out[-1]] += 1_000
    after = out_of_fold({**data, "representation": changed}, normalise)
    other_voice, same_voice = held_out[0], held_out[-2]
    np.testing.assert_array_equal(before.logits[other_voice], after.logits[other_voice])
    assert np.array_equal(before.logits[same_voice], after.logits[same_voice]) == (normalise == "none")
    assert before.regularisation["Ses1"] == after.regularisation["Ses1"]


def test_class_of_one_session_only_is_unknown_to_that_sessions_model() -> None:
    data = voices()
    labels = [
        "disgust" if session == "Ses0" and label == "disgust" else label if label != "disgust" else "anger"
        for label, session in zip(data["labels"], data["sessions"], strict=True)
    ]
    result = out_of_fold({**data, "labels": labels})
    held_out = np.asarray(data["sessions"]) == "Ses0"
    assert (result.logits[held_out, CLASSES.index("disgust")] == -np.inf).all()
    assert np.isfinite(result.logits[~held_out]).all()
    np.testing.assert_allclose(result.probabilities().sum(axis=1), 1, atol=1e-6)


def test_one_session_or_a_speaker_in_two_is_one_line() -> None:
    with pytest.raises(ModelError, match="at least 2 sessions"):
        out_of_fold(voices(sessions=1))
    data = voices()
    with pytest.raises(ModelError, match="speaker Ses0F is in 2 sessions"):
        out_of_fold({**data, "speakers": [str(name).replace("Ses3F", "Ses0F") for name in data["speakers"]]})


@given(
    st.lists(st.integers(3, 60), min_size=2, max_size=6),
    st.integers(0, 1_000),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_split_is_stratified_whatever_the_order_of_rows(counts: list[int], seed: int, random) -> None:  # type: ignore[no-untyped-def]
    rows = [(f"{name}_{place:04}", f"class{name}") for name, count in enumerate(counts) for place in range(count)]
    ids, labels = zip(*rows, strict=True)
    splits = stratified_split(ids, labels, seed=seed)
    shuffled = random.sample(rows, len(rows))
    again = stratified_split(*zip(*shuffled, strict=True), seed=seed)
    assert dict(zip(ids, splits, strict=True)) == dict(zip([name for name, _ in shuffled], again, strict=True))
    for split, fraction in zip(("train", "validation", "test"), (0.8, 0.05, 0.15), strict=True):
        total = (splits == split).sum()
        assert abs(total - fraction * len(rows)) <= 2 * len(counts)
        for name, count in enumerate(counts):
            members = ((splits == split) & (np.asarray(labels) == f"class{name}")).sum()
            assert abs(members - total * count / len(rows)) <= 2


def test_split_of_a_thousand_has_the_asked_shares_exactly() -> None:
    ids = [f"{place:04}" for place in range(1_000)]
    splits = stratified_split(ids, [CLASSES[place % 4] for place in range(1_000)], seed=1)
    assert Counter(splits.tolist()) == {"train": 800, "validation": 50, "test": 150}
    other = stratified_split(ids, [CLASSES[place % 4] for place in range(1_000)], seed=2)
    assert (splits != other).any()


def test_class_of_two_rows_goes_to_train_whole() -> None:
    labels = ["anger"] * 30 + ["sadness"] * 30 + ["disgust"] * 2
    splits = stratified_split([f"{place:02}" for place in range(62)], labels, seed=0)
    assert splits[-2:].tolist() == ["train", "train"]


def test_split_of_too_few_rows_or_of_repeated_ids_is_one_line() -> None:
    with pytest.raises(ModelError, match="enough rows of every class"):
        stratified_split(["a", "b"], ["anger", "sadness"], seed=0)
    with pytest.raises(ModelError, match="id b occurs more than once"):
        stratified_split(["a", "b", "b"], ["anger"] * 3, seed=0)


@needs_real_corpora
def test_speech_probe_understands_unseen_actors_better_by_voice() -> None:
    import soundfile as sf

    from models.teachers.speech_encoder import WhisperEncoder
    from pipeline.corpora import iemocap

    classes = {"ang": "anger", "exc": "excitement", "hap": "excitement", "sad": "sadness", "dis": "disgust"}
    corpus = iemocap.read(Path(str(REAL)) / "iemocap")
    used = [utterance for utterance in corpus.utterances if utterance.emotion in classes]
    waveforms = [sf.read(utterance.path, dtype="float32")[0] for utterance in used]
    data: dict[str, list[str] | NDArray[np.float32]] = {
        "representation": WhisperEncoder().encode(waveforms),
        "labels": [classes[utterance.emotion] for utterance in used],
        "speakers": [utterance.speaker for utterance in used],
        "sessions": [str(utterance.session) for utterance in used],
    }
    accuracy = {
        normalise: np.mean(np.asarray(out_of_fold(data, normalise).predictions) == data["labels"])
        for normalise in ("voice", "none")
    }
    assert accuracy["voice"] >= 0.80  # 0.835 when this was written
    assert 0.60 <= accuracy["none"] <= accuracy["voice"] - 0.05  # 0.725


@needs_real_corpora
def test_image_probe_knows_unseen_photographs() -> None:
    import torch
    from PIL import Image

    from models.teachers.image_encoder import TimmEncoder
    from models.teachers.probe_training import fit_probe

    torch.set_num_threads(1)
    files = [path for name in CLASSES for path in sorted((Path(str(REAL)) / "fi" / name).glob("*.jpg"))]
    labels = np.array([path.parent.name for path in files])
    encoder = TimmEncoder()
    vectors = encoder.encode([Image.open(path).convert("RGB") for path in files])
    right = []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(vectors, labels):
        validation = np.arange(len(train)) % 9 == 0
        probe = fit_probe(encoder, vectors[train], labels[train].tolist(), CLASSES, validation=validation, cs=CS)
        predictions = np.asarray(CLASSES)[probe.classify(vectors[test], None).argmax(axis=1)]
        right.extend(predictions == labels[test])
    assert np.mean(right) >= 0.78  # 0.84 when this was written
