"""Pace and level of speech by the sentiment of its tweet. Off by default: what a label then hears is the sentiment.

In   sentiment of a row
Out  `Prosody`: rate (a ratio), energy_db (decibels)
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.frame.params import STRICT


@dataclass(frozen=True, config=STRICT)
class Prosody:
    """How a text is said.

    Attributes:
        rate: pace relative to the voice's; 2 is twice as fast.
        energy_db: level relative to the voice's. At most 0, because voices speak near full scale.
    """

    rate: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    energy_db: Annotated[float, Field(ge=-20.0, le=0.0)] = 0.0


PLAIN = Prosody()


@dataclass(frozen=True, config=STRICT)
class ProsodyParams:
    """Section `synthesize.prosody`, where it is not null: one prosody per sentiment of `tables.SENTIMENTS`."""

    negative: Prosody
    neutral: Prosody
    positive: Prosody

    def of(self, sentiment: str) -> Prosody:
        """The prosody of a row."""
        return {"negative": self.negative, "neutral": self.neutral, "positive": self.positive}[sentiment]


def at_level(waveform: NDArray[np.float32], energy_db: float) -> NDArray[np.float32]:
    """The waveform, float32 [samples], louder by `energy_db`."""
    return waveform if energy_db == 0 else waveform * np.float32(10 ** (energy_db / 20))
