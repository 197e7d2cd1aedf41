"""Images straight from a plain tar: an index of where each file lies, and reads by position. Nothing is unpacked.

In   a plain tar; at full size 63 GB with 470,000 members, of which only the headers are read for the index
Out  `index_tar`: a table of `INDEX`; `ImageReader.read`: the bytes of one member
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

import pyarrow as pa

from pipeline.corpora._files import is_utf8, reading
from pipeline.corpora._tar_members import TarMember, tar_members
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

GZIP_MAGIC = b"\x1f\x8b"


def index_tar(tar: Path) -> pa.Table:
    """Where each plain file of `tar` lies, sorted by name.

    Links, devices, sparse files, absolute names and names with `..` are never followed; they are left out and
    counted in the schema's metadata. Hidden files such as `._*` are skipped. The last member of a name wins, as it
    would on unpacking. Raises UserError if the tar is unreadable, compressed, truncated, or without images.
    """
    locations: dict[str, tuple[int, int]] = {}
    left_out = twice = 0
    for member in _members(tar):
        if member.is_folder:
            continue
        if len(locations) == MEMBERS_MAX:
            raise UserError(f"{tar}: more than {MEMBERS_MAX:,} files, the published tar has 470,589; give that one")
        name = _safe_name(member)
        if name is None:
            left_out += 1
        elif not name.rsplit("/", 1)[-1].startswith("."):
            twice += name in locations
            locations[name] = (member.offset_bytes, member.size_bytes)
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
    for member in _members(tar):
        if not member.is_folder and (_safe_name(member) or "").startswith(IMAGES):
            return
    raise UserError(f"{tar}: expected images under {PREFIX}{IMAGES}, found none; give the tar as published")


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

    def read_row(self, row: Mapping[str, Any], limit_bytes: int) -> bytes:
        """The bytes of a row's image; see `read`."""
        return self.read(row["offset_bytes"], row["size_bytes"], limit_bytes)

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


def _members(path: Path) -> Iterator[TarMember]:
    """Headers in file order, in constant memory."""
    with reading(path), path.open("rb") as file:
        try:
            yield from tar_members(file)
        except (ValueError, EOFError) as error:
            raise UserError(f"{path}: not a readable plain tar ({error}); {_advice(path)}") from None


def _advice(path: Path) -> str:
    with reading(path), path.open("rb") as file:
        compressed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return "it is gzip-compressed: gunzip it first" if compressed else "copy or download it again"


def _safe_name(member: TarMember) -> str | None:
    """Name below the archive's top folder, or None for anything but a plain file with a harmless name."""
    name = member.name.removeprefix("./")
    plain = member.is_plain and len(name) <= NAME_CHARACTERS_MAX
    if not plain or name.startswith("/") or ".." in name.split("/") or not is_utf8(name):
        return None
    return name.removeprefix(PREFIX)
