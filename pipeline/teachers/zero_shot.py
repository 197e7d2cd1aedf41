"""The teacher for `kind: zero_shot`: CLIP or SigLIP, told the classes in words, measured on the corpus and not trained.

Its figures are of all pictures of the corpus, or of those that no temperature was fitted on.
"""

from dataclasses import asdict, replace
from functools import partial

import numpy as np

from models.errors import ModelError
from models.teachers.calibration import fit_temperature
from models.teachers.evaluation import SPLITS
from models.teachers.zero_shot.network import load
from models.teachers.zero_shot.teacher import Wording, ZeroShotTeacher
from pipeline.engine.environment import device_from_environment
from pipeline.engine.fingerprint import code_version
from pipeline.errors import UserError
from pipeline.teachers.material import Material, MeasuredTeacher, fitted_on
from pipeline.teachers.params import ZeroShotParams
from pipeline.teachers.picture_split import split_pictures
from pipeline.teachers.vectors import Representer, vectors_of

PROTOCOL = "not trained here; whoever trained the network may have seen these rows"


def train(params: ZeroShotParams, material: Material) -> MeasuredTeacher:
    """The teacher and its figures; UserError if there is no such network."""
    try:
        network = load(params.checkpoint, params.revision, batch_size=params.batch_size)
    except ModelError as error:
        raise UserError(f"{material.section}.checkpoint: {error}") from None
    wording = Wording(params.prompts, params.templates)
    # Directions of pictures are kept, and not scores: another prompt then costs seconds.
    make = partial(_representer, params)
    facts = [network.pictures.digest, params.batch_size]
    items, directions = vectors_of(material, make, code=code_version(__file__), facts=facts)
    labels = np.array([material.label(item) for item in items])
    teacher = ZeroShotTeacher(
        network.pictures, wording, wording.directions(network), network.scale, network.bias, network.origin
    )
    scores = teacher.scores(directions)
    validation = np.zeros(len(items), dtype=bool)
    if params.calibrate == "held_out":
        validation = np.asarray(split_pictures(items, labels.tolist(), material.seed) == SPLITS[1])
        exact, truth = scores[validation].astype(np.float64), labels[validation].tolist()
        teacher = replace(teacher, temperature=fit_temperature(exact, truth, teacher.classes))
    probabilities = teacher.classify(scores[~validation], None)
    return MeasuredTeacher.of(
        teacher, items, PROTOCOL, labels[~validation].tolist(), probabilities, temperature=teacher.temperature,
        calibration=fitted_on(validation.sum(), 0) if validation.any() else None,
        network={**asdict(network.origin), "family": network.pictures.family},
        probabilities_are=teacher.probabilities_are,
    )  # fmt: skip


def _representer(params: ZeroShotParams) -> Representer:
    network = load(params.checkpoint, params.revision, device=device_from_environment(), batch_size=params.batch_size)
    return Representer(lambda _: None, network.pictures.directions, params.batch_size)
