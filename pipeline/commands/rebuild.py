"""Join a dataset that was published without media with your own copy of B-T4SA.

    sier rebuild --source owner/name --out FOLDER

In   a dataset published by `publish --mode no_media`; data/clean and data/speech, made from your copy by
     dvc repro synthesize
Out  FOLDER: the same rows with speech, picture and text, as `publish --mode full` writes them; rejects.csv: id, status,
     reason of rows that cannot be rebuilt

A picture of other pixels than the published digest names is a reject. Speech of other bytes is kept and counted: voices
differ in the last bit between kinds of processors.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pipeline.commands.command import UsageError
from pipeline.engine import files
from pipeline.errors import UserError, first_line
from pipeline.frame.metrics_files import write_plot
from pipeline.frame.running import say
from pipeline.frame.stage import Paths
from pipeline.publishing import columns
from pipeline.publishing.export import Exported, to_table, write_part
from pipeline.publishing.media import MediaSource

REJECTS = "rejects.csv"
LEVELS = {"data": ("train", "test"), "sentiment": ("train", "validation", "test")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("--source", required=True, help="a repository of the Hub, or a folder with its files")
    parser.add_argument("--out", required=True, type=Path, help="a new folder")
    parser.add_argument("--rows-per-file", type=int, default=1_000, help="default: %(default)s")
    parser.add_argument("--keep-mentions", action="store_true", help="leave @mentions and URLs in texts")


def run(options: argparse.Namespace) -> None:
    """Rebuild, and count what became of the rows."""
    if options.rows_per_file < 1:
        raise UsageError("--rows-per-file: expected a number from 1")
    counts = rebuild(
        options.source, Paths(Path()).data, options.out, options.rows_per_file, keep_personal=options.keep_mentions
    )
    say(f"rebuild: {options.out}: " + ", ".join(f"{status} {count}" for status, count in counts.items()))


def rebuild(source: str, data: Path, out: Path, rows_per_file: int, *, keep_personal: bool) -> dict[str, int]:
    """Write the complete dataset; returns the number of rows by what became of them.

    Raises:
        UserError: the source cannot be had or was not published as `no_media`, data/ lacks a stage's output, no row
            of it is in the source, or `out` exists.
    """
    from pipeline.publishing.cards import configurations  # noqa: PLC0415 - not before wrong arguments are told

    if out.exists():
        raise UserError(f"{out}: exists; name a new folder with --out")
    media = MediaSource(data, keep_personal=keep_personal)
    folder = _fetch(source)
    rows = {(level, split): _read(folder, level, split) for level, splits in LEVELS.items() for split in splits}
    places = media.index("clean").join(media.index("speech"), how="outer")
    target = out.with_name(f".{out.name}.new")
    files.remove_tree(target)
    exported = Exported(target, "full")
    rejects: list[tuple[str, str, str]] = []
    counts = Counter({"rebuilt": 0})
    for (level, split), table in rows.items():
        exported.features[level] = _full_features(table)
        wanted = pd.DataFrame({"id": table["id"].to_pylist()}).join(places, on="id")
        for stage in ("clean", "speech"):
            absent = wanted[f"{stage}_shard"].isna()
            rejects += [(row, f"not_in_{stage}", f"data/{stage} has no such row") for row in wanted["id"][absent]]
            wanted = wanted[~absent]
        wanted = wanted.astype(dict.fromkeys(places.columns, "int64"))
        published_rows = {row["id"]: row for row in table.to_pylist()}
        chunks = [wanted[start : start + rows_per_file] for start in range(0, len(wanted), rows_per_file)]
        for place, chunk in enumerate(chunks):
            part = _matching(media.attach(chunk), published_rows, exported.features[level], rejects, counts)
            write_part(exported, f"{level}/{split}-{place:05d}-of-{len(chunks):05d}.parquet", part)
    if not counts["rebuilt"]:
        files.remove_tree(target)
        raise UserError(
            f"none of the {sum(table.num_rows for table in rows.values())} rows of {source} is in {data}/clean and "
            f"{data}/speech; put the path of your B-T4SA into params.yaml and run: dvc repro synthesize"
        )
    configs = {"configs": configurations(exported)}
    files.write_bytes(target / "README.md", f"---\n{yaml.safe_dump(configs, sort_keys=False)}---\n".encode())
    write_plot(target / REJECTS, ("id", "status", "reason"), sorted(set(rejects)))
    files.replace_folder(target, out)
    counts.update(status for _, status, _ in rejects)
    return dict(counts)


def _fetch(source: str) -> Path:
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        patterns = [f"{level}/*.parquet" for level in LEVELS]
        return Path(snapshot_download(source, repo_type="dataset", allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(f"{source}: no folder here, and cannot be had from the Hub: {first_line(error)}") from None


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


def _full_features(table: pa.Table) -> Any:
    """Columns in the order in which `publish --mode full` has them."""
    from datasets import Features  # noqa: PLC0415

    kinds = Features.from_arrow_schema(table.schema)
    media = {name: kind for name, kind in columns.sentiment_features("full").items() if name in columns.MEDIA}
    rest = {name: kind for name, kind in kinds.items() if name not in {"id", *columns.DIGESTS}}
    return Features({"id": kinds["id"], **media, **rest})


def _matching(
    own: Sequence[Mapping[str, Any]],
    published: Mapping[str, Mapping[str, Any]],
    features: Any,
    rejects: list[tuple[str, str, str]],
    counts: Counter[str],
) -> pa.Table:
    """The rows whose own picture is the published one, in order; the others go to `rejects`."""
    kept = []
    for row in own:
        expected = published[row["id"]]
        if row["image_sha256"] != expected["image_sha256"]:
            rejects.append((row["id"], "image_differs", "its pixels are not those that were published"))
            continue
        counts["rebuilt"] += 1
        counts["speech_differs"] += row["audio_sha256"] != expected["audio_sha256"]
        kept.append({name: row[name] if name in columns.MEDIA else expected[name] for name in features})
    return to_table(kept, features)
