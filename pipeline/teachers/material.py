"""What every kind of teacher is made from, and what its making gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.teachers.teacher import Teacher
from pipeline.errors import UserError
from pipeline.frame.stage import Context
from pipeline.teachers.corpora import Item
from pipeline.teachers.vectors import Reject


@dataclass(frozen=True)
class Material:
    """A corpus, as far as the class map keeps it.

    Attributes:
        context: of the stage.
        folder: of the corpus.
        items: those with a class.
        class_of: label of the corpus -> class, or null.
        classes: all classes, in order; some may have no rows.
        rejects: items that could not be used; grows while the teacher is made.
    """

    context: Context
    folder: Path
    items: list[Item]
    class_of: Mapping[str, str | None]
    classes: tuple[str, ...]
    rejects: list[Reject]

    @property
    def modality(self) -> str:
        """`speech` or `image`."""
        return self.context.item

    @property
    def section(self) -> str:
        """Name of the section of parameters, for messages."""
        return f"train_teacher.{self.modality}"

    def label(self, item: Item) -> str:
        """Class of an item."""
        return str(self.class_of[item.label])

    def usable(self, ids: Iterable[str]) -> list[Item]:
        """The items with these ids, in the order of the corpus.

        Raises:
            UserError: there is none.
        """
        known = set(ids)
        items = [item for item in self.items if item.id in known]
        if not items:
            counts = dict(Counter(row[1] for row in self.rejects))
            raise UserError(f"{self.folder}: none of {len(self.items)} items can be read: {counts}")
        return items


@dataclass(frozen=True)
class Trained:
    """A teacher and what it, or its stand-ins trained on other sessions, said about held-out rows.

    Attributes:
        teacher: the one that is kept.
        items: that were used.
        held_out: figures for the metrics file.
        probabilities: float32 [held-out rows, classes].
        truth: the classes of those rows.
        further: more figures, by name.
    """

    teacher: Teacher
    items: Sequence[Item]
    held_out: dict[str, Any]
    probabilities: NDArray[np.float32]
    truth: Sequence[str]
    further: dict[str, Any] = field(default_factory=dict)
