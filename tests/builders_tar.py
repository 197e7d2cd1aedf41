"""Tars byte by byte, as no program would write them."""

from __future__ import annotations

import tarfile

BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)
NAME = "b-t4sa_imgs/data/78476/784760943188189184-1.jpg"
ANNOUNCING = {
    "pax": tarfile.XHDTYPE,
    "global pax": tarfile.XGLTYPE,
    "solaris pax": tarfile.SOLARIS_XHDTYPE,
    "long name": tarfile.GNUTYPE_LONGNAME,
    "long link": tarfile.GNUTYPE_LONGLINK,
}


def header(name: str, size_bytes: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size_bytes, kind
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def member(name: str = NAME, data: bytes = b"picture", kind: bytes = tarfile.REGTYPE) -> bytes:
    return header(name, len(data), kind) + padded(data)


def pax(records: dict[str, bytes], kind: bytes = tarfile.XHDTYPE) -> bytes:
    lines = b""
    for key, value in records.items():
        rest = b" " + key.encode() + b"=" + value + b"\n"
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length += 1
        lines += str(length).encode() + rest
    return member("PaxHeader", lines, kind)


def sparse_with_map(blocks: int) -> bytes:
    """An old GNU sparse member whose map goes on for `blocks` blocks."""
    entry = b"%011o\0" % 1
    first = bytearray(header("sparse", 0, tarfile.GNUTYPE_SPARSE))
    first[386:410] = entry * 2
    first[482] = 1  # a further block follows
    first[148:156] = b" " * 8
    first[148:156] = b"%06o\0 " % sum(first)
    further = bytearray(padded(entry * 42))
    further[504] = 1
    return bytes(first) + bytes(further) * blocks
