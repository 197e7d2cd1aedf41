"""The teacher for `kind: finetune`: a pretrained network, trained on the corpus and measured on rows it has not seen.

speech  some sessions left out, one at a time; the teacher that is kept is trained on all sessions
image   80/5/15, stratified; the teacher that is kept is the one that was measured

Everywhere a part of the rows (20 % of the speakers, 5 % of the pictures) chooses the epoch and fits the temperature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.errors import ItemError, ModelError
from models.teachers.class_map import ClassMap
from models.teachers.evaluation import SPLITS, evaluate, expect_sessions, stratified_split
from models.teachers.network_teacher import CheckpointTeacher
from models.teachers.probe_training import validation_speakers
from models.teachers.ready_network import Modality, ReadyNetwork, load_pretrained
from models.teachers.standardise import standardise_by_group
from pipeline.engine import files
from pipeline.engine.environment import device_from_environment, threads_from_environment
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.work import finish, work_folder
from pipeline.errors import UserError
from pipeline.networks import trainers
from pipeline.teachers.corpora import Item
from pipeline.teachers.fit import NET_FOLDER, Fit, Said, fit
from pipeline.teachers.material import Material, Trained
from pipeline.teachers.params import FinetuneParams
from pipeline.teachers.vectors import Representer, vectors_of

LIBRARIES = ("accelerate", "numpy", "pillow", "soundfile", "soxr", "timm", "torch", "torchvision", "transformers")
KEPT = "kept"  # name of the training whose network is kept

Mask = NDArray[np.bool_]
T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """The rows of a corpus and what their trainings share.

    Attributes:
        params: of the teacher.
        material: the corpus.
        modality: speech or image.
        items: those that can be used.
        work: folder of the trainings.
    """

    params: FinetuneParams
    material: Material
    modality: Modality
    items: list[Item]
    work: Path

    @property
    def labels(self) -> list[str]:
        """Class of each item."""
        return [self.material.label(item) for item in self.items]

    @property
    def seed(self) -> int:
        """Of the project."""
        return self.material.context.base.seed

    def fitted(self, name: str, train: Mask, validation: Mask, test: Mask, *, keep: bool) -> Said:
        """Train one network; masks over the items."""
        classes = self.material.classes
        rows = [(item, classes.index(label)) for item, label in zip(self.items, self.labels, strict=True)]
        folder = self.work / name
        folder.mkdir(parents=True, exist_ok=True)
        return fit(
            Fit(
                params=self.params, section=self.material.section, modality=self.modality, classes=classes,
                train=_chosen(rows, train), validation=_chosen(rows, validation), test=_chosen(rows, test),
                seed=self.seed, device=device_from_environment(), folder=folder, keep=keep,
            )
        )  # fmt: skip


@dataclass(frozen=True)
class Heard:
    """What the trainings gave.

    Attributes:
        validation: rows that chose the epoch of the network that is kept.
        kept: what that network said of them.
        test: places of the rows that were held out.
        logits: what was said of those, by a network that had not seen them.
        protocol: for the metrics file.
        trainings: figures of each, by name.
    """

    validation: Mask
    kept: NDArray[np.float32]
    test: NDArray[np.int64]
    logits: NDArray[np.float32]
    protocol: str
    trainings: dict[str, Any]


def finetune(params: FinetuneParams, material: Material) -> Trained:
    """The teacher, its temperature and its figures.

    Raises:
        UserError: no such checkpoint, or the corpus is too small.
    """
    if material.modality == "image" and params.held_out_sessions is not None:
        where = f"{material.section}.held_out_sessions = {params.held_out_sessions}"
        raise UserError(f"{where}: pictures have no sessions; expected null")
    plan = _plan(params, material)
    heard = _speech(plan) if plan.modality == "speech" else _image(plan)
    finish(plan.work)
    network = ReadyNetwork.load(str(plan.work / KEPT / NET_FOLDER), plan.modality, batch_size=params.batch_size)
    label_classes = {name: name for name in material.classes}
    class_map = ClassMap.of(network.labels, label_classes, "renormalise", material.section)
    temperature = 1.0
    if params.calibrate:
        kept = _standardised(params, heard.kept, _chosen(plan.items, heard.validation))
        temperature = class_map.fit_temperature(kept, _chosen(plan.labels, heard.validation))
    truth = [plan.labels[place] for place in heard.test]
    logits = _standardised(params, heard.logits, [plan.items[place] for place in heard.test])
    probabilities = class_map.probabilities(logits, temperature)
    predictions = [class_map.classes[place] for place in probabilities.argmax(axis=1)]
    held_out = {"protocol": heard.protocol, **evaluate(truth, predictions, class_map.classes)}
    teacher = CheckpointTeacher(network, class_map, label_classes, params.normalise, temperature, kind="finetune")
    further = {"temperature": temperature, "trainings": heard.trainings}
    return Trained(teacher, plan.items, held_out, probabilities, truth, further)


def _plan(params: FinetuneParams, material: Material) -> Plan:
    modality: Modality = "speech" if material.modality == "speech" else "image"
    seed = material.context.base.seed
    trainers.start(seed)
    try:
        network, preprocessor = load_pretrained(params.checkpoint, modality, material.classes)
    except ModelError as error:
        raise UserError(f"{material.section}.checkpoint: {error}") from None
    untrained = ReadyNetwork(network, preprocessor, modality)
    sizes = vectors_of(
        material.context, material.items, material.folder, _sizes, material.rejects,
        code=code_version(__file__), facts="sizes",
    )  # fmt: skip
    items = []
    for item in material.usable(sizes):
        try:
            untrained.check_samples(int(sizes[item.id][0]))
        except ItemError as error:
            material.rejects.append((item.id, error.status, error.reason))
        else:
            items.append(item)
    material.usable(item.id for item in items)
    mark = fingerprint(
        params=params, seed=seed, classes=material.classes, network=untrained.digest,
        items=[[item.id, item.label, item.speaker, item.session] for item in items], code=code_version(__file__),
        input=files.sha256_of(material.folder / "manifest.json"), libraries=library_versions(LIBRARIES),
        device=device_from_environment(), threads=threads_from_environment(),
    )  # fmt: skip
    work = work_folder(material.context.paths.work, f"train_teacher.{modality}.finetune", mark)
    return Plan(params, material, modality, items, work)


def _speech(plan: Plan) -> Heard:
    speakers = np.array([item.speaker for item in plan.items])
    sessions = np.array([item.session for item in plan.items])
    expect_sessions(speakers.tolist(), sessions.tolist())
    every = sorted(set(sessions.tolist()))
    chosen = every[: plan.params.held_out_sessions]
    logits = []
    trainings = {}
    for session in chosen:
        test = sessions == session
        validation = np.zeros(len(sessions), dtype=bool)
        validation[~test] = validation_speakers(speakers[~test].tolist(), plan.seed)
        name = f"session-{session}"
        said = plan.fitted(name, ~test & ~validation, validation, test, keep=False)
        trainings[name] = said.figures
        logits.append(said.test)
    validation = validation_speakers(speakers.tolist(), plan.seed)
    kept = plan.fitted(KEPT, ~validation, validation, np.zeros_like(validation), keep=True)
    trainings[KEPT] = kept.figures
    places = np.concatenate([np.flatnonzero(sessions == session) for session in chosen])
    protocol = f"leave one session out, {len(chosen)} of {len(every)} sessions"
    return Heard(validation, kept.validation, places, np.concatenate(logits), protocol, trainings)


def _image(plan: Plan) -> Heard:
    splits = stratified_split([item.id for item in plan.items], plan.labels, seed=plan.seed)
    train, validation, test = (np.asarray(splits == name, dtype=bool) for name in SPLITS)
    said = plan.fitted(KEPT, train, validation, test, keep=True)
    places, trainings = np.flatnonzero(test), {KEPT: said.figures}
    return Heard(validation, said.validation, places, said.test, "80/5/15 stratified", trainings)


def _chosen(rows: Sequence[T], mask: Mask) -> list[T]:
    return [row for row, chosen in zip(rows, mask, strict=True) if chosen]


def _standardised(params: FinetuneParams, logits: NDArray[np.float32], items: Sequence[Item]) -> NDArray[np.floating]:
    return standardise_by_group(logits, [item.speaker for item in items]) if params.normalise == "voice" else logits


def _sizes() -> Representer:
    """Samples of an utterance or pixels of a picture, [n, 1]: here decoding is all that matters."""

    def sizes(batch: Sequence[object]) -> NDArray[np.float32]:
        return np.array([[np.asarray(item).size] for item in batch], dtype=np.float32)

    return Representer(lambda _: None, sizes)
