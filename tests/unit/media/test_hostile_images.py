"""Pictures made by an enemy: bounded memory and time, a picture or a RowError each."""

from __future__ import annotations

import io
import struct
import time
import warnings
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.commands.given_files import decoded, read_bytes
from pipeline.errors import UserError
from pipeline.media import images
from pipeline.networks.decoding import read_image
from tests.builders_pictures import picture
from tests.hostile import in_little_memory, outcome

MAX_PIXELS = 4_000_000
SVG = (
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'
)


def examined(data: bytes) -> str:
    """All that `clean` does with a picture."""

    def examine() -> None:
        image = images.decode_image(data, min_side_px=16, max_pixels=MAX_PIXELS)
        assert image.mode == "RGB"
        images.encode_jpeg(image, max_side_px=None, quality=90)
        images.pixel_sha256(image)
        assert len(images.perceptual_hash(image)) == images.PERCEPTUAL_HASH_BYTES

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return outcome(examine)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes, announced: int | None = None) -> bytes:
    length = len(body) if announced is None else announced
    return struct.pack(">I", length) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


PNG = encode(picture(1), "PNG")
IHDR_END = 33


def png_with(extra: bytes) -> bytes:
    return PNG[:IHDR_END] + extra + PNG[IHDR_END:]


def webp_of(width_px: int, height_px: int) -> bytes:
    """An animation of two small frames on a canvas that is said to be large."""
    data = bytearray(encode(picture(1), "WEBP", save_all=True, append_images=[picture(2)]))
    start = data.index(b"VP8X") + 12
    data[start : start + 6] = (width_px - 1).to_bytes(3, "little") + (height_px - 1).to_bytes(3, "little")
    return bytes(data)


def gif_of_a_large_frame() -> bytes:
    data = bytearray(encode(picture(1).convert("P"), "GIF"))
    start = data.index(b",\0\0\0\0")
    data[start + 5 : start + 9] = b"\xff" * 4
    return bytes(data)


def jpeg_of_scans(count: int) -> bytes:
    """A progressive JPEG whose first scan comes `count` times."""
    data = encode(Image.new("L", (1500, 1500)), "JPEG", progressive=True)
    start = data.index(b"\xff\xda")
    end = next(place for place in range(start + 2, len(data)) if data[place] == 0xFF and data[place + 1] > 0xD7)
    return data[:start] + data[start:end] * count + data[end:]


def tiff_of(tag: int, count: int) -> bytes:
    """A TIFF one of whose tags announces `count` values."""
    data = bytearray(encode(picture(1), "TIFF"))
    (start,) = struct.unpack_from("<I", data, 4)
    (tags,) = struct.unpack_from("<H", data, start)
    for place in range(start + 2, start + 2 + 12 * tags, 12):
        if struct.unpack_from("<H", data, place) == (tag,):
            struct.pack_into("<I", data, place + 4, count)
    return bytes(data)


BOMBS: dict[str, Callable[[], bytes]] = {
    "gif frame": gif_of_a_large_frame,
    "webp canvas": partial(webp_of, 16_383, 16_383),
    "webp of the largest canvas": partial(webp_of, 2**24, 2**24),
    "webp within PIL's own limit": partial(webp_of, 10_000, 10_000),
    "png of zeros": lambda: encode(Image.new("1", (8_000, 8_000)), "PNG"),
    "png colour profile": lambda: png_with(chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(2**27)))),
    "png text": lambda: png_with(chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(2**26)))),
    "png many texts": lambda: png_with(chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(10**6))) * 200),
    "png chunk": lambda: png_with(chunk(b"tEXt", b"x", 2**31 - 1)),
    "tiff tag": partial(tiff_of, 273, 2**32 - 1),
    "jpeg scans": partial(jpeg_of_scans, 400),
    "svg": lambda: SVG,
    "pdf": lambda: b"%PDF-1.4\n" + bytes(100),
    "eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nquit\n",
    "long": lambda: encode(Image.new("1", (70_000, 40)), "PNG"),
}
AT_THE_LIMIT = {
    "RGB": "PNG", "RGBA": "PNG", "LA": "PNG", "P": "PNG", "I;16": "PNG", "F": "TIFF", "I": "TIFF", "CMYK": "JPEG",
}  # fmt: skip


def warm_up() -> None:
    """Load what the first picture loads."""
    assert examined(PNG) == "ok"


def examine_all(folder: str) -> dict[str, str]:
    """Runs in little memory."""
    return {path.name: examined(path.read_bytes()) for path in sorted(Path(folder).iterdir())}


def test_bombs_and_pictures_at_the_limit_take_bounded_memory(tmp_path: Path) -> None:
    for name, make in BOMBS.items():
        (tmp_path / name).write_bytes(make())
    for mode, kind in AT_THE_LIMIT.items():
        (tmp_path / f"{mode} {kind}").write_bytes(encode(Image.new(mode, (1500, 1500)), kind))
    found = in_little_memory(examine_all, tmp_path, extra_mib=60)  # 20 bytes a pixel, and some
    sound = {name for name, status in found.items() if status == "ok"}
    assert sound == {f"{mode} {kind}" for mode, kind in AT_THE_LIMIT.items()}
    bombs = {"gif frame", "png of zeros", "jpeg scans", "long"}
    assert {name for name, status in found.items() if status == "image_bomb"} >= bombs
    assert (found["svg"], found["eps"]) == ("image_unreadable", "image_not_a_photo_format")


def test_a_jpeg_of_as_many_scans_as_cameras_and_editors_write_is_read() -> None:
    assert examined(jpeg_of_scans(30)) == "ok"
    started = time.perf_counter()
    assert examined(jpeg_of_scans(20_000)) == "image_bomb"
    assert time.perf_counter() - started < 30  # a minute and more if the scans were decoded


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_animations_profiles_rotations_and_wrong_extensions_are_pictures(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    profile = bytes(500_000 if kind == "PNG" else 5_000_000)  # beyond a megabyte, PIL refuses the PNG
    options = {"icc_profile": profile} if kind in {"JPEG", "PNG", "WEBP", "TIFF"} else {}
    rotated = {"exif": exif} if kind in {"JPEG", "PNG", "WEBP"} else {}
    animated = {"save_all": True, "append_images": [picture(2)]} if kind in {"PNG", "WEBP", "GIF", "TIFF"} else {}
    assert examined(encode(picture(1), kind, **options, **rotated, **animated)) == "ok"


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_is_none_changes_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(picture(1), "PNG", exif=exif)
    found = images.decode_image(data, min_side_px=1, max_pixels=MAX_PIXELS)
    assert found.tobytes() == picture(1).tobytes()


def test_floats_that_are_no_numbers_are_black() -> None:
    values = np.full((40, 40), np.nan, np.float32)
    values[:20] = np.inf
    values[:, :10] = 0.5
    grey = np.asarray(images.decode_image(encode(Image.fromarray(values), "TIFF"), min_side_px=1, max_pixels=9999))
    assert set(np.unique(grey[:, 10:])) == {0}
    assert set(np.unique(grey[:, :10])) == {128}


def jpeg_with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "words"
    exif.get_ifd(0x8769)[0x9003] = "2016:01:01 00:00:00"
    return encode(
        picture(1, 32, 24), "JPEG", exif=exif, icc_profile=b"profile" * 9, xmp=b"<x:xmpmeta tiff:Orientation='6'/>"
    )


# Also kinds that are not accepted: to be refused by name, they are opened.
KINDS = (
    "JPEG",
    "PNG",
    "WEBP",
    "GIF",
    "BMP",
    "TIFF",
    "PPM",
    "TGA",
    "PCX",
    "ICO",
    "DDS",
    "SGI",
    "ICNS",
    "MPO",
    "MSP",
)
SEEDS = [encode(picture(1, 32, 24).convert("1" if kind == "MSP" else "RGB"), kind) for kind in KINDS] + [
    jpeg_with_exif(), encode(picture(1, 32, 24), "TIFF", compression="tiff_lzw"),
    encode(picture(1, 32, 24), "PNG", xmp=b"x"),
    encode(Image.new("I;16", (32, 24)), "PNG"), encode(picture(1, 32, 24).convert("CMYK"), "JPEG"),
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=10),
    st.integers(0, 3000),
)
def test_damaged_files_of_any_kind_are_a_picture_or_a_reject(
    data: bytes, edits: list[tuple[int, int]], cut: int
) -> None:
    damaged = bytearray(data)
    for position, value in edits:
        damaged[position % len(damaged)] = value
    examined(bytes(damaged[: len(damaged) - cut] if cut % 3 == 0 else damaged))


def test_a_given_file_without_end_is_a_line(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(UserError, match=r"picture\.jpg: has 1,000,000,000,000 bytes"):
        read_bytes(path)
    with pytest.raises(UserError, match=r"picture\.jpg: no usable picture"):
        decoded(path, "picture", read_image, SVG)
