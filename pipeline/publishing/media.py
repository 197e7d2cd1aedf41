"""Pictures, recordings and texts of given rows, from data/clean and data/speech."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.dataset.assembler import find_rows, media
from pipeline.dataset.rows import read_rows
from pipeline.engine import shards
from pipeline.tweets.personal import redacted

STAGES = {"clean": "clean", "speech": "synthesize"}


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as mappings by the columns' names."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


class MediaSource:
    """Looks media up by id, one shard after the other; `keep_personal` leaves texts as they are."""

    def __init__(self, data: Path, *, keep_personal: bool) -> None:
        self.data = data
        self.keep_personal = keep_personal
        self.markers = {folder: shards.read_manifest(data / folder, stage) for folder, stage in STAGES.items()}

    def index(self, folder: str, columns: Sequence[str] = ()) -> pd.DataFrame:
        """By id: number of each row's shard in column `<folder>_shard`, and further columns."""
        return read_rows(self.data / folder, STAGES[folder], ["id", *columns], f"{folder}_shard").set_index("id")

    def attach(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """Rows (columns id, clean_shard, speech_shard and more) with audio, image, text and their digests."""
        clean = self._find("clean", rows, ["image", "text", "image_sha256"])
        speech = self._find("speech", rows, ["audio"])
        return [
            {
                **row,
                **media(row["id"], clean[row["id"]]["image"], speech[row["id"]]["audio"]),
                "text": self.text(clean[row["id"]]["text"]),
                "image_sha256": clean[row["id"]]["image_sha256"],
                "audio_sha256": hashlib.sha256(speech[row["id"]]["audio"]).hexdigest(),
            }
            for row in records(rows)
        ]

    def text(self, text: str) -> str:
        """As it is published."""
        return text if self.keep_personal else redacted(text)

    def _find(self, folder: str, rows: pd.DataFrame, columns: list[str]) -> dict[str, dict[str, Any]]:
        wanted = zip(rows["id"], rows[f"{folder}_shard"], strict=True)
        return find_rows(self.data / folder, self.markers[folder], wanted, columns)
