"""Section evaluate of params.yaml."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from pipeline.frame.params import STRICT


@dataclass(frozen=True, config=STRICT)
class EvaluateParams:
    """Section `evaluate`."""

    batch_size: Annotated[int, Field(ge=1)]  # rows given to a network at once
    bootstrap_samples: Annotated[int, Field(ge=100)]  # draws for each interval
    confidence_bins: tuple[Annotated[float, Field(ge=0, le=1)], ...]  # where bins meet; 0 and 1 are added

    @field_validator("confidence_bins")
    @classmethod
    def _rising(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if list(edges) != sorted(set(edges)):
            raise ValueError("different edges in rising order")
        return edges
