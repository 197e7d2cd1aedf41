"""The complete dataset, from what was published without media and one's own data/clean and data/speech.

In   a dataset published as `no_media`: a folder, or a repository of the Hub; ids of tweets or rows to leave out
Out  a folder with the same rows as `publish --mode full` writes them; rejects.csv: id, status, reason
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from pipeline.engine import files
from pipeline.errors import UserError, first_line
from pipeline.frame.metrics_files import write_plot
from pipeline.publishing import columns
from pipeline.publishing.dropping import Dropped, find, tweets_of
from pipeline.publishing.export import Exported, to_table, write_part
from pipeline.publishing.media import STAGES, MediaSource

if TYPE_CHECKING:
    from datasets import Features

REJECTS = "rejects.csv"
LEVELS = {"data": ("train", "test"), "sentiment": ("train", "validation", "test")}


Row: TypeAlias = Mapping[str, Any]


@dataclass
class _Outcome:
    """What became of the rows so far."""

    counts: Counter[str] = field(default_factory=lambda: Counter({"rebuilt": 0}))
    rejects: list[tuple[str, str, str]] = field(default_factory=list)


def rebuild(
    source: str, data: Path, out: Path, rows_per_file: int, *, keep_personal: bool, refresh: Collection[str] = ()
) -> tuple[dict[str, int], Dropped]:  # fmt: skip
    """Write the complete dataset without the tweets or rows whose ids `refresh` lists.

    Returns the number of rows by what became of them, and which rows were left out, of which nothing is written.

    Raises:
        UserError: the source was not published as `no_media`, data/ lacks a stage's output, no row of it is in the
            source or left, or `out` exists or lies in what is read.
        ModelError: the source cannot be had from the Hub.
    """
    from pipeline.publishing.cards import configurations  # noqa: PLC0415 - not before wrong arguments are told

    for path in (out, *(out.with_name(f".{out.name}.{state}") for state in ("new", "old"))):
        _expect_absent(path)  # the others would be taken for what a rebuild has left, and deleted
    media = MediaSource(data, keep_personal=keep_personal)
    folder = _fetch(source)
    tables = {
        (level, split): _read(folder, level, split)
        for level, splits in LEVELS.items()
        for split in splits
        if level == "data" or any((folder / level).glob(f"{split}-*.parquet"))  # not every corpus has a sentiment
    }
    shard_of = media.index("clean").join(media.index("speech"), how="outer")
    outcome, dropped = _Outcome(), Dropped()
    if refresh:
        ids = {identity for table in tables.values() for identity in table["id"].to_pylist()}
        dropped = find(refresh, tweets_of(media, ids))
        left_out = pa.array(sorted(dropped.ids), pa.string())
        tables = {key: table.filter(pc.invert(pc.is_in(table["id"], left_out))) for key, table in tables.items()}
        if not any(table.num_rows for table in tables.values()):
            raise UserError(f"no row of {source} is left to rebuild; all are on the list of --refresh")
    with files.replacing(out) as target:
        exported = Exported(target, "full")
        for (level, split), published in tables.items():
            features = exported.features[level] = _full_features(published)
            rows = _with_media(published, shard_of, outcome)
            by_id = {row["id"]: row for row in published.to_pylist()}
            chunks = [rows[start : start + rows_per_file] for start in range(0, len(rows), rows_per_file)]
            for number, chunk in enumerate(chunks):
                part = to_table(list(_full_rows(media.attach(chunk), by_id, features, outcome)), features)
                write_part(exported, f"{level}/{split}-{number:05d}-of-{len(chunks):05d}.parquet", part)
        if not outcome.counts["rebuilt"]:
            raise UserError(
                f"none of the {sum(table.num_rows for table in tables.values())} rows of {source} is in {data}/clean "
                f"and {data}/speech; put the path of your B-T4SA into params.yaml and run: dvc repro synthesize"
            )
        header = yaml.safe_dump({"configs": configurations(exported)}, sort_keys=False)
        files.write_bytes(target / "README.md", f"---\n{header}---\n".encode())
        write_plot(target / REJECTS, ("id", "status", "reason"), sorted(set(outcome.rejects)))
        _expect_absent(out)  # all this took its time
    outcome.counts.update(status for _, status, _ in outcome.rejects)
    return dict(outcome.counts), dropped


def _expect_absent(path: Path) -> None:
    if os.path.lexists(path):
        raise UserError(f"{path}: exists; name a new folder with --out, or delete it")


def _fetch(source: str) -> Path:
    if Path(source).is_dir():
        return Path(source)
    from models.weights import hub  # noqa: PLC0415 - a folder needs nothing of the Hub's

    return hub.snapshot(source, [f"{level}/*.parquet" for level in LEVELS], kind="dataset")


def _read(folder: Path, level: str, split: str) -> pa.Table:
    parts = sorted((folder / level).glob(f"{split}-*.parquet"))
    try:
        table = pa.concat_tables([pq.read_table(path, partitioning=None) for path in parts]) if parts else None
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{folder / level}: cannot be read: {first_line(error)}") from None
    if table is None or not {"id", *columns.DIGESTS} <= set(table.column_names):
        raise UserError(
            f"{folder}: expected {level}/{split}-*.parquet with the columns {', '.join(columns.DIGESTS)}, as publish "
            "--mode no_media makes them"
        )
    return table


def _full_features(published: pa.Table) -> Features:
    """Columns in the order in which `publish --mode full` has them."""
    from datasets import Features  # noqa: PLC0415

    kinds = Features.from_arrow_schema(published.schema)
    media = {name: kind for name, kind in columns.sentiment_features("full").items() if name in columns.MEDIA}
    rest = {name: kind for name, kind in kinds.items() if name not in {"id", *columns.DIGESTS}}
    return Features({"id": kinds["id"], **media, **rest})


def _with_media(published: pa.Table, shard_of: pd.DataFrame, outcome: _Outcome) -> pd.DataFrame:
    """Ids of rows that data/clean and data/speech have, with the numbers of their shards there."""
    rows = pd.DataFrame({"id": published["id"].to_pylist()}).join(shard_of, on="id")
    for folder in STAGES:
        absent = rows[f"{folder}_shard"].isna()
        outcome.rejects += [(row, f"not_in_{folder}", f"data/{folder} has no such row") for row in rows["id"][absent]]
        rows = rows[~absent]
    return rows.astype(dict.fromkeys(shard_of.columns, "int64"))


def _full_rows(
    own: Sequence[Row], published: Mapping[str, Row], names: Iterable[str], outcome: _Outcome
) -> Iterator[dict[str, Any]]:
    """The rows whose own picture is the published one, with their media; the others are rejects."""
    for row in own:
        expected = published[row["id"]]
        if row["image_sha256"] == expected["image_sha256"]:
            outcome.counts["rebuilt"] += 1
            outcome.counts["speech_differs"] += row["audio_sha256"] != expected["audio_sha256"]
            yield {name: (row if name in columns.MEDIA else expected)[name] for name in names}
        else:
            reason = "its pixels are not those that were published"
            outcome.rejects.append((row["id"], "image_differs", reason))
