"""Section clean of params.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.frame.params import STRICT
from pipeline.tweets import duplicates
from pipeline.tweets.text import TextOptions


@dataclass(frozen=True, config=STRICT)
class ImageParams:
    """Section `clean.image`: which pictures are accepted, and how they are kept."""

    min_side_px: Annotated[int, Field(ge=1)]
    max_pixels: Annotated[int, Field(ge=1)]
    max_bytes: Annotated[int, Field(ge=1)]
    stored_max_side_px: Annotated[int, Field(ge=16)] | None
    jpeg_quality: Annotated[int, Field(ge=1, le=95)]


@dataclass(frozen=True, config=STRICT)
class CleanParams:
    """Section `clean`."""

    shard_rows: Annotated[int, Field(ge=1)]
    text: TextOptions
    image: ImageParams
    duplicates: duplicates.DuplicateParams
