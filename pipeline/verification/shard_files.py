"""Is every file of a finished folder what its manifest says, and are its tables what the contract says?

Every byte is read again: sizes, sha256, Parquet, columns, counts. Media are looked at by `media`.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine import files, shards
from pipeline.engine.rejects import REJECTS, conform
from pipeline.errors import UserError, first_line
from pipeline.frame import tables
from pipeline.frame.acquired import SOURCE_FILE
from pipeline.tweets.duplicates import GROUPING_FILE

# Files that stages put beside their shards.
BESIDE = {
    shards.MANIFEST, GROUPING_FILE, SOURCE_FILE, tables.RULE_FILE, tables.VOICE_STATISTICS_FILE, "README.md",
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """Something that is not as it should be."""

    where: Path  # file or folder, as the user knows it
    kind: str  # a snake_case name that faults are counted by
    what: str  # found and expected, in one line
    file: str = ""  # of a damaged file its name in the folder of shards: it can be repaired by making it anew

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class Checked:
    """A folder's shards that can be read on, and what is wrong with the others."""

    folder: Path
    sound: tuple[shards.Marker, ...]
    faults: tuple[Fault, ...]


def check_folder(folder: Path, schema: pa.Schema | None, tick: Callable[[int], object]) -> Checked:
    """Read every file of a stage's folder again; `tick` is called with the number of bytes that were read.

    There is no `schema` where it cannot be known, because what it depends on is damaged.
    """
    try:
        markers = _read_manifest(folder / shards.MANIFEST)
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = "not found" if isinstance(error, FileNotFoundError) else f"damaged ({first_line(error)})"
        return Checked(folder, (), (Fault(folder / shards.MANIFEST, "manifest", problem, shards.MANIFEST),))
    sound, faults = [], list(_unlisted(folder, markers))
    for marker in markers:
        own = [fault for file in _files(folder, marker) for fault in _check_bytes(folder, file, tick)]
        own = own or list(_check_tables(folder, marker, schema))
        faults += own
        if not own:
            sound.append(marker)
    return Checked(folder, tuple(sound), tuple(faults))


def listed_bytes(folder: Path) -> int:
    """How much `check_folder` will read, for a progress bar; 0 where the manifest is damaged."""
    try:
        return sum(file.bytes for marker in _read_manifest(folder / shards.MANIFEST) for file in _files(folder, marker))
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _read_manifest(path: Path) -> list[shards.Marker]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if not lines or any(line["shards"] != len(lines) for line in lines):
        raise ValueError(f"{len(lines)} lines, which is not the number that it names")
    return [shards.Marker.from_json(line) for line in lines]


def _files(folder: Path, marker: shards.Marker) -> list[shards.File]:
    """The dataset's folder has parts only."""
    return [marker.part, marker.rejects] if (folder / "rejects").is_dir() or marker.rejects.rows else [marker.part]


def _unlisted(folder: Path, markers: Iterable[shards.Marker]) -> Iterable[Fault]:
    listed = {file.name for marker in markers for file in _files(folder, marker)} | BESIDE
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name not in listed and not path.is_dir():
            yield Fault(path, "unlisted", f"not listed in {shards.MANIFEST}; remove it, or make the folder anew", name)


def _check_bytes(folder: Path, file: shards.File, tick: Callable[[int], object]) -> Iterable[Fault]:
    path = folder / file.name
    try:
        size = path.stat().st_size
        if size != file.bytes:
            yield Fault(path, "size", f"{size:,} bytes, {shards.MANIFEST} says {file.bytes:,}", file.name)
            return
        digest = files.sha256_of(path)
    except FileNotFoundError:
        yield Fault(path, "missing", f"missing, {shards.MANIFEST} lists it", file.name)
        return
    except OSError as error:
        yield Fault(path, "unreadable", f"cannot be read: {error.strerror}", file.name)
        return
    finally:
        tick(file.bytes)
    if digest != file.sha256:
        # A flipped bit of the manifest may lie behind what is shown of a digest.
        found, stated = (f"{value[:16]}..." for value in (digest, file.sha256))
        if found == stated:
            found, stated = digest, file.sha256
        yield Fault(path, "sha256", f"sha256 {found}, {shards.MANIFEST} says {stated}", file.name)


def _check_tables(folder: Path, marker: shards.Marker, schema: pa.Schema | None) -> Iterable[Fault]:
    path = folder / marker.part.name
    try:
        found, rows = pq.read_schema(path), pq.read_metadata(path).num_rows
    except (OSError, pa.ArrowException) as error:
        yield Fault(path, "parquet", f"not Parquet: {first_line(error)}", marker.part.name)
        return
    if schema is not None:
        try:
            yield from _check_columns(path, found, schema, marker.part.name)
        except (OSError, pa.ArrowException) as error:
            yield Fault(path, "parquet", f"cannot be read: {first_line(error)}", marker.part.name)
    if rows != marker.part.rows or rows != marker.counts.get(shards.OK):
        yield Fault(path, "rows", f"{rows} rows, {shards.MANIFEST} says {marker.part.rows}", marker.part.name)
    if sum(marker.counts.values()) != marker.rows_in:
        counted = f"{sum(marker.counts.values())} rows are accounted for, {marker.rows_in} went in"
        yield Fault(folder / shards.MANIFEST, "counts", f"{marker.shard}: {counted}", marker.part.name)
    if (folder / marker.rejects.name).is_file():
        yield from _check_rejects(folder, marker)


def _check_columns(path: Path, found: pa.Schema, expected: pa.Schema, name: str) -> Iterable[Fault]:
    for field in expected:
        if field.name not in found.names:
            yield Fault(path, "schema", f"column {field.name} is missing", name)
        elif found.field(field.name).type != field.type:
            kind = found.field(field.name).type
            yield Fault(path, "schema", f"column {field.name} is {kind}, expected {field.type}", name)
        # What is declared required in the file can hold no null.
        elif not field.nullable and found.field(field.name).nullable:
            nulls = pq.read_table(path, columns=[field.name], partitioning=None)[field.name].null_count
            if nulls:
                yield Fault(path, "schema", f"column {field.name} holds {nulls} nulls", name)
    for extra in sorted(set(found.names) - set(expected.names)):
        yield Fault(path, "schema", f"column {extra} is not in the contract", name)


def _check_rejects(folder: Path, marker: shards.Marker) -> Iterable[Fault]:
    path = folder / marker.rejects.name
    try:
        rejects = conform(pq.read_table(path, partitioning=None), REJECTS, str(path))
    except (OSError, pa.ArrowException, UserError) as error:
        yield Fault(path, "rejects", f"not a table of rejects: {first_line(error)}", marker.rejects.name)
        return
    counted = dict(Counter(rejects["status"].to_pylist()))
    stated = {status: count for status, count in marker.counts.items() if status != shards.OK}
    if counted != stated:
        yield Fault(path, "counts", f"rejects {counted}, {shards.MANIFEST} says {stated}", marker.rejects.name)
    without_reason = sum(not reason.strip() for reason in rejects["reason"].to_pylist())
    if without_reason:
        yield Fault(path, "rejects", f"{without_reason} rejects without a reason", marker.rejects.name)
