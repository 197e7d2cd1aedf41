"""Train a probe and measure it on rows that it has not seen, by the protocol of its corpus.

speech  leave one session out; the teacher that is kept is trained on all sessions
image   80/5/15, stratified; the teacher that is kept is the one that was measured
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.teachers.encoders import Encoder, create_encoder
from models.teachers.evaluation import cross_validate, evaluate, leave_one_group_out, stratified_split
from models.teachers.linear import softmax
from models.teachers.probe import Probe
from models.teachers.probe_training import fit_probe, validation_speakers
from models.teachers.teacher import Normalise
from pipeline.engine.environment import device_from_environment
from pipeline.engine.fingerprint import code_version
from pipeline.errors import UserError
from pipeline.teachers.corpora import Item
from pipeline.teachers.material import Material, Trained
from pipeline.teachers.params import ProbeParams
from pipeline.teachers.vectors import Representer, vectors_of

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


def train_probe(params: ProbeParams, material: Material) -> Trained:
    """The teacher for `kind: probe`.

    Raises:
        UserError: no such encoder, or the corpus is too small.
    """
    try:
        encoder = create_encoder(params.encoder)
    except ModelError as error:
        raise UserError(f"{material.section}.encoder = {params.encoder}: {error}") from None
    vectors = vectors_of(
        material.context, material.items, material.folder, partial(_representer, params.encoder), material.rejects,
        code=code_version(__file__), facts=params.encoder,
    )  # fmt: skip
    items = material.usable(vectors)
    labels = [material.label(item) for item in items]
    examples = Examples(encoder, np.stack([vectors[item.id] for item in items]), items, labels, material.classes)
    cs, calibrate, seed = params.regularisation, params.calibrate, material.context.base.seed
    if material.modality == "speech":
        return train_speech(examples, cs=cs, normalise=params.normalise, calibrate=calibrate, seed=seed)
    return train_image(examples, cs=cs, calibrate=calibrate, seed=seed)


def _representer(encoder: str) -> Representer:
    made = create_encoder(encoder, device=device_from_environment())
    return Representer(made.check, made.encode)


def train_speech(
    examples: Examples, *, cs: Sequence[float], normalise: Normalise, calibrate: bool, seed: int
) -> Trained:
    """The speech teacher; for the arguments see `models.teachers.probe_training.fit_probe`.

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
    return Trained(probe, examples.items, held_out, softmax(found.logits, probe.temperature), labels, _record(probe))


def train_image(examples: Examples, *, cs: Sequence[float], calibrate: bool, seed: int) -> Trained:
    """The image teacher; for the arguments see `models.teachers.probe_training.fit_probe`.

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
    further = {"cross_validation": steadier, **_record(probe)}
    return Trained(probe, examples.items, held_out, probabilities, truth, further)


def _record(probe: Probe) -> dict[str, float]:
    return {"regularisation": probe.regularisation, "temperature": probe.temperature}
