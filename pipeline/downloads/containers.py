"""The members of an archive, whatever its headers claim: little memory, no more bytes than allowed, only forwards.

In   a zip, or a tar (plain, gz, bz2, xz); which one, its first bytes say: the end of a tar may look like a zip
Out  `Member`s in the order of the archive, without folders; the data of each in pieces

An archive that is damaged raises one of `DAMAGED`, any other that is not unpacked an `UnfitError`.
"""

import bz2
import gzip
import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tarfile import BLOCKSIZE
from typing import Protocol

from pipeline.corpora._files import reading
from pipeline.corpora._tar_members import Source, is_tar_header, tar_members

CHUNK_BYTES = 2**20
# Of zipfile, the latter three: a kind of member that it does not know, or an entry that is cut.
DAMAGED = (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, IndexError, struct.error)
ZIP_DIRECTORY_BYTES_MAX = 2**26  # read as a whole; in memory it takes ten times as much
XZ_MEMORY_BYTES_MAX = 2**27  # `xz -9` takes half of it
_ZIP_HEADER_BYTES = 30
_ZIP_ENCRYPTED = 0x2041  # flags: of the data, of the data in another way, of the directory
# zipfile bounds neither the memory of LZMA nor what it gets from a piece of bzip2.
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class UnfitError(Exception):
    """The archive may be sound, but is not unpacked here: a password, a bomb's size, an unknown kind of packing."""


@dataclass(frozen=True)
class Member:
    """`is_plain`: neither link nor device nor sparse. `chunks` may be called until the next member is asked for."""

    name: str
    size_bytes: int
    is_plain: bool
    chunks: Callable[[], Iterator[bytes]]


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or a tar, by its content; whatever is packed counts as a tar."""
    with reading(path):
        return _is_tar(path) or zipfile.is_zipfile(path)


def members(archive: Path, most_bytes: int) -> Iterator[Member]:
    """Of a packed tar, at most `most_bytes` are unpacked, those of members that are skipped included."""
    if _is_tar(archive):
        with _open_tar(archive, most_bytes) as source:
            for found in tar_members(source):
                if not found.is_folder:
                    chunks = partial(_tar_chunks, source, found.size_bytes)
                    yield Member(found.name, found.size_bytes, found.is_plain, chunks)
            while isinstance(source, _Unpacked) and source.read(CHUNK_BYTES):
                pass  # to the end, where the checksum is
    elif zipfile.is_zipfile(archive):
        yield from _zip_members(archive)
    else:
        raise ValueError("neither a zip nor a tar")


def _is_tar(path: Path) -> bool:
    """Plain or, for all that its first bytes tell, packed."""
    with _open_tar(path, 0) as source:
        return isinstance(source, _Unpacked) or is_tar_header(source.read(BLOCKSIZE))


@contextmanager
def _open_tar(path: Path, most_bytes: int) -> Iterator[Source]:
    with path.open("rb") as file:
        magic = file.read(6)
        file.seek(0)
        if magic.startswith(b"\x1f\x8b"):
            yield _Unpacked(gzip.GzipFile(fileobj=file), most_bytes)
        elif magic.startswith(b"BZh"):
            yield _Unpacked(bz2.BZ2File(file), most_bytes)
        elif magic == b"\xfd7zXZ\0":
            yield _Unpacked(_Xz(file), most_bytes)
        else:
            yield file


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Unpacked:
    """What a packed file unpacks to, up to `most_bytes`."""

    def __init__(self, packed: _Readable, most_bytes: int) -> None:
        self._packed = packed
        self._most_bytes = most_bytes
        self._position = 0

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        while self._position < position and self.read(min(position - self._position, CHUNK_BYTES)):
            pass
        return self._position

    def read(self, size_bytes: int) -> bytes:
        pieces = []
        left_bytes = size_bytes
        try:
            while left_bytes and (piece := self._packed.read(left_bytes)):
                pieces.append(piece)
                left_bytes -= len(piece)
        except (OSError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # of the disk; of gzip and bz2 it has none
                raise
            raise ValueError(str(error)) from None
        self._position += size_bytes - left_bytes
        if self._position > self._most_bytes:
            raise UnfitError(f"unpacks to more than {self._most_bytes:,} bytes, which no corpus does")
        return b"".join(pieces)


class _Xz:
    """One or more xz streams; `lzma.LZMAFile` would take as much memory as their headers ask for."""

    def __init__(self, file: _Readable) -> None:
        self._file = file
        self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY_BYTES_MAX)

    def read(self, size_bytes: int) -> bytes:
        data = b""
        while not data:
            packed = b""
            if self._stream.eof:
                packed = self._stream.unused_data or self._file.read(CHUNK_BYTES)
                if not packed.strip(b"\0"):
                    break
                self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY_BYTES_MAX)
            elif self._stream.needs_input and not (packed := self._file.read(CHUNK_BYTES)):
                raise EOFError("unexpected end of data")
            data = self._stream.decompress(packed, size_bytes)
        return data


def _tar_chunks(source: Source, size_bytes: int) -> Iterator[bytes]:
    left_bytes = size_bytes
    while left_bytes and (chunk := source.read(min(left_bytes, CHUNK_BYTES))):
        left_bytes -= len(chunk)
        yield chunk


class _ZipFile(io.FileIO):
    """zipfile reads in one piece as large a directory as the end of the file announces."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > ZIP_DIRECTORY_BYTES_MAX:
            raise ValueError(f"a directory of {size:,} bytes")
        return super().read(size)


def _zip_members(archive: Path) -> Iterator[Member]:
    with _ZipFile(archive) as file, zipfile.ZipFile(file) as opened:
        end = 0
        for info in sorted(opened.infolist(), key=lambda info: info.header_offset):
            if info.header_offset < end:
                raise ValueError(f"members that overlap, such as {info.filename[:80]}")
            end = info.header_offset + _ZIP_HEADER_BYTES + info.compress_size
        for info in opened.infolist():
            if not info.is_dir():
                plain = stat.S_IFMT(info.external_attr >> 16) in {0, stat.S_IFREG}
                yield Member(info.filename, info.file_size, plain, partial(_zip_chunks, opened, info))


def _zip_chunks(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    if info.flag_bits & _ZIP_ENCRYPTED:
        raise UnfitError("is protected by a password")
    if info.compress_type not in _ZIP_METHODS:
        raise UnfitError(f"holds members packed by method {info.compress_type}; only deflate (8) is unpacked here")
    with opened.open(info) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
