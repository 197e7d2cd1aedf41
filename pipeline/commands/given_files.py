"""Files that a user names on the command line: read and decoded, or one line about them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pipeline.errors import RowError, UserError

T = TypeVar("T")

BYTES_MAX = 2**30  # a picture or a recording in memory


def read_bytes(path: Path) -> bytes:
    """All of a file.

    Raises:
        UserError: it cannot be read, or is too large for a picture or a recording.
    """
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes > BYTES_MAX:
                raise UserError(f"{path}: has {size_bytes:,} bytes, at most {BYTES_MAX:,} are read")
            return file.read(BYTES_MAX)
    except OSError as error:
        raise UserError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def decoded(path: Path, what: str, decode: Callable[[bytes], T], data: bytes) -> T:
    """What `decode` makes of the bytes of a file.

    Args:
        path: of the file, for the message.
        what: it should be, for the message.
        decode: raises RowError where it cannot.
        data: the file's bytes.

    Raises:
        UserError: they cannot be decoded.
    """
    try:
        return decode(data)
    except RowError as error:
        raise UserError(f"{path}: no usable {what}: {error.reason}") from None
