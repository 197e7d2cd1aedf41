"""Colour profiles made by hand: three primaries and a gamma, as ICC.1:2001 lays them down; colours in their terms."""

import struct

import numpy as np
from numpy.typing import NDArray

D50 = (0.9642, 1.0, 0.8249)
# Columns: XYZ of red, green and blue, adapted to D50 (Bradford), as the profiles' own makers publish them.
SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
P3 = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])
ADOBE = np.array([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]])
PROPHOTO = np.array([[0.7977, 0.1352, 0.0313], [0.2880, 0.7119, 0.0001], [0.0, 0.0, 0.8249]])


def rgb_profile(primaries: NDArray[np.float64], gamma: float) -> bytes:
    """A display profile of version 2."""
    curve = b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(gamma * 256))
    tags = {b"r" + b"XYZ": _xyz(primaries[:, 0]), b"gXYZ": _xyz(primaries[:, 1]), b"bXYZ": _xyz(primaries[:, 2])}
    tags |= {b"wtpt": _xyz(D50), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    return _profile(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    curve = b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(gamma * 256))
    return _profile(b"GRAY", {b"wtpt": _xyz(D50), b"kTRC": curve})


def in_terms_of(primaries: NDArray[np.float64], gamma: float, srgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The numbers that mean the colours `srgb` [..., 3] in such a profile; colours that it lacks are cut."""
    share = srgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    own = linear @ (np.linalg.inv(primaries) @ SRGB).T
    numbers: NDArray[np.uint8] = np.round(255 * np.clip(own, 0, 1) ** (1 / gamma)).astype(np.uint8)
    return numbers


def _xyz(values: object) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(float(value) * 65536) for value in np.asarray(values)))


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = tags | {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"made\0" + bytes(78 + 1)}
    tags[b"cprt"] = b"text" + bytes(4) + b"none\0"
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s12x4s28x3i48x", 128 + len(table) + len(body), bytes(4), 0x02100000, b"mntr", space,
                         b"XYZ ", b"acsp", *(round(value * 65536) for value in D50))  # fmt: skip
    return header + table + body
