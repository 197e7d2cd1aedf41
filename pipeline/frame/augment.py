"""Section `augment` of networks and of teachers that are fine-tuned; `pipeline.media.augmentation` does it."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.frame.params import STRICT

Masks = Annotated[int, Field(ge=0, le=20)]
WidthShare = Annotated[float, Field(ge=0, le=0.5)]


@dataclass(frozen=True, config=STRICT)
class SpecAugmentParams:
    """Masks of a row, each as wide as chance has it, from nothing to its share, and anywhere."""

    time_masks: Masks
    time_width_share: WidthShare  # of what was spoken, at most; it becomes silence
    frequency_masks: Masks
    frequency_width_share: WidthShare  # of the mel scale up to half the sampling rate, at most


@dataclass(frozen=True, config=STRICT)
class AugmentParams:
    """Section `augment` of training: of rows that are learnt from, never of those that are measured."""

    flip: bool = False  # mirror every other picture, by chance
    spec_augment: SpecAugmentParams | None = None
