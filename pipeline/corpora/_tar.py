"""Images straight from a plain tar: an index of where each file lies, and reads by position. Nothing is unpacked.

In   a plain tar; at full size 63 GB with 470,000 members, of which only the headers are read for the index
Out  `index_tar`: a table of `INDEX`; `ImageReader.read`: the bytes of one member
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self, cast

import pyarrow as pa

from pipeline.corpora._files import is_utf8, reading
from pipeline.engine.rejects import required
from pipeline.errors import RowError, UserError

PREFIX = "b-t4sa_imgs/"
IMAGES = "data/"
INDEX = pa.schema(
    [
        required("member", pa.string()),  # without PREFIX: data/78476/784760943188189184-1.jpg
        required("offset_bytes", pa.int64()),  # of the data
        required("size_bytes", pa.int64()),
    ]
)
# Counts that the index carries in its schema metadata, as decimal text.
MEMBERS_LEFT_OUT = "tar_members_left_out"  # links, devices, sparse files, unsafe or undecodable names
MEMBERS_TWICE = "tar_members_twice"  # a later member replaced one of the same name

MEMBERS_MAX = 10_000_000  # each takes some 300 bytes of memory; the published tar has 470,000
NAME_CHARACTERS_MAX = 1_000  # a longer name is left out as unsafe
# What stands before one member's data: its header, long names, extended headers, the map of a sparse file. tarfile
# reads as much of them at once as they announce, and they may announce anything.
HEADER_BYTES_MAX = 2**20

GZIP_MAGIC = b"\x1f\x8b"
# What tarfile raises on bytes that are no tar. RecursionError: a chain of extended headers.
TAR_ERRORS = (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError)


def index_tar(tar: Path) -> pa.Table:
    """Where each plain file of `tar` lies, sorted by name.

    Links, devices, sparse files, absolute names and names with `..` are never followed; they are left out and
    counted in the schema's metadata. Hidden files such as `._*` are skipped. The last member of a name wins, as it
    would on unpacking. Raises UserError if the tar is unreadable, compressed, truncated, or without images.
    """
    locations: dict[str, tuple[int, int]] = {}
    left_out = twice = 0
    for info in _members(tar):
        if info.isdir():
            continue
        if len(locations) == MEMBERS_MAX:
            raise UserError(f"{tar}: more than {MEMBERS_MAX:,} files, the published tar has 470,589; give that one")
        name = _safe_name(info)
        if name is None:
            left_out += 1
        elif not name.rsplit("/", 1)[-1].startswith("."):
            twice += name in locations
            locations[name] = (info.offset_data, info.size)
    names = sorted(locations)
    if not any(name.startswith(IMAGES) for name in names):
        found = ", ".join(names[:3]) or "no file at all"
        raise UserError(f"{tar}: expected images under {PREFIX}{IMAGES}, found {found}; give the tar as published")
    offsets, sizes = ([locations[name][column] for name in names] for column in (0, 1))
    counts = {MEMBERS_LEFT_OUT: str(left_out), MEMBERS_TWICE: str(twice)}
    columns = {"member": names, "offset_bytes": offsets, "size_bytes": sizes}
    return pa.table(columns, schema=INDEX.with_metadata(counts))


def check_tar(tar: Path) -> None:
    """What `index_tar` refuses is refused here too, as far as the headers up to the first image tell."""
    for info in _members(tar):
        if not info.isdir() and (_safe_name(info) or "").startswith(IMAGES):
            return
    raise UserError(f"{tar}: expected images under {PREFIX}{IMAGES}, found none; give the tar as published")


class _Headers:
    """A file to read headers from: not more than `HEADER_BYTES_MAX` between two calls of `next_member`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell, self.seek = file.tell, file.seek
        self._left_bytes = HEADER_BYTES_MAX

    def next_member(self) -> None:
        self._left_bytes = HEADER_BYTES_MAX

    def read(self, size_bytes: int) -> bytes:
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise ValueError(f"a member with more than {HEADER_BYTES_MAX:,} bytes of headers")
        return self._file.read(size_bytes)


class ImageReader:
    """Reads members of a tar by position. The file is opened at the first read; use one reader per thread."""

    def __init__(self, tar: Path) -> None:
        self._tar = tar
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the tar; a later read opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self, offset_bytes: int, size_bytes: int, limit_bytes: int) -> bytes:
        """The bytes at `offset_bytes`; `RowError` if they are too many (none is read then), or the tar ends earlier."""
        if size_bytes > limit_bytes:
            raise RowError("image_too_large_bytes", f"{size_bytes} bytes, at most {limit_bytes} are allowed")
        with reading(self._tar):
            if self._file is None:
                self._file = self._tar.open("rb")
            self._file.seek(offset_bytes)
            data = self._file.read(size_bytes)
        if len(data) < size_bytes:
            reason = f"the tar ends {size_bytes - len(data)} bytes before the end of the image's {size_bytes}"
            raise RowError("image_truncated_in_tar", reason)
        return data


def _members(path: Path) -> Iterator[tarfile.TarInfo]:
    """Headers in file order, in constant memory."""
    with reading(path), path.open("rb") as file:
        try:
            headers = _Headers(file)
            with tarfile.open(fileobj=cast("BinaryIO", headers), mode="r:") as tar:
                end = -1
                while (info := tar.next()) is not None:
                    headers.next_member()
                    # Iterating over `tar` would keep every header: 470,000 of them.
                    tar.members.clear()  # type: ignore[attr-defined]  # public, but not in typeshed
                    # A negative size sends tarfile back to a header it has read, for ever (CVE-2025-8194).
                    if info.size < 0 or tar.offset <= end:
                        raise UserError(f"{path}: damaged at byte {info.offset}: a member of impossible size")
                    end = tar.offset
                    yield info
                end = tar.offset
        except TAR_ERRORS as error:
            raise UserError(f"{path}: not a readable plain tar ({error}); {_advice(path)}") from None
        # tarfile takes a cut or damaged header for the end of the archive; the true end is a block of zeros.
        file.seek(end)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise UserError(f"{path}: truncated or damaged: no end-of-archive mark at byte {end}; {_advice(path)}")


def _advice(path: Path) -> str:
    with reading(path), path.open("rb") as file:
        compressed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return "it is gzip-compressed: gunzip it first" if compressed else "copy or download it again"


def _safe_name(info: tarfile.TarInfo) -> str | None:
    """Name below the archive's top folder, or None for anything but a plain file with a harmless name."""
    name = info.name.removeprefix("./")
    plain = info.isreg() and not info.issparse() and len(name) <= NAME_CHARACTERS_MAX
    if not plain or name.startswith("/") or ".." in name.split("/") or not is_utf8(name):
        return None
    return name.removeprefix(PREFIX)
