"""The teacher for `kind: probe`: trained on vectors of the corpus and measured on rows that it has not seen.

speech  leave one session out; the teacher that is kept is trained on all sessions; for words see `linguistic`
image   80/5/15, stratified; the teacher that is kept is the one that was measured
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.teachers.encoders import Encoder
from models.teachers.evaluation import cross_validate, evaluate, leave_one_group_out
from models.teachers.probe import Probe
from models.teachers.probe_training import fit_probe, validation_speakers
from pipeline.teachers.corpora import Item
from pipeline.teachers.kept_vectors import encoder_of, vectors_by
from pipeline.teachers.material import Material, MeasuredTeacher, fitted_on
from pipeline.teachers.params import ProbeParams
from pipeline.teachers.picture_split import split_pictures

# With fewer validation pictures the choice of C is a lottery: over ten seeds of 5 pictures it ran from 0.001 to 1, and
# with it the share of labels that images decide. Then five folds of train and validation choose.
MIN_VALIDATION_ROWS = 100


@dataclass(frozen=True)
class Examples:
    """What a teacher learns from: n items, their vectors float32 [n, d] and their classes."""

    encoder: Encoder
    vectors: NDArray[np.float32]
    items: Sequence[Item]
    labels: Sequence[str]
    classes: tuple[str, ...]  # all of them, in order; some may have no rows


def train(params: ProbeParams, material: Material) -> MeasuredTeacher:
    """The teacher and its figures; UserError if there is no such encoder, ModelError if the corpus is too small."""
    if params.features != "acoustic":
        from pipeline.teachers import linguistic  # noqa: PLC0415 - loads a recogniser

        return linguistic.train(params, material)
    encoder = encoder_of(params, material)
    items, vectors = vectors_by(encoder, material)
    labels = [material.label(item) for item in items]
    examples = Examples(encoder, vectors, items, labels, material.classes)
    train = _train_speech if material.modality == "speech" else _train_image
    return train(examples, params, material.seed)


def _train_speech(examples: Examples, params: ProbeParams, seed: int) -> MeasuredTeacher:
    vectors, labels, classes = examples.vectors, examples.labels, examples.classes
    speakers = [item.speaker for item in examples.items]
    out_of_fold = leave_one_group_out(
        vectors, labels, classes, speakers=speakers, sessions=[item.session for item in examples.items],
        cs=params.regularisation, normalise=params.normalise, seed=seed,
    )  # fmt: skip
    validation = validation_speakers(speakers, seed)
    probe = fit_probe(
        examples.encoder, vectors, labels, classes, validation=validation,
        cs=params.regularisation, speakers=speakers if params.normalise == "voice" else None,
        calibrate=params.calibrate == "held_out",
    )  # fmt: skip
    held_out = {"protocol": "leave one session out", **evaluate(labels, out_of_fold.predictions, classes)}
    probabilities = out_of_fold.probabilities(probe.temperature)
    # Sessions are held out in turn, so that each speaker who fitted the temperature is measured in another turn.
    rows = int(validation.sum())
    record = _record(probe, fitted_on(rows, rows) if params.calibrate == "held_out" else None)
    return MeasuredTeacher(probe, examples.items, held_out, probabilities, labels, record)


def _train_image(examples: Examples, params: ProbeParams, seed: int) -> MeasuredTeacher:
    labels, classes = np.asarray(examples.labels), examples.classes
    splits = split_pictures(examples.items, examples.labels, seed)
    known = splits != "test"
    validation = splits[known] == "validation"
    by_validation = validation.sum() >= MIN_VALIDATION_ROWS
    probe = fit_probe(
        examples.encoder, examples.vectors[known], labels[known].tolist(), classes,
        validation=validation if by_validation else None,
        cs=params.regularisation, calibrate=params.calibrate == "held_out", seed=seed,
    )  # fmt: skip
    # 15 % of a small corpus is a handful of pictures; this figure is steadier.
    folds = 1 if any(item.session for item in examples.items) else 5  # none where it would part what belongs together
    steadier = cross_validate(
        examples.vectors, examples.labels, classes, c=probe.regularisation, seed=seed, folds=folds
    )
    probabilities = probe.classify(examples.vectors[~known], None)
    rows = validation.sum() if by_validation else len(validation)
    record = _record(probe, fitted_on(rows, 0) if params.calibrate == "held_out" else None)
    return MeasuredTeacher.of(
        probe, examples.items, "80/5/15 stratified", labels[~known].tolist(), probabilities,
        cross_validation=steadier, **record,
    )  # fmt: skip


def _record(probe: Probe, calibration: dict[str, int] | None) -> dict[str, Any]:
    return {"regularisation": probe.regularisation, "temperature": probe.temperature, "calibration": calibration}
