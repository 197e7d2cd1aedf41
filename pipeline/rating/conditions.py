"""The five ways in which people judge a row, and what the paper's people reached in each (section 3.1.1, Table 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.frame.paper import TABLE_1

OVERALL = "overall"


@dataclass(frozen=True)
class Condition:
    """What a rater gets of a row; `symbol` is its accuracy's in Table 1."""

    name: str
    symbol: str
    image: bool
    speech: Literal["", "synthetic", "human"]
    question: str

    @property
    def both(self) -> bool:
        """Whether the rater sees and hears."""
        return self.image and bool(self.speech)

    @property
    def paper(self) -> Mapping[str, float]:
        """Accuracy in Table 1 by label, in [0, 1], with `OVERALL`."""
        return TABLE_1[self.symbol]


_HEARD = "Which emotion does the voice express?"
_BOTH = "Which emotion do picture and voice express together?"

CONDITIONS = (
    Condition("image", "A_i", True, "", "Which emotion does the picture express?"),
    Condition("synthetic_speech", "A_ss", False, "synthetic", _HEARD),
    Condition("human_speech", "A_hs", False, "human", _HEARD),
    Condition("synthetic_speech_image", "A_ss-i", True, "synthetic", _BOTH),
    Condition("human_speech_image", "A_hs-i", True, "human", _BOTH),
)

BY_NAME = {condition.name: condition for condition in CONDITIONS}
