"""Shards: Parquet parts that exist only once they are whole.

A shard `part-00000` of a stage is two files, `part-00000.parquet` (output rows) and `rejects/part-00000.parquet`, and a
marker `part-00000.json` that is written last and holds both files' sha256 and its own. In a finished folder the markers
are joined into `manifest.jsonl`: shard, rows, bytes, sha256, counts per status. Readers trust markers and manifests
only.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict, TypeAdapter

from pipeline.engine import files, store
from pipeline.engine.rejects import conform, rejects_table
from pipeline.engine.store import Folder
from pipeline.errors import UserError, first_line

FORMAT = 2  # of markers and files; part of every fingerprint
MANIFEST = "manifest.jsonl"
OK = "ok"


@dataclass(frozen=True)
class Task:
    """One shard's work: `payload` says where its `rows` input rows lie; small, and picklable."""

    index: int
    rows: int
    payload: Any


@dataclass(frozen=True)
class Output:
    """What became of a task's rows: each input row is in one of the two, once."""

    rows: pa.Table
    rejects: Sequence[tuple[str, str, str]] = ()


@dataclass(frozen=True)
class File:
    """A committed file, by its name relative to the folder of shards."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Marker:
    """Proof that a shard is whole."""

    shard: str
    rows_in: int
    counts: dict[str, int]
    part: File
    rejects: File

    @staticmethod
    def from_json(value: object) -> "Marker":
        """The inverse of `dataclasses.asdict`; other keys beside are left out. ValueError if it is no marker."""
        return _MARKER.validate_python(value)


_MARKER = TypeAdapter(Marker)


def shard_name(index: int) -> str:
    """`part-00000` and so on."""
    return f"part-{index:05d}"


def shard_index(marker: Marker) -> int:
    """Number of a committed shard."""
    return int(marker.shard.removeprefix("part-"))


def commit(folder: Folder, task: Task, output: Output, fingerprint: str) -> Marker:
    """Write a shard's files and then its marker; ValueError, a defect of the stage, if rows were lost or doubled."""
    rows_out = output.rows.num_rows + len(output.rejects)
    if rows_out != task.rows:
        raise ValueError(f"shard {task.index}: {task.rows} rows in, but {rows_out} rows and rejects out")
    name = shard_name(task.index)
    part = _write_table(folder, f"{name}.parquet", output.rows)
    rejects = _write_table(folder, f"rejects/{name}.parquet", rejects_table(output.rejects))
    counts = Counter(status for _, status, _ in output.rejects)
    marker = Marker(name, task.rows, {OK: output.rows.num_rows, **dict(sorted(counts.items()))}, part, rejects)
    value = {"fingerprint": fingerprint, "format": FORMAT, **asdict(marker)}
    store.write_bytes(folder / f"{name}.json", json.dumps({**value, "sha256": _sum(value)}).encode())
    return marker


def _sum(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _write_table(folder: Folder, name: str, table: pa.Table) -> File:
    write = partial(pq.write_table, table, compression="zstd")
    return File(name, table.num_rows, *store.write(folder / name, write))


def committed(folder: Folder, index: int, fingerprint: str) -> Marker | None:
    """The marker of a shard that is there, whole and made by `fingerprint`; None where the work is to be done."""
    try:
        value = json.loads(store.read_bytes(folder / f"{shard_name(index)}.json"))
        marker = Marker.from_json(value)
        own_sum = value.pop("sha256")
        if value["fingerprint"] != fingerprint or value["format"] != FORMAT or own_sum != _sum(value):
            return None
        if all(store.sha256_of(folder / file.name) == file.sha256 for file in (marker.part, marker.rejects)):
            return marker
    except (OSError, ValueError, KeyError):
        pass  # missing, torn or foreign: as good as not done
    return None


def publish(
    folder: Folder,
    markers: Sequence[Marker],
    out: Path,
    extra: Mapping[str, bytes] | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Put the committed shards of `folder` into `out`, with the manifest and `extra` small files by name.

    Shards of a local folder are hard-linked, those of a store are copied; `out` is replaced at the end. Given `names`
    of the parts in `out`, one per shard, no folder of rejects is made.
    """
    if names is not None:
        markers = [
            replace(marker, shard=Path(name).stem, part=replace(marker.part, name=name))
            for marker, name in zip(markers, names, strict=True)
        ]
    new = folder / "out" if isinstance(folder, Path) else out.with_name(f".{out.name}.new")
    files.remove_tree(new)
    for index, marker in enumerate(markers):
        store.fetch(folder / f"{shard_name(index)}.parquet", new / marker.part.name, marker.part.sha256)
        if names is None:
            store.fetch(folder / marker.rejects.name, new / marker.rejects.name, marker.rejects.sha256)
    for name, content in (extra or {}).items():
        files.write_bytes(new / name, content)
    files.write_bytes(new / MANIFEST, manifest(markers))
    files.replace_folder(new, out)


def manifest(markers: Sequence[Marker]) -> bytes:
    """Content of a folder's manifest; each line says how many there are, so that a cut one is known for one."""
    lines = [json.dumps({**asdict(marker), "shards": len(markers)}) + "\n" for marker in markers]
    return "".join(lines).encode()


def read_manifest(folder: Path, stage: str) -> list[Marker]:
    """The shards of a finished folder, in order; UserError, which names its `stage`, if it is missing or incomplete."""
    path = folder / MANIFEST
    hint = f"run: dvc repro {stage}"
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        markers = [Marker.from_json(line) for line in lines]
        complete = bool(lines) and all(line["shards"] == len(lines) for line in lines)
    except FileNotFoundError:
        raise UserError(f"{path}: not found; {hint}") from None
    except (ValueError, KeyError):
        raise UserError(f"{path}: damaged; {hint} --force") from None
    if not complete:
        raise UserError(f"{path}: {len(lines)} lines, which is not the number that it names; {hint} --force")
    for marker in markers:
        for file in [marker.part, marker.rejects] if marker.rejects.rows else [marker.part]:
            path = folder / file.name
            if not path.is_file() or path.stat().st_size != file.bytes:
                raise UserError(f"{path}: missing or not {file.bytes} bytes long as {MANIFEST} says; {hint} --force")
    return markers


def read_part(
    folder: Folder, marker: Marker, schema: pa.Schema | None = None, columns: list[str] | None = None
) -> pa.Table:
    """The output rows of one shard, checked against `schema` where all columns are read; else UserError."""
    path = folder / marker.part.name
    try:
        table = store.read_table(path, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read as Parquet: {first_line(error)}") from None
    return conform(table, schema, str(path)) if schema is not None else table


def read_parts(
    folder: Folder, markers: Sequence[Marker], schema: pa.Schema | None = None, columns: list[str] | None = None
) -> pa.Table:
    """The output rows of several shards, in order; see `read_part`."""
    return pa.concat_tables([read_part(folder, marker, schema, columns) for marker in markers])


def read_rejects(folder: Folder, markers: Sequence[Marker]) -> list[tuple[str, str, str]]:
    """All (id, status, reason) triples of a finished folder."""
    rows = [store.read_table(folder / marker.rejects.name).to_pylist() for marker in markers]
    return [(row["id"], row["status"], row["reason"]) for part in rows for row in part]


def total_counts(markers: Sequence[Marker]) -> dict[str, int]:
    """Rows per status over all shards, `ok` first."""
    total: Counter[str] = Counter({OK: 0})
    for marker in markers:
        total.update(marker.counts)
    return {OK: total.pop(OK), **dict(sorted(total.items()))}
