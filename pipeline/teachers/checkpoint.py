"""The teacher for `kind: checkpoint`: a ready classifier, measured on the corpus and not trained.

Its figures are of all rows of the corpus, or of those that no temperature was fitted on. Whether whoever trained it has
seen them is not known here; the metrics say so.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.teachers.class_map import ClassMap
from models.teachers.evaluation import SPLITS
from models.teachers.network_teacher import CheckpointTeacher
from models.teachers.probe_training import validation_speakers
from models.teachers.ready_network import Modality, ReadyNetwork
from models.teachers.standardise import standardise_by_group
from pipeline.engine.environment import device_from_environment
from pipeline.engine.fingerprint import code_version
from pipeline.errors import UserError
from pipeline.teachers.corpora import Item
from pipeline.teachers.listening import heard_in
from pipeline.teachers.material import Material, MeasuredTeacher, fitted_on
from pipeline.teachers.params import CheckpointParams
from pipeline.teachers.picture_split import split_pictures
from pipeline.teachers.vectors import Representer, vectors_of

PROTOCOL = "not trained here; whoever trained the checkpoint may have seen these rows"


def train(params: CheckpointParams, material: Material) -> MeasuredTeacher:
    """The teacher and its figures; UserError if there is no such checkpoint, or a class that it does not know."""
    modality: Modality = "image"
    if material.modality == "speech":
        modality = "words" if params.features == "linguistic" else "speech"
    try:
        network = ReadyNetwork.load(params.checkpoint, modality, batch_size=params.batch_size)
    except ModelError as error:
        raise UserError(f"{material.section}.checkpoint: {error}") from None
    where = f"{material.section}.label_classes"
    class_map = ClassMap.of(network.labels, params.label_classes, params.outside_classes, where)
    for name in material.classes:
        if name not in class_map.classes:
            raise UserError(
                f"{material.section}.classes gives the class {name}, which no label of the checkpoint stands for "
                f"({where} gives {', '.join(class_map.classes)}); map it to null or to one of these"
            )
    make = partial(_representer, params.checkpoint, modality, params.batch_size)
    facts = [network.digest, params.batch_size]
    logits: NDArray[np.floating]
    if modality == "words":
        items, heard = heard_in(material)
        logits = network.logits(heard)
    else:
        items, logits = vectors_of(material, make, code=code_version(__file__), facts=facts)
    labels = np.array([material.label(item) for item in items])
    if params.normalise == "voice":
        logits = standardise_by_group(logits, [item.speaker for item in items])
    validation = np.zeros(len(items), dtype=bool)
    temperature = 1.0
    if params.calibrate == "held_out":
        validation = _validation_rows(modality, items, labels.tolist(), material.seed)
        temperature = class_map.fit_temperature(logits[validation], labels[validation].tolist())
    teacher = CheckpointTeacher(network, class_map, params.label_classes, params.normalise, temperature)
    probabilities = class_map.probabilities(logits[~validation], temperature)
    return MeasuredTeacher.of(
        teacher, items, PROTOCOL, labels[~validation].tolist(), probabilities,
        labels_of_the_checkpoint=network.labels, temperature=temperature,
        calibration=fitted_on(validation.sum(), 0) if validation.any() else None,
    )  # fmt: skip


def _representer(checkpoint: str, modality: Modality, batch_size: int) -> Representer:
    network = ReadyNetwork.load(checkpoint, modality, device=device_from_environment(), batch_size=batch_size)
    return Representer(network.check, network.logits, batch_size)


def _validation_rows(modality: Modality, items: list[Item], labels: list[str], seed: int) -> NDArray[np.bool_]:
    """Which rows a temperature is fitted on: those of some speakers, or a stratified share of pictures; bool [n]."""
    if modality != "image":
        return validation_speakers([item.speaker for item in items], seed)
    return np.asarray(split_pictures(items, labels, seed) == SPLITS[1], dtype=bool)
