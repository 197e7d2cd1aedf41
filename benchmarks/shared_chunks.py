"""How much of a published dataset is uploaded anew after the threshold of the labels has changed?

    python -m benchmarks.shared_chunks FOLDER FOLDER

Each folder holds the Parquet files of one publish (`--mode full`). Files are cut where a rolling Gear hash of the last
64 bytes says so, into chunks of 64 KiB on average (8 to 128 KiB), as the Hub's storage cuts them, though with another
table of random numbers; then the chunks of the second folder are looked up in the first. For comparison the same rows
are written without content-defined pages, and whole files are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

WINDOW_BYTES = 64
MASK_BITS = 16  # 64 KiB on average
SHORTEST_BYTES, LONGEST_BYTES = 8 * 1024, 128 * 1024


def chunks(data: bytes) -> Iterator[bytes]:
    """Content-defined chunks of a file."""
    ends = np.flatnonzero(_rolling_hash(data) >> np.uint64(64 - MASK_BITS) == 0) + 1
    start = 0
    for end in [*ends.tolist(), len(data)]:
        if end - start < SHORTEST_BYTES and end != len(data):
            continue
        while end - start > LONGEST_BYTES:
            yield data[start : start + LONGEST_BYTES]
            start += LONGEST_BYTES
        if end > start:
            yield data[start:end]
            start = end


def _rolling_hash(data: bytes) -> NDArray[np.uint64]:
    """uint64 [bytes]: sum over the last 64 bytes of table[byte] << age, by doubling the window six times."""
    table = np.random.default_rng(0).integers(0, 2**64, size=256, dtype=np.uint64)
    found = table[np.frombuffer(data, dtype=np.uint8)]
    width = 1
    while width < WINDOW_BYTES:
        following = found.copy()
        following[width:] += found[:-width] << np.uint64(width)
        found, width = following, 2 * width
    return found


def new_share(before: Path, after: Path, pieces: Callable[[bytes], Iterator[bytes]]) -> tuple[int, int]:
    """Bytes of `after`, and those of them that are in no piece of `before`."""
    known = {hashlib.sha256(piece).digest() for path in _files(before) for piece in pieces(path.read_bytes())}
    total = new = 0
    for path in _files(after):
        for piece in pieces(path.read_bytes()):
            total += len(piece)
            digest = hashlib.sha256(piece).digest()
            new += len(piece) * (digest not in known)
            known.add(digest)
    return total, new


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def _plain(folder: Path, target: Path) -> Path:
    """The same rows as Parquet is written by default."""
    for path in _files(folder):
        (target / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pq.read_table(path, partitioning=None), target / path.relative_to(folder), compression="zstd")
    return target


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        given = {"before": options.before, "after": options.after}
        plain = [_plain(source, Path(folder) / name) for name, source in given.items()]
        rows = {
            "as published, by chunks": new_share(options.before, options.after, chunks),
            "default Parquet, by chunks": new_share(plain[0], plain[1], chunks),
            "as published, by whole files": new_share(options.before, options.after, lambda data: iter([data])),
        }
    print("| | MB | in common |\n|---|---|---|")
    for name, (total, new) in rows.items():
        print(f"| {name} | {total / 1e6:.1f} | {1 - new / total:.1%} |")


if __name__ == "__main__":
    main()
