"""Pictures, recordings and texts of given rows, from data/clean and data/speech.

In   finished folders of stages clean and synthesize; rows by id, in any order
Out  the same rows with columns audio, image and text, and digests by which a copy is known for the same
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine import shards
from pipeline.publishing.redaction import redacted


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as mappings by the columns' names."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


class MediaSource:
    """Looks media up by id, one shard after the other.

    Args:
        data: folder of stages' outputs.
        keep_personal: leave @mentions and URLs in texts.

    Raises:
        UserError: one of the folders is missing or incomplete.
    """

    def __init__(self, data: Path, *, keep_personal: bool) -> None:
        self.data = data
        self.keep_personal = keep_personal
        self.markers = {
            "clean": shards.read_manifest(data / "clean", "clean"),
            "speech": shards.read_manifest(data / "speech", "synthesize"),
        }

    def index(self, folder: str, columns: Sequence[str] = ()) -> pd.DataFrame:
        """By id: place of each row's shard in column `<folder>_shard`, and further columns."""
        parts = []
        for number, marker in enumerate(self.markers[folder]):
            part = shards.read_part(self.data / folder, marker, columns=["id", *columns])
            parts.append(part.append_column(f"{folder}_shard", pa.array(np.full(part.num_rows, number))))
        frame: pd.DataFrame = pa.concat_tables(parts).to_pandas().set_index("id")
        return frame

    def attach(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """Rows (columns id, clean_shard, speech_shard and more) with audio, image, text and their digests."""
        clean = self._found("clean", rows, ["image", "text", "image_sha256"])
        speech = self._found("speech", rows, ["audio"])
        return [
            {
                **row,
                "audio": {"bytes": speech[row["id"]]["audio"], "path": f"{row['id']}.flac"},
                "image": {"bytes": clean[row["id"]]["image"], "path": f"{row['id']}.jpg"},
                "text": self.text(clean[row["id"]]["text"]),
                "image_sha256": clean[row["id"]]["image_sha256"],
                "audio_sha256": hashlib.sha256(speech[row["id"]]["audio"]).hexdigest(),
            }
            for row in records(rows)
        ]

    def text(self, text: str) -> str:
        """As it is published."""
        return text if self.keep_personal else redacted(text)

    def _found(self, folder: str, rows: pd.DataFrame, columns: list[str]) -> dict[str, dict[str, Any]]:
        ids = pa.array(rows["id"], pa.string())
        found: dict[str, dict[str, Any]] = {}
        for number in sorted(set(rows[f"{folder}_shard"])):
            part = shards.read_part(self.data / folder, self.markers[folder][number], columns=["id", *columns])
            found |= {row["id"]: row for row in part.filter(pc.is_in(part["id"], value_set=ids)).to_pylist()}
        return found
