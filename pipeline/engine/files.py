"""Write files once, whole and durably: temporary name in the same folder, fsync, rename."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from upath import UPath

TEMPORARY = ".{name}.{process}.tmp"
PROCESS = f"{socket.gethostname()}-{os.getpid()}"  # many machines may share a folder


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`.

    Readers see either nothing (or the former file), or all of it; also after a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(TEMPORARY.format(name=path.name, process=PROCESS))
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def remove_left_behind(folder: Path) -> None:
    """Delete the temporary files below a folder whose processes, of this machine, were killed."""
    host, _, _ = PROCESS.rpartition("-")
    pattern = re.compile(TEMPORARY.format(name=".+", process=rf"{re.escape(host)}-(\d+)"))
    for parent, _, names in os.walk(folder):  # not rglob, which stumbles over folders that another stage removes
        for name in names:
            match = pattern.fullmatch(name)
            if match and not psutil.pid_exists(int(match[1])):
                Path(parent, name).unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """`data` as the whole content of `path`, atomically."""
    write_atomically(path, lambda temporary: temporary.write_bytes(data))


def sync(path: Path) -> None:
    """Make the content of a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def md5_of(path: Path) -> str:
    """Hex md5 of a file's content, by which DVC knows it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def sha256_of(path: Path | UPath) -> str:
    """Hex sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link `source` to `target`; copy where the file system cannot link."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    shutil.copy2(source, target, follow_symlinks=False)
    if not target.is_symlink():
        sync(target)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """An empty folder beside `target` to fill, which is put in its place at the end; an error leaves `target` alone."""
    new = target.with_name(f".{target.name}.new")
    remove_tree(new)  # of a run that was killed
    new.mkdir(parents=True)
    try:
        yield new
    except BaseException:
        remove_tree(new)
        raise
    replace_folder(new, target)


def replace_folder(new: Path, target: Path) -> None:
    """Put the folder `new` in the place of `target`, which keeps its old content until the last moment.

    After a power cut, too, it is one or the other, with all that is in it. A link in that place goes, what it points to
    stays; for a file there NotADirectoryError is raised.
    """
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(target))
    retired = target.with_name(f".{target.name}.old")
    remove_tree(retired)  # of a run that was killed in here
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.new")
    if new != beside:
        remove_tree(beside)
        _move_folder(new, beside)
    for path in beside.rglob("*"):
        if not path.is_symlink():
            sync(path)
    if os.path.lexists(target):
        target.rename(retired)
    try:
        beside.rename(target)
    except OSError:
        if os.path.lexists(retired):
            retired.rename(target)
        raise
    sync(target.parent)
    remove_tree(retired)


def _move_folder(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:  # data may lie on a larger disk than .work, or be mounted from the same
            raise
        try:
            target.mkdir()
            # Not shutil.copytree, whose error has no number and comes after it has tried each file.
            for path in sorted(source.rglob("*")):
                copy = target / path.relative_to(source)
                if path.is_dir() and not path.is_symlink():
                    copy.mkdir()
                else:
                    _copy(path, copy)
        except BaseException:
            remove_tree(target)  # a full disk should not stay full of it
            raise
        remove_tree(source)


def remove_tree(folder: Path) -> None:
    """Delete a folder, also where DVC has made files in it read-only, or a link to one; a missing folder is fine."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        for inner in (folder, *folder.rglob("*")):
            if inner.is_dir() and not inner.is_symlink():
                inner.chmod(inner.stat().st_mode | stat.S_IRWXU)
        shutil.rmtree(folder)
