"""The teacher that is a table: probabilities that something outside this project made, looked up by id.

In   ids of rows
Out  float32 [n, classes], rows sum to 1
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.errors import ItemError, ModelError
from models.teachers.standardise import Statistics
from models.teachers.teacher import TEACHER_FILE, Normalise, Outside, expect_statistics

SCORES_FILE = "scores.parquet"
ABSENT = "not_in_the_scores"  # status of an item of which the table says nothing


@dataclass(frozen=True)
class ScoresTeacher:
    """What a table says of each id; a row of another id cannot be scored, now or later."""

    classes: tuple[str, ...]
    ids: Sequence[str]
    values: NDArray[np.float32]  # [ids, classes]
    about: Mapping[str, Any]  # what the card tells besides: name, licence, source, max_lost_share ...

    @property
    def features(self) -> Outside:
        """Nobody here knows what it went by."""
        return "outside"

    @property
    def normalise(self) -> Normalise:
        """A table has heard no voice of ours."""
        return "none"

    @property
    def by_length(self) -> bool:
        """There is nothing to pad."""
        return False

    @cached_property
    def digest(self) -> str:
        """sha256 over classes, ids and probabilities, hex."""
        content = hashlib.sha256(json.dumps([self.classes, list(self.ids)]).encode())
        content.update(self.values.tobytes())
        return content.hexdigest()

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {identity: row for row, identity in enumerate(self.ids)}

    def check(self, item: str) -> None:
        """Raises ItemError if the table has no row with this id."""
        if item not in self._rows:
            raise ItemError(ABSENT, f"the scores of {self.about['name']} have no sound row with this id")

    def represent(self, batch: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes]."""
        found: NDArray[np.float32] = self.values[[self._rows[identity] for identity in batch]]
        return found

    def classify(self, representation: NDArray[np.float32], statistics: Statistics | None) -> NDArray[np.float32]:
        """The same."""
        expect_statistics(self.normalise, statistics)
        return representation

    def predict_proba(self, batch: Sequence[str], statistics: Statistics | None = None) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes] of ids."""
        return self.classify(self.represent(batch), statistics)

    def save(self, folder: Path) -> None:
        """Write `teacher.json` and the table into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        columns = {f"p_{name}": self.values[:, place] for place, name in enumerate(self.classes)}
        pq.write_table(pa.table({"id": pa.array(self.ids, pa.string()), **columns}), folder / SCORES_FILE)
        card = {
            "kind": "scores",
            "features": self.features,
            "classes": self.classes,
            "normalise": self.normalise,
            **self.about,
            "digest": self.digest,
        }
        (folder / TEACHER_FILE).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The teacher that `save` wrote; ModelError if a file is missing or broken, or holds other scores."""
        try:
            card = json.loads((folder / TEACHER_FILE).read_text(encoding="utf-8"))
            classes = tuple(card["classes"])
            table = pq.read_table(folder / SCORES_FILE, partitioning=None)
            values = np.column_stack([table[f"p_{name}"].to_numpy() for name in classes]).astype(np.float32)
            teacher = cls(classes, table["id"].to_pylist(), values, card)
            same = teacher.digest == card["digest"]
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            found = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ModelError(f"{folder}: expected saved scores, found {found}; run train_teacher again") from None
        if not same:
            raise ModelError(f"{folder}: the scores are not those that were saved; run train_teacher again")
        return teacher
