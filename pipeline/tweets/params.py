"""Section `clean` of params.yaml; texts and duplicates have their parameters beside the code that uses them."""

from dataclasses import field
from typing import Annotated

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.frame.params import STRICT
from pipeline.tweets.duplicates import DuplicateParams
from pipeline.tweets.text import TextOptions


@dataclass(frozen=True, config=STRICT)
class TextParams(TextOptions):
    """Section `clean.text`; `languages` as codes of ISO 639: texts in others are rejected. null keeps any."""

    languages: tuple[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], ...] | None = field(default=("en",))

    @field_validator("languages")
    @classmethod
    def _some(cls, languages: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if languages == ():
            raise ValueError("one language or more, or null for any")
        return languages

    def expect_language(self, language: str) -> None:
        """UserError unless texts of the project's language are kept."""
        if self.languages is not None and language not in self.languages:
            where = f"clean.text.languages = [{', '.join(self.languages)}]"
            raise UserError(f"{where}: base.language = {language} is not among them; expected it, or null for any")


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
    text: TextParams
    image: ImageParams
    duplicates: DuplicateParams
