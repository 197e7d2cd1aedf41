"""Unpack a corpus that comes as one archive, once, and only the files that its reader reads.

In   a tar (plain, gz, bz2, xz) or zip
Out  `<folder>/files/...`; `<folder>/unpacked.json`, written last: files, bytes, members left out by reason

Never followed: links, devices, absolute names, names with `..`. A folder without its mark is unpacked again.
"""

import json
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from tarfile import EOFHeaderError, HeaderError, ReadError  # type: ignore[attr-defined]  # EOFHeaderError has no stub
from typing import IO, Self

from tqdm import tqdm

from pipeline.corpora._files import is_utf8, reading
from pipeline.downloads.room import require_room
from pipeline.engine import files
from pipeline.errors import UserError

FILES, MARK = "files", "unpacked.json"
CHUNK_BYTES = 2**20
DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, OverflowError,
    RecursionError, NotImplementedError,  # the latter of zipfile: a kind of packing that it does not know
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """Against bombs. Media hardly pack (1 to 5 times); bombs do, 1,000 times and more."""

    files: int = 2_000_000
    member_bytes: int = 2**32
    ratio: int = 100  # of unpacked to packed bytes ...
    free_of_ratio_bytes: int = 2**30  # ... beyond these


@dataclass(frozen=True)
class Unpacked:
    """What lies in a folder. `left_out` counts members that were wanted, by the reason why they are not there."""

    files: int
    bytes: int
    left_out: dict[str, int]


@dataclass(frozen=True)
class _Member:
    name: str
    size_bytes: int
    is_plain: bool
    open: Callable[[], IO[bytes] | None]


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or a tar, by its content."""
    return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def unpack(archive: Path, folder: Path, wanted: Callable[[str], bool], limits: Limits | None = None) -> Unpacked:
    """Unpack the members whose names satisfy `wanted` into `folder`; nothing is done if that was finished before.

    Raises UserError for a damaged or encrypted archive, one without use or of a bomb's size, or too little room.
    """
    if (done := _read_mark(folder)) is not None:
        return done
    files.remove_tree(folder)
    (folder / FILES).mkdir(parents=True)
    try:
        with reading(archive):
            packed_bytes = archive.stat().st_size
            archive.open("rb").close()
        unpacked = _Unpacking(archive, folder / FILES, limits or Limits(), packed_bytes).run(wanted)
    except DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{archive}: cannot be unpacked ({reason}); copy or download it again") from None
    os.sync()  # the mark must not outlive the files that it stands for
    files.write_bytes(folder / MARK, (json.dumps(asdict(unpacked)) + "\n").encode())
    return unpacked


def _read_mark(folder: Path) -> Unpacked | None:
    try:
        marked = Unpacked(**json.loads((folder / MARK).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return marked if marked.files == sum(len(names) for _, _, names in os.walk(folder / FILES)) else None


class _Unpacking:
    def __init__(self, archive: Path, target: Path, limits: Limits, packed_bytes: int) -> None:
        self.archive, self.target, self.limits = archive, target, limits
        self.max_bytes = max(limits.free_of_ratio_bytes, limits.ratio * packed_bytes)
        self.total_bytes = 0
        self.sizes: dict[str, int] = {}
        self.left_out: Counter[str] = Counter()

    def run(self, wanted: Callable[[str], bool]) -> Unpacked:
        members = _zip_members if zipfile.is_zipfile(self.archive) else _tar_members
        with tqdm(desc=f"unpack {self.archive.name}", unit="B", unit_scale=True, disable=None) as bar:
            for member in members(self.archive):
                path = PurePosixPath(member.name)
                if path.name.startswith(".") or "__MACOSX" in path.parts or not wanted(member.name):
                    continue
                if reason := self._reason(member):
                    self.left_out[reason] += 1
                else:
                    self._write(member, self.target.joinpath(*path.parts))
                    bar.update(member.size_bytes)
        if not self.sizes:
            why = f" ({', '.join(self.left_out)})" if self.left_out else ""
            raise UserError(f"{self.archive}: no file of the corpus can be used{why}; give the archive as published")
        return Unpacked(len(self.sizes), sum(self.sizes.values()), dict(sorted(self.left_out.items())))

    def _reason(self, member: _Member) -> str | None:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name:
            return "unsafe_name"
        if not is_utf8(member.name):
            return "bad_file_name"
        if not member.is_plain:
            return "no_plain_file"
        return "too_large" if member.size_bytes > self.limits.member_bytes else None

    def _write(self, member: _Member, target: Path) -> None:
        # Before a byte is written: what the header announces is the most that is ever read.
        self.total_bytes += member.size_bytes
        if self.total_bytes > self.max_bytes or len(self.sizes) >= self.limits.files:
            size = f"more than {self.max_bytes:,} bytes or {self.limits.files:,} files, which no corpus does"
            raise UserError(f"{self.archive}: unpacks to {size}; unpack it yourself and give the folder")
        require_room(self.target, f"the next file of {self.archive.name}", member.size_bytes)
        target.parent.mkdir(parents=True, exist_ok=True)
        source = member.open()
        assert source is not None, "a plain file has content"
        with source, target.open("wb") as file:  # a later member replaces one of its name
            shutil.copyfileobj(source, file, CHUNK_BYTES)
            written = file.tell()
        if written != member.size_bytes:
            raise EOFError(f"{member.name} has {written:,} bytes of {member.size_bytes:,}")
        self.sizes[target.as_posix()] = written


class _StrictInfo(tarfile.TarInfo):
    """The library takes whatever is no header for the end of the tar; a cut one would pass for a smaller corpus."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:  # the base class's name
        """The next header."""
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:  # the proper end: a block of zeros
            raise
        except HeaderError as error:
            raise ReadError(f"no header where one is expected: {error}") from None


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive, "r:*", tarinfo=_StrictInfo) as tar:
        for info in tar:
            if not info.isdir():
                plain = info.isreg() and not info.issparse()
                yield _Member(info.name, info.size, plain, partial(tar.extractfile, info))
            tar.members = []  # type: ignore[attr-defined]  # it would keep every header that it has seen


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            if not info.is_dir():
                if info.flag_bits & 1:
                    raise UserError(f"{archive}: is protected by a password; unpack it yourself and give the folder")
                kind = stat.S_IFMT(info.external_attr >> 16)
                plain = kind in {0, stat.S_IFREG}
                yield _Member(info.filename, info.file_size, plain, partial(opened.open, info))
