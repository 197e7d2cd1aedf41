"""The members of a tar one after the other, from headers that may announce anything: little memory, only forwards.

`tarfile` decodes single blocks here and no more: it reads in one piece whatever a header announces, goes back where a
size is negative (CVE-2025-8194), and searches extended headers in the square of their length (CVE-2024-6232).
"""

import errno
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from tarfile import BLOCKSIZE
from typing import Protocol

# What stands before one member's data: its header, long names, extended headers, the map of a sparse file.
HEADER_BYTES_MAX = 2**20
SIZE_BYTES_MAX = 2**50
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_EXTENSIONS = (*_PAX, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_LENGTH_DIGITS_MAX = 8


class Source(Protocol):
    """A file that is read forwards; `seek` goes to a position from the start."""

    def read(self, size_bytes: int, /) -> bytes: ...
    def tell(self) -> int: ...
    def seek(self, position: int, /) -> int: ...


@dataclass(frozen=True)
class TarMember:
    """A name may hold anything, undecodable bytes as surrogates. `is_plain`: neither link nor device nor sparse."""

    name: str
    offset_bytes: int  # of the data
    size_bytes: int
    is_folder: bool
    is_plain: bool
    end_bytes: int  # of what it takes in the tar


def tar_members(file: Source) -> Iterator[TarMember]:
    """In the order of the file, which stands at the data of the latest: it may be read before the next is asked for.

    Raises ValueError or EOFError for a damaged or cut tar, or one that lacks its end mark, a block of zeros.
    """
    while (member := _next(file)) is not None:
        yield member
        if file.tell() != member.end_bytes and not _byte_at(file, member.end_bytes - 1):
            raise EOFError("unexpected end of data")


def is_tar_header(block: bytes) -> bool:
    """Whether a tar may begin with this block: a header, or the end mark of an empty one."""
    try:
        return not any(block) or bool(_decode(block, 0))
    except ValueError:
        return False


def _byte_at(file: Source, position: int) -> bytes:
    try:
        file.seek(position)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return b""  # no file on this disk could be so long
    return file.read(1)


def _next(file: Source) -> TarMember | None:
    begin = file.tell()
    extended: dict[str, str] = {}
    block = file.read(BLOCKSIZE)
    if block == bytes(BLOCKSIZE):
        return None
    while (info := _decode(block, file.tell() - len(block))).type in _EXTENSIONS:
        data = _header_bytes(file, _padded(info.size), begin)[: info.size]
        if info.type in _PAX:
            extended |= _records(data)
        elif info.type == tarfile.GNUTYPE_LONGNAME:
            extended["path"] = data.partition(b"\0")[0].decode("utf-8", "surrogateescape")
        block = _header_bytes(file, BLOCKSIZE, begin)
    is_sparse = info.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse.") for key in extended)
    more = block[482] if info.type == tarfile.GNUTYPE_SPARSE else 0
    while more:  # blocks with the rest of the map of a sparse file
        more = _header_bytes(file, BLOCKSIZE, begin)[504]
    size = _size(extended["size"]) if extended.get("size") else info.size
    has_data = info.isreg() or info.type not in tarfile.SUPPORTED_TYPES
    return TarMember(
        extended.get("path") or info.name,
        file.tell(),
        size,
        info.isdir(),
        info.isreg() and not is_sparse,
        file.tell() + (_padded(size) if has_data else 0),
    )


def _header_bytes(file: Source, size_bytes: int, begin: int) -> bytes:
    """The next bytes of the headers that begin at `begin`."""
    if file.tell() + size_bytes - begin > HEADER_BYTES_MAX:
        raise ValueError(f"a member with more than {HEADER_BYTES_MAX:,} bytes of headers")
    data = file.read(size_bytes)
    if len(data) < size_bytes:
        raise EOFError("unexpected end of data")
    return data


def _decode(block: bytes, offset: int) -> tarfile.TarInfo:
    if not block:
        raise EOFError("no end-of-archive mark: truncated")
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise ValueError(f"damaged at byte {offset:,}: no header: {error}") from None
    if not 0 <= info.size <= SIZE_BYTES_MAX:
        raise ValueError(f"damaged at byte {offset:,}: a member of impossible size")
    return info


def _records(data: bytes) -> dict[str, str]:
    r"""The records of a POSIX extended header, each `<length> <key>=<value>\n`."""
    found = {}
    position = 0
    while position < len(data) and data[position]:
        digits = data[position : position + _LENGTH_DIGITS_MAX].partition(b" ")[0]
        end = position + (int(digits) if digits.isdigit() else 0)
        key, equals, value = data[position + len(digits) + 1 : end - 1].partition(b"=")
        if not equals or data[end - 1 : end] != b"\n":
            raise ValueError("a damaged extended header")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        position = end
    return found


def _size(digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= len(str(SIZE_BYTES_MAX))):
        raise ValueError("a member of impossible size")
    return int(digits)


def _padded(size_bytes: int) -> int:
    return -(-size_bytes // BLOCKSIZE) * BLOCKSIZE
