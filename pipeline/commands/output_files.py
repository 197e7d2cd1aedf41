"""Where a command may write what a user named: over nothing that it reads, over no file but an earlier one of its own.

A command says how its files are known; who edits one makes it another's. `--force` replaces any other file as well, but
never one that the command reads.
"""

import argparse
import os
from collections.abc import Callable, Collection
from pathlib import Path

from pipeline.errors import UserError

EARLIER_BYTES_MAX = 2**28  # of a file that is read to see whether it is an earlier one


def add_force(parser: argparse.ArgumentParser) -> None:
    """The word for replacing what is there."""
    parser.add_argument("--force", action="store_true", help="replace a file that this command has not made")


def target(path: Path, inputs: Collection[Path], is_earlier: Callable[[bytes], bool], *, force: bool) -> Path:
    """The file to write for `path`, behind links; to be asked before the work and once more before writing.

    Raises UserError: `path` is one of the inputs, by whatever name, or lies in one; its folder is not there; it is
    there and no file, or a file whose bytes are not those of an earlier one and `force` is not given.
    """
    real = new(path, inputs)
    if not os.path.lexists(path) and not real.exists():
        return real
    if not real.is_file():
        raise UserError(f"{path}: is there and no file; name another")
    earlier = real.stat().st_size <= EARLIER_BYTES_MAX and is_earlier(real.read_bytes())
    if not (force or earlier):
        raise UserError(
            f"{path}: exists, and is not as this command left it or would lose something; name another file, or "
            "replace it with --force"
        )
    return real


def new(path: Path, inputs: Collection[Path]) -> Path:
    """`path` behind links; UserError if it is an input or lies in one, or would need a new folder to lie in."""
    real = Path(os.path.realpath(path))
    for given in inputs:
        same = real.exists() and given.exists() and real.samefile(given)
        if same or (given.is_dir() and given.resolve() in real.parents):
            raise UserError(f"{path}: {'is' if same else 'lies in'} {given}, which this command reads; name another")
    if not real.parent.is_dir():
        raise UserError(f"{path}: there is no folder {real.parent}; make it, or name another")
    return real
