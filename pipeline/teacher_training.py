"""Train a teacher and measure it on rows that it has not seen, by the protocol of its corpus.

speech  leave one session out; the teacher that is kept is trained on all sessions
image   80/5/15, stratified; the teacher that is kept is the one that was measured
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.classifier import Normalise, Probe
from models.encoders import Encoder
from models.linear import softmax
from models.probe_training import fit_probe, validation_speakers
from models.teacher_evaluation import cross_validate, evaluate, leave_one_group_out, stratified_split
from pipeline.teacher_corpora import Item

# With fewer validation pictures the choice of C is a lottery: over ten seeds of 5 pictures it ran from 0.001 to 1, and
# with it the share of labels that images decide. Then five folds of train and validation choose.
MIN_VALIDATION_ROWS = 100


@dataclass(frozen=True)
class Examples:
    """What a teacher learns from.

    Attributes:
        encoder: gave the vectors.
        vectors: float32 [n, d].
        items: the n items.
        labels: the n teacher classes.
        classes: all classes, in order; some may have no rows.
    """

    encoder: Encoder
    vectors: NDArray[np.float32]
    items: Sequence[Item]
    labels: Sequence[str]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Trained:
    """A teacher and what it, or its stand-ins trained on other sessions, said about held-out rows.

    Attributes:
        probe: the teacher that is kept.
        held_out: figures for the metrics file.
        probabilities: float32 [held-out rows, classes].
        truth: the classes of those rows.
        further: more figures, by name.
    """

    probe: Probe
    held_out: dict[str, Any]
    probabilities: NDArray[np.float32]
    truth: Sequence[str]
    further: dict[str, Any] = field(default_factory=dict)


def train_speech(
    examples: Examples, *, cs: Sequence[float], normalise: Normalise, calibrate: bool, seed: int
) -> Trained:
    """The speech teacher; for the arguments see `models.probe_training.fit_probe`.

    Raises:
        UserError: too few sessions, speakers or classes.
    """
    vectors, labels, classes = examples.vectors, examples.labels, examples.classes
    speakers = [item.speaker for item in examples.items]
    found = leave_one_group_out(
        vectors, labels, classes, speakers=speakers, sessions=[item.session for item in examples.items],
        cs=cs, normalise=normalise, seed=seed,
    )  # fmt: skip
    probe = fit_probe(
        examples.encoder, vectors, labels, classes, validation=validation_speakers(speakers, seed),
        cs=cs, speakers=speakers if normalise == "voice" else None, calibrate=calibrate,
    )  # fmt: skip
    held_out = {"protocol": "leave one session out", **evaluate(labels, found.predictions, classes)}
    return Trained(probe, held_out, softmax(found.logits, probe.temperature), labels)


def train_image(examples: Examples, *, cs: Sequence[float], calibrate: bool, seed: int) -> Trained:
    """The image teacher; for the arguments see `models.probe_training.fit_probe`.

    Raises:
        UserError: too few pictures or classes.
    """
    labels, classes = np.asarray(examples.labels), examples.classes
    splits = stratified_split([item.id for item in examples.items], examples.labels, seed=seed)
    known = splits != "test"
    validation = splits[known] == "validation"
    probe = fit_probe(
        examples.encoder, examples.vectors[known], labels[known].tolist(), classes,
        validation=validation if validation.sum() >= MIN_VALIDATION_ROWS else None,
        cs=cs, calibrate=calibrate, seed=seed,
    )  # fmt: skip
    truth = labels[~known].tolist()
    probabilities = probe.classify(examples.vectors[~known], None)
    predictions = [classes[place] for place in probabilities.argmax(axis=1)]
    held_out = {"protocol": "80/5/15 stratified", **evaluate(truth, predictions, classes)}
    # 15 % of a small corpus is a handful of pictures; this figure is steadier.
    steadier = cross_validate(examples.vectors, examples.labels, classes, c=probe.regularisation, seed=seed)
    return Trained(probe, held_out, probabilities, truth, {"cross_validation": steadier})
