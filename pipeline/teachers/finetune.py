"""The teacher for `kind: finetune`: a pretrained network, trained on the corpus and measured on rows it has not seen.

speech  some sessions left out, one at a time; the teacher that is kept is trained on all sessions
image   80/5/15, stratified; the teacher that is kept is the one that was measured

Everywhere a part of the rows (20 % of the speakers, 5 % of the pictures) chooses the epoch and fits the temperature.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.errors import ItemError, ModelError
from models.teachers.class_map import ClassMap
from models.teachers.evaluation import SPLITS, expect_sessions
from models.teachers.network_teacher import CheckpointTeacher
from models.teachers.pretrained import Modality, load_pretrained
from models.teachers.probe_training import validation_speakers
from models.teachers.ready_network import ReadyNetwork
from models.teachers.repository import Repository, find
from models.teachers.standardise import standardise_by_group
from pipeline.engine import files
from pipeline.engine.environment import device_from_environment, threads_from_environment
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.work import finish, work_folder
from pipeline.errors import UserError
from pipeline.networks import trainers
from pipeline.networks.job import derived_seed
from pipeline.teachers.corpora import Item
from pipeline.teachers.fit import NET_FOLDER, Fit, Fitted, fit
from pipeline.teachers.material import Material, MeasuredTeacher, fitted_on
from pipeline.teachers.params import FinetuneParams
from pipeline.teachers.picture_split import split_pictures
from pipeline.teachers.vectors import Representer, vectors_of

LIBRARIES = ("accelerate", "av", "numpy", "pillow", "soundfile", "soxr", "timm", "torch", "torchvision", "transformers")
KEPT = "kept"  # name of the training whose network is kept

Mask = NDArray[np.bool_]
T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """The rows of a corpus that can be used, and what their trainings share."""

    params: FinetuneParams
    material: Material
    modality: Modality
    base: Repository  # of the pretrained network
    items: list[Item]
    work: Path  # folder of the trainings

    @property
    def labels(self) -> list[str]:
        """Class of each item."""
        return [self.material.label(item) for item in self.items]


@dataclass(frozen=True)
class Split:
    """Which items one training learns from, chooses the epoch by, and is asked about."""

    name: str
    train: Mask
    validation: Mask
    test: Mask


def train(params: FinetuneParams, material: Material) -> MeasuredTeacher:
    """The teacher and its figures; UserError if there is no such checkpoint, or it cannot be trained."""
    if material.modality == "image" and params.held_out_sessions is not None:
        where = f"{material.section}.held_out_sessions = {params.held_out_sessions}"
        raise UserError(f"{where}: pictures have no sessions; expected null")
    plan = _plan(params, material)
    protocol, splits = _sessions(plan) if plan.modality == "speech" else _shares(plan)
    fitted = {split.name: _fit(plan, split) for split in splits}
    finish(plan.work)
    network = ReadyNetwork.load(str(plan.work / KEPT / NET_FOLDER), plan.modality, batch_size=params.batch_size)
    label_classes = {name: name for name in material.classes}
    class_map = ClassMap.of(network.labels, label_classes, "renormalise", material.section)
    temperature, calibration = 1.0, None
    if params.calibrate == "held_out":
        validation = splits[-1].validation
        logits = _standardised(params, fitted[KEPT].validation, _chosen(plan.items, validation))
        temperature = class_map.fit_temperature(logits, _chosen(plan.labels, validation))
        measured = np.any([split.test for split in splits], axis=0)
        calibration = fitted_on(validation.sum(), (validation & measured).sum())
    test = np.concatenate([np.flatnonzero(split.test) for split in splits])
    logits = np.concatenate([fitted[split.name].test for split in splits])
    probabilities = class_map.probabilities(
        _standardised(params, logits, [plan.items[index] for index in test]), temperature
    )
    commit = plan.base.commit
    teacher = CheckpointTeacher(network, class_map, params.normalise, temperature, kind="finetune", commit=commit)
    return MeasuredTeacher.of(
        teacher, plan.items, protocol, [plan.labels[index] for index in test], probabilities,
        commit=commit, temperature=temperature, calibration=calibration,
        trainings={name: training.figures for name, training in fitted.items()},
    )  # fmt: skip


def _plan(params: FinetuneParams, material: Material) -> Plan:
    modality: Modality = "speech" if material.modality == "speech" else "image"
    trainers.start(material.seed)
    try:
        base = find(params.checkpoint, params.revision)
        network, preprocessor = load_pretrained(base, modality, material.classes)
    except ModelError as error:
        raise UserError(f"{material.section}.checkpoint: {error}") from None
    untrained = ReadyNetwork(network, preprocessor, modality)
    items = []
    for item, (size,) in zip(*vectors_of(material, _sizes, code=code_version(__file__), facts="sizes"), strict=True):
        try:
            untrained.check_samples(int(size))
        except ItemError as error:
            material.rejects.append((item.id, error.status, error.reason))
        else:
            items.append(item)
    material.usable(item.id for item in items)
    mark = fingerprint(
        params=params, seed=material.seed, classes=material.classes, network=untrained.digest,
        items=[[item.id, item.label, item.speaker, item.session] for item in items], code=code_version(__file__),
        input=files.sha256_of(material.folder / "manifest.json"), libraries=library_versions(LIBRARIES),
        device=device_from_environment(), threads=threads_from_environment(),
    )  # fmt: skip
    work = work_folder(material.context.paths.work, f"train_teacher.{modality}.finetune", mark)
    return Plan(params, material, modality, base, items, work)


def _sessions(plan: Plan) -> tuple[str, list[Split]]:
    """The protocol, a split for each session that is held out, and that of the network that is kept."""
    speakers = np.array([item.speaker for item in plan.items])
    sessions = np.array([item.session for item in plan.items])
    expect_sessions(speakers.tolist(), sessions.tolist())
    names = sorted(set(sessions.tolist()))
    splits = []
    for session in names[: plan.params.held_out_sessions]:
        test = sessions == session
        validation = np.zeros_like(test)
        validation[~test] = validation_speakers(speakers[~test].tolist(), plan.material.seed)
        splits.append(Split(f"session-{session}", ~test & ~validation, validation, test))
    protocol = f"leave one session out, {len(splits)} of {len(names)} sessions"
    validation = validation_speakers(speakers.tolist(), plan.material.seed)
    return protocol, [*splits, Split(KEPT, ~validation, validation, np.zeros_like(validation))]


def _shares(plan: Plan) -> tuple[str, list[Split]]:
    splits = split_pictures(plan.items, plan.labels, plan.material.seed)
    train, validation, test = (np.asarray(splits == name, dtype=bool) for name in SPLITS)
    return "80/5/15 stratified", [Split(KEPT, train, validation, test)]


def _fit(plan: Plan, split: Split) -> Fitted:
    section, classes = plan.material.section, plan.material.classes
    rows = [(item, classes.index(label)) for item, label in zip(plan.items, plan.labels, strict=True)]
    folder = plan.work / split.name
    folder.mkdir(parents=True, exist_ok=True)
    return fit(
        Fit(
            params=plan.params, section=section, base=plan.base, modality=plan.modality, classes=classes,
            train=_chosen(rows, split.train), validation=_chosen(rows, split.validation),
            test=_chosen(rows, split.test), seed=derived_seed(plan.material.seed, section, split.name),
            device=device_from_environment(), folder=folder, keep=split.name == KEPT,
        )
    )  # fmt: skip


def _chosen(rows: Sequence[T], mask: Mask) -> list[T]:
    return [row for row, chosen in zip(rows, mask, strict=True) if chosen]


def _standardised(params: FinetuneParams, logits: NDArray[np.float32], items: Sequence[Item]) -> NDArray[np.floating]:
    return standardise_by_group(logits, [item.speaker for item in items]) if params.normalise == "voice" else logits


def _sizes() -> Representer:
    """Samples of an utterance or pixels of a picture, [n, 1]: here decoding is all that matters."""

    def sizes(batch: Sequence[object]) -> NDArray[np.float32]:
        return np.array([[np.asarray(item).size] for item in batch], dtype=np.float32)

    return Representer(lambda _: None, sizes)
