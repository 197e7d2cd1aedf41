"""Section `clean` of params.yaml; texts and duplicates have their parameters beside the code that uses them."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.frame.params import STRICT
from pipeline.tweets.duplicates import DuplicateParams
from pipeline.tweets.text import TextOptions


@dataclass(frozen=True, config=STRICT)
class ImageParams:
    """Section `clean.image`: which pictures are accepted, and how they are stored."""

    min_side_px: Annotated[int, Field(ge=1)]
    max_pixels: Annotated[int, Field(ge=1)]  # width x height, as the header declares them
    max_bytes: Annotated[int, Field(ge=1)]  # of the published file
    stored_max_side_px: Annotated[int, Field(ge=16)] | None  # larger pictures are scaled down to it
    jpeg_quality: Annotated[int, Field(ge=1, le=95)]
    max_lost_share: Annotated[float, Field(ge=0, le=1)]  # of a copy's rows, by one kind of damage; more is an error


@dataclass(frozen=True, config=STRICT)
class CleanParams:
    """Section `clean`."""

    shard_rows: Annotated[int, Field(ge=1)]
    text: TextOptions
    image: ImageParams
    duplicates: DuplicateParams
