"""What every reader of a corpus does with files: find them, open them, and say in one line what is wrong with them.

Every error is a `UserError` with the path and a hint. Read-only media and symlinked folders are fine.
"""

import difflib
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pipeline.errors import UserError

Reject = tuple[str, str, str]  # id, status, reason

SHOWN_CHARACTERS = 80
TEXT_BYTES_MAX = 2**26  # of a file that is read as a whole; the largest published one has 24 MB
LINE_CHARACTERS_MAX = 2**19  # two fields of a csv at Python's limit, with every quote doubled


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an operating-system error on `path` into a `UserError` that names it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: cannot be read ({reason}); check the path, its permissions and the disk") from None


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    r"""Open `path` as UTF-8; a byte order mark is dropped and foreign bytes become U+FFFD.

    Lines end at \n only and keep their ends: a lone \r in a text must not cut it in two.
    """
    with reading(path), path.open(encoding="utf-8-sig", errors="replace", newline="\n") as file:
        yield file


def bounded_lines(file: TextIO, most: int = LINE_CHARACTERS_MAX) -> Iterator[str]:
    """Lines of an open file with their ends; of a line of more than `most` characters, only the first `most`.

    A file without line ends would be read into memory whole otherwise.
    """
    while line := file.readline(most):
        rest = line
        while not rest.endswith("\n") and (rest := file.readline(most)):
            pass
        yield line


def is_file(path: Path) -> bool:
    """Whether a plain file is there; there is none of a name that no disk can hold."""
    with reading(path):
        try:
            return path.is_file()
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return False


def split_lines(text: str) -> list[str]:
    r"""The lines of `text`, ended by \n or \r\n only: str.splitlines would also cut at U+2028 and form feeds."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def read_lines(path: Path) -> list[str]:
    """All lines of a small text file, without their ends; see `bounded_lines` and `require_small`."""
    require_small(path, TEXT_BYTES_MAX)
    with open_text(path) as file:
        return [line.removesuffix("\n").removesuffix("\r") for line in bounded_lines(file)]


def require_folder(folder: Path, expected: str) -> Path:
    """`folder`, or `UserError` if it is missing or a file; `expected` says what it should hold."""
    with reading(folder):
        if folder.is_dir():
            return folder
        found = "a file" if folder.exists() else "nothing"
    raise UserError(f"{folder}: expected a folder with {expected}, found {found}; check the path in params.yaml")


def require_file(root: Path, name: str) -> Path:
    """`root / name`, or `UserError` that names files in `root` whose names look like it."""
    path = root / name
    with reading(path):
        if path.is_file():
            return path
        if path.exists():
            raise UserError(f"{path}: expected a file, found a folder; give the file as it was published")
        alike = _look_alikes(root, name)
    hint = f"found {' and '.join(alike)}, which looks like it; rename or move it" if alike else "nothing looks like it"
    raise UserError(f"{root}: expected a file named {name}; {hint}")


def require_small(path: Path, most_bytes: int) -> None:
    """Raise `UserError` if a file is larger than what may be read into memory as a whole."""
    with reading(path):
        size_bytes = path.stat().st_size
    if size_bytes > most_bytes:
        expected = f"expected at most {most_bytes:,}; give the file as published"
        raise UserError(f"{path}: has {size_bytes:,} bytes, {expected}")


def visible_names(folder: Path) -> list[str]:
    """Sorted names in `folder`, without what macOS leaves on other disks and in archives."""
    with reading(folder):
        return sorted(path.name for path in folder.iterdir() if _is_visible(path.name))


def files_below(root: Path, wanted: Callable[[Path], bool], depth: int = 4) -> Iterator[Path]:
    """Visible files in `root` and its folders, sorted by name within each."""
    for name in visible_names(root):
        path = root / name
        with reading(path):
            is_folder = path.is_dir()
        if is_folder and depth:
            yield from files_below(path, wanted, depth - 1)
        elif not is_folder and wanted(path):
            yield path


def visible_files(folder: Path) -> Iterator[str]:
    """Names below `folder` of all files, at any depth, in order; linked folders are entered once."""
    seen: set[str] = set()

    def fail(error: OSError) -> None:
        raise error

    with reading(folder):
        for here, folders, names in os.walk(folder, onerror=fail, followlinks=True):
            folders[:] = sorted(filter(_is_visible, folders))
            if (real := os.path.realpath(here)) in seen:
                folders.clear()
                continue
            seen.add(real)
            inside = Path(here).relative_to(folder)
            yield from ((inside / name).as_posix() for name in sorted(filter(_is_visible, names)))


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def none_usable(root: Path, rows: str, rejects: Sequence[Reject], otherwise: str, hint: str = "") -> UserError:
    """That none of `rows` is usable: why the first of them is not or, where nothing is rejected, `otherwise`."""
    reason = f"the first is rejected: {': '.join(rejects[0])}" if rejects else otherwise
    return UserError("; ".join(filter(None, (f"{root}: none of {rows} is usable", reason, hint))))


def shown(text: str) -> str:
    """`text` quoted for an error message: escaped and of bounded length."""
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "...")


def is_utf8(name: str) -> bool:
    """Whether a file name can be an id: names with foreign bytes hold surrogates, which no Parquet string can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _look_alikes(root: Path, name: str) -> list[str]:
    deeper = sorted(f"{path.parent.name}/{path.name}" for path in root.glob(f"*/{name}"))
    by_lower_name = {path.name.lower(): path.name for path in sorted(root.iterdir()) if path.is_file()}
    close = difflib.get_close_matches(name.lower(), sorted(by_lower_name), n=2, cutoff=0.7)
    return (deeper + [by_lower_name[lower] for lower in close])[:2]
