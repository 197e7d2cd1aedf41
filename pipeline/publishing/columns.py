"""Which columns each mode of publishing has, as Hugging Face features, and how its Parquet files are written.

`full`      everything: speech, pictures and texts
`no_media`  ids, labels, scores and digests, by which a licence holder rebuilds `full` (`sier rebuild`)
`features`  log-mel spectrograms instead of speech, no pictures, no texts
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine import files
from pipeline.frame import tables
from pipeline.media.audio import SAMPLING_RATE_HZ

if TYPE_CHECKING:
    from datasets import Features

    from pipeline.networks.params import InputParams

Mode = Literal["no_media", "full", "features"]
MODES: tuple[Mode, ...] = ("no_media", "full", "features")  # the safest first
SPLITS = {"train": "train", "val": "validation", "test": "test"}  # B-T4SA's names, and the Hub's
MEDIA = ("audio", "image", "text")
DIGESTS = ("image_sha256", "audio_sha256")
ONLY_FULL = ("word_error_rate", *DIGESTS)  # columns of configuration `full`, besides the probabilities
AUDIT = {"label_quality": "float32"}  # columns of data/audit that are published, where there is an audit

# As `datasets` writes them: pages end where the content says so, so that a row that comes or goes moves few of them.
CHUNKING = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}
MEDIA_GROUP_ROWS = 100  # some 5 MB: what a viewer reads to show a page
PLAIN_GROUP_ROWS = 20_000


def dataset_features(sier: Features, mode: Mode, audited: bool, inputs: InputParams) -> Features:
    """Columns of `data/`, from those of data/sier."""
    from datasets import Array2D, Features, Value  # noqa: PLC0415 - half a second

    media: dict[str, Any] = {name: sier[name] for name in MEDIA}
    if mode == "features":
        media = {"spectrogram": Array2D((inputs.n_mels, inputs.n_frames), "float16")}
    if mode == "no_media":
        media = {}
    rest = {name: kind for name, kind in sier.items() if name not in {"id", *MEDIA}}
    audit = {name: Value(kind) for name, kind in AUDIT.items() if audited}
    return Features({"id": sier["id"], **media, **rest, **audit, **_digests(mode)})


def sentiment_features(mode: Mode) -> Features:
    """Columns of `sentiment/`: B-T4SA's own classes, of every row that could be spoken and seen."""
    from datasets import Audio, ClassLabel, Features, Image, Value  # noqa: PLC0415

    text = Value("string")
    media = {"audio": Audio(sampling_rate=SAMPLING_RATE_HZ), "image": Image(), "text": text} if mode == "full" else {}
    rest = {"sentiment": ClassLabel(names=list(tables.SENTIMENTS)), "group_id": text, "voice": text}
    return Features({"id": text, **media, **rest, **_digests(mode)})


def _digests(mode: Mode) -> dict[str, Any]:
    from datasets import Value  # noqa: PLC0415

    return {name: Value("string") for name in DIGESTS if mode == "no_media"}


def default_columns(names: Sequence[str]) -> list[str]:
    """Of configuration `default`, which has no probabilities and no digests."""
    return [name for name in names if not name.startswith(tables.PROBABILITY_PREFIX) and name not in ONLY_FULL]


def write(table: pa.Table, target: Path) -> None:
    """A file for the Hub: small row groups where there are media, page index, content-defined pages, statistics.

    Pictures and recordings are compressed already; they are stored as they are, so that the same ones are the same
    bytes in whatever page they come to lie.
    """
    media = [name for name in MEDIA[:2] if name in table.column_names]
    leaves = [f"{column.name}.{inner.name}" for column in table.schema if pa.types.is_struct(column.type)
              for inner in column.type]  # fmt: skip
    plain = [name for name in table.column_names if name not in {*media, "id", "text", "spectrogram", *DIGESTS}]
    rows = MEDIA_GROUP_ROWS if media or "spectrogram" in table.column_names else PLAIN_GROUP_ROWS
    compression = dict.fromkeys([*table.column_names, *leaves], "zstd") | {f"{name}.bytes": "none" for name in media}
    files.write_atomically(
        target,
        lambda temporary: pq.write_table(
            table, temporary, compression=compression, use_dictionary=plain, row_group_size=rows, write_page_index=True,
            use_content_defined_chunking=CHUNKING,
        ),
    )  # fmt: skip
