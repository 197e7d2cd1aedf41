"""What every kind of teacher is made from, and what its making gives."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.teachers.teacher import Teacher
from pipeline.errors import UserError
from pipeline.frame.intervals import NOT_MEASURED
from pipeline.frame.stage import Context
from pipeline.teachers.corpora import Item

Reject = tuple[str, str, str]  # id, status, reason
# The figures of a teacher that no row of the corpus could be asked of, in place of those of `evaluate`.
UNMEASURED = {"protocol": NOT_MEASURED, "rows": 0}


@dataclass(frozen=True)
class Material:
    """A corpus, as far as the class map keeps it."""

    context: Context  # of the stage
    folder: Path
    items: list[Item]  # those with a class
    class_of: Mapping[str, str | None]  # label of the corpus -> class
    classes: tuple[str, ...]  # all of them, in order; some may have no rows
    rejects: list[Reject]  # of items that could not be used; grows while the teacher is made

    @property
    def modality(self) -> str:
        """`speech` or `image`."""
        return self.context.item

    @property
    def section(self) -> str:
        """Name of the section of parameters, for messages."""
        return f"train_teacher.{self.modality}"

    @property
    def seed(self) -> int:
        """Of the project."""
        return self.context.base.seed

    def label(self, item: Item) -> str:
        """Class of an item."""
        return str(self.class_of[item.label])

    def usable(self, ids: Iterable[str]) -> list[Item]:
        """The items with these ids, in the order of the corpus; raises UserError if there are none."""
        known = set(ids)
        items = [item for item in self.items if item.id in known]
        if not items:
            counts = dict(Counter(status for _, status, _ in self.rejects))
            raise UserError(f"{self.folder}: none of {len(self.items)} items can be read: {counts}")
        return items


def fitted_on(rows: int, again: int) -> dict[str, int]:
    """Of how many rows a temperature was fitted, and how many of them are among those whose confidence is measured."""
    return {"rows": int(rows), "measured_too": int(again)}


@dataclass(frozen=True)
class MeasuredTeacher:
    """A teacher, and what it or its stand-ins that were trained on other sessions say about held-out rows."""

    teacher: Teacher
    items: Sequence[Item]  # that were used
    held_out: dict[str, Any]  # figures for the metrics file
    probabilities: NDArray[np.float32]  # [held-out rows, classes]
    truth: Sequence[str]  # the classes of those rows
    further: dict[str, Any]  # more figures, by name
    text_rejects: Sequence[Reject] = ()  # of emotion texts or of a table of scores, which are no items

    @classmethod
    def of(
        cls,
        teacher: Teacher,
        items: Sequence[Item],
        protocol: str,
        truth: Sequence[str],
        probabilities: NDArray[np.float32],
        **further: Any,
    ) -> Self:
        """With the figures of the likeliest class of each held-out row."""
        from models.teachers.evaluation import evaluate  # noqa: PLC0415 - scikit-learn takes a second

        predictions = [teacher.classes[column] for column in probabilities.argmax(axis=1)]
        held_out = {"protocol": protocol, **evaluate(truth, predictions, teacher.classes)}
        return cls(teacher, items, held_out, probabilities, truth, further)
