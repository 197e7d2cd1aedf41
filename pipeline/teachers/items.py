"""The items that a teacher scores, and section score of params.yaml."""

from __future__ import annotations

import io
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated, Any

from PIL import Image
from pydantic import Field
from pydantic.dataclasses import dataclass

from models.teachers.loading import load_teacher
from models.teachers.teacher import Teacher
from pipeline.engine.environment import device_from_environment
from pipeline.frame.params import STRICT
from pipeline.media import audio


@dataclass(frozen=True, config=STRICT)
class ScoreParams:
    """Section `score.<modality>`.

    Attributes:
        batch_size: items handed to the teacher at once; bounds memory, changes no score beyond the last bits.
        voice_statistics_rows: per voice, those with the lowest sha256 of their ids.
        compile: whether torch compiles the teacher's network (none in a probe): minutes at the start, then faster.
    """

    batch_size: Annotated[int, Field(ge=1)]
    voice_statistics_rows: Annotated[int, Field(ge=2)]
    compile: bool = False


@plain_dataclass(frozen=True)
class Source:
    """Where a modality's items lie in a table of rows."""

    folder: str
    stage: str
    columns: tuple[str, ...]

    def item(self, row: dict[str, Any]) -> Any:
        """A waveform or a picture, for a row of the table.

        Raises:
            RowError: it cannot be decoded.
        """
        if self.folder == "speech":
            return audio.decode(row["audio"])
        return Image.open(io.BytesIO(row["image"])).convert("RGB")  # stage clean wrote it: a sound JPEG


SOURCES = {
    "speech": Source("speech", "synthesize", ("id", "audio", "voice")),
    "image": Source("clean", "clean", ("id", "image")),
}


def load_scoring_teacher(checkpoint: Path, params: ScoreParams) -> Teacher:
    device = device_from_environment()
    return load_teacher(checkpoint, device=device, batch_size=params.batch_size, compiled=params.compile)
