"""Where shards are committed: a folder of this machine, or an object store by its URL (`SIER_WORK=s3://bucket/work`).

A file of a store is written here and then put there as a whole; an object store shows all of it or nothing, and of
other stores the sha256 in a shard's marker tells what is whole. Credentials come from the environment of the store's
own library (AWS_*, FSSPEC_*, ...), never from us.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine import files
from pipeline.errors import RetryableError, UserError, first_line

if TYPE_CHECKING:
    from upath import UPath

Folder: TypeAlias = "Path | UPath"

LOCAL = ("", "file", "local")


def open_store(text: str) -> Folder:
    """A path or an fsspec URL as a folder; UserError if nobody knows such URLs or their library is not installed."""
    from upath import UPath  # noqa: PLC0415 - only who asks for it pays for it

    try:
        folder = UPath(text)
        if folder.protocol in LOCAL:
            return Path(folder.path).absolute()
        folder.fs  # noqa: B018 - the library is imported here
    except (ImportError, ValueError) as error:
        expected = "expected a folder or a URL that fsspec knows; " if isinstance(error, ValueError) else ""
        raise UserError(f"SIER_WORK = {text}: {expected}{first_line(error)}") from None
    return folder


def prepare(folder: Folder) -> None:
    """Make a folder that can be written to; UserError, before any work is done, if a store cannot."""
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)
        return
    probe = (folder / f".probe-{uuid.uuid4().hex}").path
    try:
        folder.fs.pipe_file(probe, b"")
        folder.fs.rm_file(probe)
    except Exception as error:  # noqa: BLE001 - each kind of store has errors of its own
        hint = "check the URL and the credentials in the environment"
        raise UserError(f"SIER_WORK: {folder} cannot be written to: {first_line(error)}; {hint}") from None


def write(path: Folder, fill: Callable[[Path], None]) -> tuple[int, str]:
    """Let `fill` write a local file that appears at `path` whole; returns its size in bytes and its sha256."""
    if isinstance(path, Path):
        files.write_atomically(path, fill)
        return path.stat().st_size, files.sha256_of(path)
    with tempfile.TemporaryDirectory(prefix="sier-") as scratch:
        local = Path(scratch) / path.name
        fill(local)
        with _one_line_errors(path):
            path.fs.put_file(str(local), path.path)
        return local.stat().st_size, files.sha256_of(local)


def write_bytes(path: Folder, data: bytes) -> None:
    """`data` as the whole content of `path`."""
    if isinstance(path, Path):
        files.write_bytes(path, data)
        return
    with _one_line_errors(path):
        path.fs.pipe_file(path.path, data)


def sha256_of(path: Folder) -> str:
    """Hex sha256 of a file's content."""
    with _one_line_errors(path):
        return files.sha256_of(path)


def read_bytes(path: Folder) -> bytes:
    """A file's content."""
    with _one_line_errors(path):
        return path.read_bytes()


def read_table(path: Folder, columns: list[str] | None = None) -> pa.Table:
    """One Parquet file, or some `columns` of it; takes no column from the names of its folders."""
    if isinstance(path, Path):
        with pq.ParquetFile(path) as file:  # a quarter of the time of pq.read_table, which looks for a dataset
            missing = [name for name in columns or () if name not in file.schema_arrow.names]
            if missing:  # it would be left out without a word
                raise pa.ArrowInvalid(f"no column {', '.join(missing)}")
            return file.read(columns=columns)
    with _one_line_errors(path):
        return pq.read_table(path.path, filesystem=path.fs, partitioning=None, columns=columns)


def fetch(source: Folder, target: Path, sha256: str) -> None:
    """Bring a file to `target`: a link where both lie on one file system, a checked copy where a store holds it."""
    if isinstance(source, Path):
        files.link_or_copy(source, target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with _one_line_errors(source):
        source.fs.get_file(source.path, str(target))
    actual = files.sha256_of(target)
    if actual != sha256:
        raise RetryableError(f"{source}: sha256 {actual}, expected {sha256}; run again to make it anew")


def remove_tree(folder: Folder) -> None:
    """Delete a folder and what is in it; a missing one is fine."""
    if isinstance(folder, Path):
        files.remove_tree(folder)
        return
    with _one_line_errors(folder):
        folder.fs.invalidate_cache()
        if folder.fs.exists(folder.path):
            folder.fs.rm(folder.path, recursive=True)


def folders_in(folder: Folder) -> list[Folder]:
    """The folders directly in a folder, by name; of a missing one none."""
    if isinstance(folder, Path):
        return sorted(inner for inner in folder.iterdir() if inner.is_dir()) if folder.is_dir() else []
    with _one_line_errors(folder):
        folder.fs.invalidate_cache()
        try:
            entries = folder.fs.ls(folder.path, detail=True)
        except FileNotFoundError:
            return []
    return [folder / Path(entry["name"]).name for entry in entries if entry["type"] == "directory"]


@contextmanager
def _one_line_errors(path: Folder) -> Iterator[None]:
    """Errors of a store's own library as a RetryableError of one line; those that have a meaning for us as they are."""
    try:
        yield
    except (FileNotFoundError, UserError, RetryableError, pa.ArrowException):
        raise
    except Exception as error:
        if isinstance(path, Path) or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise RetryableError(f"{path}: {first_line(error)}") from error
