"""The teacher for `kind: checkpoint`: a ready classifier, measured on the corpus and not trained.

Its figures are of all rows of the corpus, or of those that no temperature was fitted on. Whether whoever trained it has
seen them is not known here; the metrics say so.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.teachers.class_map import MADE, ClassMap, OutputMap, Prototypes
from models.teachers.evaluation import SPLITS
from models.teachers.heads import Head
from models.teachers.network_teacher import CheckpointTeacher
from models.teachers.pretrained import Modality, Outputs, describe
from models.teachers.probe_training import validation_speakers
from models.teachers.ready_network import ReadyNetwork
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
        described = describe(params.checkpoint, modality, params.revision, said_of(params))
        output_map = output_map_of(params, described.labels, described.head, material.section)  # before weights come
        # From here on the commit is named, so that every worker takes the same.
        make = partial(_network, params, modality, described.repository.commit)
        network = make()
    except ModelError as error:
        raise UserError(f"{material.section}.checkpoint: {error}") from None
    for name in material.classes:
        if name not in output_map.classes:
            where = "prototypes" if params.prototypes else "label_classes"
            raise UserError(
                f"{material.section}.classes gives the class {name}, which nothing of the checkpoint stands for "
                f"({material.section}.{where} gives {', '.join(output_map.classes)}); map it to null or to one of these"
            )
    facts = [network.digest, params.batch_size]
    logits: NDArray[np.floating]
    if modality == "words":
        items, heard = heard_in(material)
        logits = network.logits(heard)
    else:
        items, logits = vectors_of(material, partial(_representer, make), code=code_version(__file__), facts=facts)
    labels = np.array([material.label(item) for item in items])
    if params.normalise == "voice":
        logits = standardise_by_group(logits, [item.speaker for item in items])
    validation = np.zeros(len(items), dtype=bool)
    temperature = 1.0
    if params.calibrate == "held_out":
        validation = _validation_rows(modality, items, labels.tolist(), material.seed)
        temperature = output_map.fit_temperature(logits[validation], labels[validation].tolist())
    teacher = CheckpointTeacher(network, output_map, params.normalise, temperature, commit=network.commit)
    probabilities = output_map.probabilities(logits[~validation], temperature)
    return MeasuredTeacher.of(
        teacher, items, PROTOCOL, labels[~validation].tolist(), probabilities,
        commit=network.commit, labels_of_the_checkpoint=network.labels, head=network.head,
        probabilities_are=MADE[network.head], temperature=temperature,
        calibration=fitted_on(validation.sum(), 0) if validation.any() else None,
    )  # fmt: skip


def said_of(params: CheckpointParams) -> Outputs:
    """What parameters say of the checkpoint's outputs."""
    return Outputs(params.head, params.label_names)


def output_map_of(params: CheckpointParams, labels: tuple[str, ...], head: Head, section: str) -> OutputMap:
    """From these outputs of the checkpoint to classes; UserError if parameters are of another head, or do not fit."""
    try:
        if head == "regression":
            return _prototypes(params, labels, section)
        if params.prototypes or not params.label_classes or not params.outside_classes:
            raise UserError(
                f"{section}.checkpoint: its head is {head}, of the labels {', '.join(labels)}: it needs label_classes "
                "and outside_classes, and no prototypes"
            )
        return ClassMap.of(labels, params.label_classes, params.outside_classes, f"{section}.label_classes", head)
    except ModelError as error:
        raise UserError(str(error)) from None


def _prototypes(params: CheckpointParams, labels: tuple[str, ...], section: str) -> Prototypes:
    if not params.prototypes or not params.prototype_scale or params.label_classes or params.outside_classes:
        raise UserError(
            f"{section}.checkpoint: its head is a regression of {', '.join(labels)}, which are no classes: give each "
            "class a point among them by prototypes and prototype_scale (no label_classes, no outside_classes), or a "
            "table by kind: scores"
        )
    if params.normalise != "none":
        raise UserError(f"{section}.normalise = {params.normalise}: dimensions lose their zero by it; expected none")
    return Prototypes.of(labels, params.prototypes, params.prototype_scale, f"{section}.prototypes")


def _network(params: CheckpointParams, modality: Modality, commit: str | None, device: str = "cpu") -> ReadyNetwork:
    return ReadyNetwork.load(
        params.checkpoint, modality, revision=commit, said=said_of(params), device=device, batch_size=params.batch_size
    )


def _representer(make: Callable[..., ReadyNetwork]) -> Representer:
    network = make(device=device_from_environment())
    return Representer(network.check, network.logits, network.batch_size)


def _validation_rows(modality: Modality, items: list[Item], labels: list[str], seed: int) -> NDArray[np.bool_]:
    """Which rows a temperature is fitted on: those of some speakers, or a stratified share of pictures; bool [n]."""
    if modality != "image":
        return validation_speakers([item.speaker for item in items], seed)
    return np.asarray(split_pictures(items, labels, seed) == SPLITS[1], dtype=bool)
