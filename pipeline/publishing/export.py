"""The Parquet files of a published dataset, made from data/ into a folder.

In   data/sier, data/clean, data/speech; data/audit/audit.parquet where stage audit has been run
Out  data/{train,test}-*.parquet and sentiment/{train,validation,test}-*.parquet; columns see `columns`

Everything is read and written shard by shard. Equal inputs give equal bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine import shards
from pipeline.frame.audit_table import read_audit
from pipeline.publishing import columns
from pipeline.publishing.columns import Mode
from pipeline.publishing.media import MediaSource, records

if TYPE_CHECKING:
    from datasets import Features

    from pipeline.networks.params import InputParams


@dataclass(frozen=True)
class Part:
    """A file of the published dataset, and how much it holds."""

    name: str
    split: str
    rows: int


@dataclass
class Exported:
    """What was written into `folder`; features and parts by its first level, `data` and `sentiment`."""

    folder: Path
    mode: Mode
    features: dict[str, Features] = field(default_factory=dict)
    parts: dict[str, list[Part]] = field(default_factory=dict)


def export(
    data: Path, folder: Path, mode: Mode, inputs: InputParams, *, keep_personal: bool, dropped: Collection[str] = ()
) -> Exported:  # fmt: skip
    """Write all files of a mode into `folder`, an empty one; mode `features` has spectrograms as `inputs` say.

    Rows whose ids are `dropped` are in none of them.
    """
    exported = Exported(folder, mode)
    source = MediaSource(data, keep_personal=keep_personal)
    _export_sier(exported, source, inputs, dropped)
    _export_sentiment(exported, source, dropped)
    return exported


def _export_sier(exported: Exported, source: MediaSource, inputs: InputParams, dropped: Collection[str]) -> None:
    from datasets import Features  # noqa: PLC0415 - half a second

    sier, mode = source.data / "sier", exported.mode
    markers = shards.read_manifest(sier, "assemble")
    kinds = Features.from_arrow_schema(pq.read_schema(sier / markers[0].part.name))
    audit = read_audit(source.data)
    quality = {} if audit is None else dict(zip(audit["id"], audit["label_quality"].astype(float), strict=True))
    features = columns.dataset_features(kinds, mode, audit is not None, inputs)
    pictures = source.index("clean", ["image_sha256"])["image_sha256"].to_dict() if mode == "no_media" else {}
    exported.features["data"] = features
    tables = []
    for marker in markers:
        table = shards.read_part(sier, marker)
        if dropped:
            table = table.filter(pa.array([identity not in dropped for identity in table["id"].to_pylist()]))
        rows = table.drop_columns(["audio"] if mode == "features" else []).to_pylist()
        spectrograms = _spectrograms(table, inputs) if mode == "features" else None
        for row in rows:
            row["text"] = source.text(row["text"])
            if spectrograms is not None:
                row["spectrogram"] = next(spectrograms)
            if mode == "no_media":
                row["audio_sha256"] = hashlib.sha256(row["audio"]["bytes"]).hexdigest()
                row["image_sha256"] = pictures[row["id"]]
            if audit is not None:
                row["label_quality"] = quality.get(row["id"])
        tables.append((marker.part.name, to_table(rows, features)))
        if mode != "no_media":
            write_part(exported, *tables.pop())
    for split in ("train", "test") if tables else ():  # without media a file per split is small
        parts = [table for name, table in tables if name.startswith(f"data/{split}-")]
        write_part(exported, f"data/{split}-00000-of-00001.parquet", pa.concat_tables(parts))


def _spectrograms(table: pa.Table, inputs: InputParams) -> Iterator[Any]:
    from pipeline.media.audio import decode  # noqa: PLC0415
    from pipeline.networks.decoding import spectrogram_array  # noqa: PLC0415 - torch, for this mode only

    for recording in table["audio"].to_pylist():
        yield spectrogram_array(
            decode(recording["bytes"]), duration_seconds=inputs.duration_seconds, n_mels=inputs.n_mels,
            n_frames=inputs.n_frames,
        )  # fmt: skip


def _export_sentiment(exported: Exported, source: MediaSource, dropped: Collection[str]) -> None:
    features = columns.sentiment_features(exported.mode)
    exported.features["sentiment"] = features
    clean = source.index("clean", ["sentiment", "group_id", "source_split"])
    clean = clean[clean["sentiment"].notna() & ~clean.index.isin(list(dropped))]
    if clean.empty:
        return
    rows = clean.join(source.index("speech", ["voice"]), how="inner").reset_index()
    shard_rows = max(marker.part.rows for marker in source.markers["clean"])
    for theirs, split in columns.SPLITS.items():
        members = rows[rows["source_split"] == theirs].drop(columns="source_split")
        if exported.mode == "features":
            write_part(exported, f"sentiment/{split}-00000-of-00001.parquet", to_table(records(members), features))
            continue
        chunks = [members[start : start + shard_rows] for start in range(0, len(members), shard_rows)]
        plain = []
        for number, chunk in enumerate(chunks):
            table = to_table(source.attach(chunk), features)
            if exported.mode == "full":
                write_part(exported, f"sentiment/{split}-{number:05d}-of-{len(chunks):05d}.parquet", table)
            else:
                plain.append(table)
        if plain:
            write_part(exported, f"sentiment/{split}-00000-of-00001.parquet", pa.concat_tables(plain))


def to_table(rows: list[dict[str, Any]], features: Features) -> pa.Table:
    """Rows in the types of `features`; class names become class ids."""
    from datasets import ClassLabel  # noqa: PLC0415

    values: dict[str, Any] = {}
    for name, feature in features.items():
        column = [row[name] for row in rows]
        if isinstance(feature, ClassLabel):
            column = [feature.str2int(value) if isinstance(value, str) else value for value in column]
        kind = features.arrow_schema.field(name).type
        if isinstance(kind, pa.ExtensionType):  # a spectrogram
            storage = pa.array([[list(band) for band in value] for value in column], kind.storage_type)
            values[name] = pa.ExtensionArray.from_storage(kind, storage)
        else:
            values[name] = pa.array(column, kind, from_pandas=True)
    return pa.table(values, schema=features.arrow_schema)


def write_part(exported: Exported, name: str, table: pa.Table) -> None:
    """Write a table to the file `name` of the dataset, `<level>/<split>-...`."""
    columns.write(table, exported.folder / name)
    level, _, file = name.partition("/")
    exported.parts.setdefault(level, []).append(Part(name, file.split("-")[0], table.num_rows))
