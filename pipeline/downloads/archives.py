"""Unpack a corpus that comes as one archive, once, and only the files that its reader reads.

In   a tar (plain, gz, bz2, xz) or zip
Out  `<folder>/files/...`; `<folder>/unpacked.json`, written last: files, bytes, members left out by reason, a sha256

Never followed: links, devices, absolute names, names with `..`. A folder that is not as its mark says is unpacked anew.
"""

import errno
import hashlib
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.corpora._files import is_utf8, reading
from pipeline.downloads import containers
from pipeline.downloads.containers import Member, UnfitError
from pipeline.downloads.room import require_room
from pipeline.engine import files
from pipeline.engine.progress import Progress
from pipeline.errors import UserError

FILES, MARK = "files", "unpacked.json"
FOLDERS_MAX = 32  # around a file
# Names that this disk cannot hold, or that another member has taken: a file `a` beside `a/b`, or `A` beside `a`.
BAD_NAMES = {
    errno.ENAMETOOLONG: "name_too_long",
    errno.EEXIST: "name_taken",
    errno.EISDIR: "name_taken",
    errno.ENOTDIR: "name_taken",
    errno.EILSEQ: "bad_file_name",
    errno.EINVAL: "bad_file_name",
}


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
    sha256: str = field(default="", compare=False)  # over the name, the size and the sha256 of each file


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
    except UnfitError as error:
        raise UserError(f"{archive}: {error}; unpack it yourself and give the folder") from None
    except containers.DAMAGED as error:
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
    found = {path: (path.stat().st_size, files.sha256_of(path)) for path in _files_of(folder / FILES)}
    return marked if marked.sha256 == _digest(found, folder / FILES) else None


def _files_of(folder: Path) -> Iterator[Path]:
    return (Path(where, name) for where, _, names in os.walk(folder) for name in names)


def _digest(found: Mapping[Path, tuple[int, str]], folder: Path) -> str:
    lines = sorted(f"{path.relative_to(folder)}\0{size}\0{sha256}\n" for path, (size, sha256) in found.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class _Unpacking:
    def __init__(self, archive: Path, target: Path, limits: Limits, packed_bytes: int) -> None:
        self.archive, self.target, self.limits = archive, target, limits
        self.max_bytes = max(limits.free_of_ratio_bytes, limits.ratio * packed_bytes)
        self.total_bytes = 0
        self.written: dict[Path, tuple[int, str]] = {}  # bytes and sha256
        self.left_out: Counter[str] = Counter()

    def run(self, wanted: Callable[[str], bool]) -> Unpacked:
        with Progress(desc=f"unpack {self.archive.name}", unit="B", unit_scale=True) as bar:
            for count, member in enumerate(containers.members(self.archive, self.max_bytes), 1):
                if count > self.limits.files:
                    raise UnfitError(f"holds more than {self.limits.files:,} files, which no corpus does")
                path = PurePosixPath(member.name)
                if path.name.startswith(".") or "__MACOSX" in path.parts or not wanted(member.name):
                    continue
                reason = self._reason(member, path) or self._write(member, self.target.joinpath(*path.parts))
                if reason:
                    self.left_out[reason] += 1
                else:
                    bar.update(member.size_bytes)
        if not self.written:
            why = f" ({', '.join(self.left_out)})" if self.left_out else ""
            raise UserError(f"{self.archive}: no file of the corpus can be used{why}; give the archive as published")
        size_bytes = sum(size for size, _ in self.written.values())
        left_out = dict(sorted(self.left_out.items()))
        return Unpacked(len(self.written), size_bytes, left_out, _digest(self.written, self.target))

    def _reason(self, member: Member, path: PurePosixPath) -> str | None:
        """Why a member is left out, as far as its header tells."""
        if path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name:
            return "unsafe_name"
        if not is_utf8(member.name) or any(unicodedata.category(char) == "Cc" for char in member.name):
            return "bad_file_name"
        if len(path.parts) > FOLDERS_MAX:
            return "name_too_long"
        if not member.is_plain:
            return "no_plain_file"
        return "too_large" if member.size_bytes > self.limits.member_bytes else None

    def _write(self, member: Member, target: Path) -> str | None:
        """Returns why the disk can have no file of this name."""
        # Before a byte is written: what the header announces is the most that is ever read.
        self.total_bytes += member.size_bytes
        if self.total_bytes > self.max_bytes:
            raise UnfitError(f"unpacks to more than {self.max_bytes:,} bytes, which no corpus does")
        require_room(self.target, f"the next file of {self.archive.name}", member.size_bytes)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            file = target.open("wb" if target in self.written else "xb")  # a later member replaces one of its name
        except OSError as error:
            if error.errno not in BAD_NAMES:
                raise
            return BAD_NAMES[error.errno]
        digest = hashlib.sha256()
        with file:
            for chunk in member.chunks():
                digest.update(chunk)
                file.write(chunk)
            written = file.tell()
        if written != member.size_bytes:
            raise EOFError(f"{member.name} has {written:,} bytes of {member.size_bytes:,}")
        self.written[target] = written, digest.hexdigest()
        return None
