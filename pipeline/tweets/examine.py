"""First pass of clean: each row by itself, its text prepared for the voice and its picture decoded."""

from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpora.b_t4sa import ImageReader
from pipeline.engine import shards
from pipeline.errors import RowError
from pipeline.frame import tables
from pipeline.media import images
from pipeline.tweets.language import said_text
from pipeline.tweets.params import CleanParams

# `group_id` is known only after all rows have been compared.
EXAMINED = pa.schema([field for field in tables.CLEAN if field.name != "group_id"])


_said_text = lru_cache(maxsize=64)(said_text)  # pictures of a tweet stand together and have one text


def examine_row(row: dict[str, object], data: bytes, params: CleanParams) -> dict[str, object]:
    """A row of `EXAMINED` from a source row and its image file; `RowError` if the text or the image is unusable."""
    spoken, rules = _said_text(str(row["text"]), params.text, params.text.languages)
    image = images.decode_image(data, min_side_px=params.image.min_side_px, max_pixels=params.image.max_pixels)
    jpeg = images.encode_jpeg(image, max_side_px=params.image.stored_max_side_px, quality=params.image.jpeg_quality)
    return {
        **{name: row[name] for name in ("id", "tweet_id", "image_index", "text", "sentiment", "source_split")},
        "spoken_text": spoken,
        "text_rules": " ".join(rules),
        "image": jpeg,
        "width_px": image.width,
        "height_px": image.height,
        "image_sha256": images.pixel_sha256(image),
        "image_phash": images.perceptual_hash(image).hex(),
    }


class Examiner:
    """The worker of this pass; a task's payload is the number of its row group in the work list."""

    def __init__(self, inputs: Path, reader: ImageReader, params: CleanParams) -> None:
        self.inputs = pq.ParquetFile(inputs)
        self.reader = reader
        self.params = params

    def __call__(self, task: shards.Task) -> shards.Output:
        """Rows of `EXAMINED`, and a reject for each row that cannot be used."""
        rows, rejects = [], []
        for row in self.inputs.read_row_group(task.payload).to_pylist():
            try:
                if row["status"]:
                    raise RowError(row["status"], row["reason"])
                data = self.reader.read_row(row, self.params.image.max_bytes)
                rows.append(examine_row(row, data, self.params))
            except RowError as error:
                rejects.append((row["id"], error.status, error.reason))
        return shards.Output(pa.Table.from_pylist(rows, schema=EXAMINED), rejects)
