"""The five ways in which people judge a row, and what the paper's people reached in each (section 3.1.1, Table 1).

The table's last row is the mean of its classes, not of its samples: (63.89 + 75.00 + 67.86 + 70.31) / 4 = 69.26 and so
on, but for A_hs-i, whose classes have the mean 81.16 where it says 80.46. The section's text names 78.91 % for human
speech alone where the table has 76.46 %, which is the mean of the column. The table is taken at its word in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

OVERALL = "overall"


@dataclass(frozen=True)
class Condition:
    """What a rater gets of a row.

    Attributes:
        name: in the file of ratings and in exports.
        symbol: of its accuracy in Table 1.
        image: whether the picture is shown.
        speech: whose voice is heard.
        question: for the rater.
        paper: accuracy in Table 1 by label, in [0, 1], with `OVERALL`.
    """

    name: str
    symbol: str
    image: bool
    speech: Literal["", "synthetic", "human"]
    question: str
    paper: Mapping[str, float]

    @property
    def both(self) -> bool:
        """Whether the rater sees and hears."""
        return self.image and bool(self.speech)


def _paper(happy: float, sad: float, hate: float, anger: float, overall: float) -> dict[str, float]:
    return {"happy": happy, "sad": sad, "hate": hate, "anger": anger, OVERALL: overall}


_HEARD = "Which emotion does the voice express?"
_BOTH = "Which emotion do picture and voice express together?"

CONDITIONS = (
    Condition("image", "A_i", True, "", "Which emotion does the picture express?",
              _paper(0.6389, 0.7500, 0.6786, 0.7031, 0.6926)),
    Condition("synthetic_speech", "A_ss", False, "synthetic", _HEARD,
              _paper(0.6667, 0.7708, 0.7143, 0.8281, 0.7449)),
    Condition("human_speech", "A_hs", False, "human", _HEARD,
              _paper(0.6944, 0.7813, 0.7232, 0.8594, 0.7646)),
    Condition("synthetic_speech_image", "A_ss-i", True, "synthetic", _BOTH,
              _paper(0.7348, 0.8243, 0.7764, 0.8217, 0.7893)),
    Condition("human_speech_image", "A_hs-i", True, "human", _BOTH,
              _paper(0.7587, 0.8327, 0.8132, 0.8419, 0.8046)),
)  # fmt: skip

BY_NAME = {condition.name: condition for condition in CONDITIONS}
