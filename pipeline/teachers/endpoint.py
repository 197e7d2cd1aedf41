"""The teacher for `kind: endpoint`: a model behind an endpoint, measured on some rows of the corpus and not trained.

Of pictures those of the test split are asked about, as probes are measured on them; of utterances, in words as heard,
those of all speakers. Of each at most `measure_rows`, those with the lowest sha256 of their ids, for each costs money.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ItemError, ModelError
from models.teachers.calibration import fit_temperature
from models.teachers.endpoint.client import Patience
from models.teachers.endpoint.question import Question
from models.teachers.endpoint.teacher import EndpointTeacher
from models.teachers.evaluation import SPLITS
from models.teachers.probe_training import validation_speakers
from pipeline.errors import UserError
from pipeline.teachers import corpora
from pipeline.teachers.corpora import Item
from pipeline.teachers.listening import heard_in
from pipeline.teachers.material import Material, MeasuredTeacher, fitted_on
from pipeline.teachers.params import EndpointParams
from pipeline.teachers.picture_split import split_pictures
from pipeline.teachers.scoring import answers_folder

PROTOCOL = "not trained here; {rows} of {of}; whoever trained the model may have seen them"


def train(params: EndpointParams, material: Material) -> MeasuredTeacher:
    """The teacher and its figures; ModelError if the endpoint is down or fails at too many items."""
    teacher = EndpointTeacher(
        question_of(params, material.classes), params.smoothing, patience_of(params),
        cache_folder=answers_folder(material.context.paths.root),
    )  # fmt: skip
    measured, validation = _chosen(params, material)
    made = _words(material, [*measured, *validation]) if params.features == "linguistic" else _picture
    temperature, calibration = 1.0, None
    if validation:
        items, logarithms = _asked(teacher, validation, made, material)
        truth = [material.label(item) for item in items]
        temperature = fit_temperature(logarithms.astype(np.float64), truth, teacher.classes)
        calibration = fitted_on(len(items), 0)
    items, logarithms = _asked(teacher, measured, made, material)
    teacher.expect_few_failures()
    if not items:
        raise UserError(f"{material.folder}: none of {len(measured)} items got a usable answer of {params.model}")
    teacher = replace(teacher, temperature=temperature, cost=teacher.tally.values())
    left = len(material.items) - len(measured) - len(validation)
    what = "the test split" if material.modality == "image" else "all utterances with words"
    return MeasuredTeacher.of(
        teacher, items, PROTOCOL.format(rows=f"{len(items):,} rows", of=what), [material.label(item) for item in items],
        teacher.classify(logarithms, None), temperature=temperature, calibration=calibration,
        endpoint={"model": params.model, "smoothing": params.smoothing, **teacher.cost, "not_asked_about": left},
    )  # fmt: skip


def question_of(params: EndpointParams, classes: tuple[str, ...]) -> Question:
    """What the endpoint is asked of every item."""
    return Question(
        params.model, params.prompt, classes, params.features, params.structured, params.top_logprobs,
        params.tokens_max, params.image_side_px_max,
    )  # fmt: skip


def patience_of(params: EndpointParams) -> Patience:
    """How it is asked."""
    return Patience(params.concurrency, params.timeout_seconds, params.retries, params.max_failed_share)


def _chosen(params: EndpointParams, material: Material) -> tuple[list[Item], list[Item]]:
    """The items to measure on, and those to fit a temperature on; none of the latter where none is wanted."""
    items = material.items
    labels = [material.label(item) for item in items]
    if material.modality == "image":
        splits = split_pictures(items, labels, material.seed)
        test, validation = splits == SPLITS[2], splits == SPLITS[1]
    else:
        validation = validation_speakers([item.speaker for item in items], material.seed)
        test = np.ones(len(items), dtype=bool) if params.calibrate == "none" else ~validation
    if params.calibrate == "none":
        validation = np.zeros(len(items), dtype=bool)
    return _some(items, test, params.measure_rows), _some(items, validation, params.measure_rows)


def _some(items: Sequence[Item], wanted: NDArray[np.bool_], rows: int) -> list[Item]:
    members = [item for item, is_wanted in zip(items, wanted.tolist(), strict=True) if is_wanted]
    return sorted(members, key=lambda item: hashlib.sha256(item.id.encode()).digest())[:rows]


def _picture(item: Item) -> Any:
    picture, _ = corpora.DECODE["image"](item.path)
    return picture


def _words(material: Material, items: list[Item]) -> Callable[[Item], Any]:
    heard_items, heard = heard_in(replace(material, items=items))  # adds those without words to the rejects
    heard_of = dict(zip((item.id for item in heard_items), heard, strict=True))
    return lambda item: heard_of.get(item.id)


def _asked(
    teacher: EndpointTeacher, items: Sequence[Item], made: Callable[[Item], Any], material: Material
) -> tuple[list[Item], NDArray[np.float32]]:
    """The items that got an answer, and the logarithms [n, classes]; extends the material's rejects by the others."""
    answered: list[Item] = []
    rows: list[NDArray[np.float32]] = []
    size = 2 * teacher.patience.concurrency
    for start in range(0, len(items), size):
        contents: list[tuple[Item, Any]] = []
        for item in items[start : start + size]:
            try:
                content = made(item)
            except ItemError as error:
                material.rejects.append((item.id, error.status, error.reason))
            else:
                contents += [(item, content)] if content is not None else []
        try:
            found = teacher.represent([content for _, content in contents])
        except ModelError as error:
            raise UserError(f"{material.section}: {error}") from None
        for (item, _), row in zip(contents, found, strict=True):
            if isinstance(row, ItemError):
                material.rejects.append((item.id, row.status, row.reason))
            else:
                answered.append(item)
                rows.append(row)
    return answered, np.array(rows, dtype=np.float32).reshape(len(rows), len(teacher.classes))
