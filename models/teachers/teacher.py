"""What every teacher offers, whatever its kind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import ItemError
from models.teachers.standardise import Statistics

Normalise = Literal["voice", "none"]
# What a speech teacher goes by: the sound, the words that a recogniser heard in it, or both.
Features = Literal["acoustic", "linguistic", "fused"]
Outside = Literal["outside"]  # what made a table of scores went by; see `models.teachers.scores_teacher`
TEACHER_FILE = "teacher.json"


@dataclass(frozen=True)
class Utterance:
    """What a fused teacher takes: mono 16 kHz waveform float32 [samples], and the words heard in it."""

    waveform: NDArray[np.float32]
    heard: str


class Teacher(Protocol):
    """What every kind of teacher offers.

    Its items are pictures or, by `features`, waveforms, texts as heard, `Utterance`s, or ids of rows.
    """

    @property
    def features(self) -> Features | Outside:
        """Of speech; a picture's teacher says `acoustic`, which means nothing."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the probability columns."""

    @property
    def digest(self) -> str:
        """sha256, hex, over everything that decides the probabilities."""

    @property
    def normalise(self) -> Normalise:
        """`voice`: `classify` needs the statistics of the voice; `none`: it has its own."""

    @property
    def by_length(self) -> bool:
        """Whether batches should hold items of like length, since it pads."""

    def check(self, item: Any) -> None:
        """Raises ItemError if this item cannot be scored."""

    def represent(self, batch: Sequence[Any]) -> Iterable[NDArray[np.float32] | ItemError]:
        """Representations float32 [n, d]; of a teacher that asks others, an error for each item without an answer."""

    def classify(self, representation: NDArray[np.float32], statistics: Statistics | None) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes]; `statistics` of the voice exactly where `normalise` is `voice`."""

    def predict_proba(self, batch: Sequence[Any], statistics: Statistics | None = None) -> NDArray[np.float32]:
        """`represent`, then `classify`."""

    def save(self, folder: Path) -> None:
        """Writes everything but the frozen encoder into `folder`."""


def expect_statistics(normalise: Normalise, statistics: Statistics | None) -> None:
    """Raises ValueError if statistics are missing where `normalise` is `voice`, or given where it is `none`."""
    if (statistics is None) == (normalise == "voice"):
        raise ValueError(f"normalise is {normalise}: statistics {'missing' if statistics is None else 'given'}")
