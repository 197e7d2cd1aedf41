from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import RowError
from pipeline.media.images import FORMATS, decode_image, encode_jpeg, perceptual_hash, pixel_sha256


def picture(width_px: int = 96, height_px: int = 64, seed: int = 0) -> Image.Image:
    """Smooth coloured blobs, so that resizing and JPEG change little."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width_px, height_px), Image.Resampling.BICUBIC)


def file_bytes(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decode(data: bytes, min_side_px: int = 8, max_pixels: int = 1_000_000) -> Image.Image:
    return decode_image(data, min_side_px=min_side_px, max_pixels=max_pixels)


def status_of(data: bytes, **limits: int) -> str:
    with pytest.raises(RowError) as caught:
        decode(data, **limits)
    assert caught.value.reason
    return caught.value.status


def pixels(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image).astype(int)


def bits_apart(first: Image.Image, second: Image.Image) -> int:
    one, two = (int.from_bytes(perceptual_hash(image), "big") for image in (first, second))
    return (one ^ two).bit_count()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_photo_format_decodes_to_the_same_rgb_picture(kind: str) -> None:
    image = decode(file_bytes(picture(), kind))
    assert (image.mode, image.size) == ("RGB", (96, 64))
    assert np.abs(pixels(image) - pixels(picture())).mean() < 12


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_cut_anywhere_is_a_row_error_and_mostly_called_truncated(kind: str) -> None:
    data = file_bytes(picture(), kind)
    statuses = [status_of(data[:length]) for length in range(0, len(data) - 40, max(1, len(data) // 60))]
    assert set(statuses) <= {"image_truncated", "image_unreadable"}
    assert statuses.count("image_truncated") > 0.8 * len(statuses)


def test_exif_orientation_is_applied_and_not_written_again() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright = decode(file_bytes(picture(), "JPEG", exif=exif, quality=95))
    assert upright.size == (64, 96)
    expected = picture().transpose(Image.Transpose.ROTATE_270)
    assert np.abs(pixels(upright) - pixels(expected)).mean() < 5
    again = Image.open(io.BytesIO(encode_jpeg(upright, max_side_px=None, quality=95)))
    assert again.size == (64, 96)
    assert not again.getexif()


def test_transparency_becomes_white() -> None:
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    clear.paste((0, 0, 255, 255), (0, 0, 10, 20))
    for data in (file_bytes(clear, "PNG"), file_bytes(clear, "WEBP", lossless=True), file_bytes(clear, "GIF")):
        image = decode(data)
        assert image.getpixel((15, 5)) == (255, 255, 255)
        assert image.getpixel((5, 5)) == (0, 0, 255)


def test_palette_grey_cmyk_bilevel_and_16_bit_become_rgb_of_the_same_brightness() -> None:
    grey = picture().convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    for data in (
        file_bytes(grey, "PNG"),
        file_bytes(deep, "PNG"),
        file_bytes(deep, "TIFF"),
        file_bytes(Image.fromarray(np.asarray(grey).astype(np.float32) / 255), "TIFF"),
        file_bytes(grey.convert("P"), "PNG"),
        file_bytes(grey.convert("RGB").convert("CMYK"), "JPEG", quality=95),
        file_bytes(grey.convert("LA"), "PNG"),
    ):
        image = decode(data)
        assert image.mode == "RGB"
        assert np.abs(pixels(image) - pixels(grey)[:, :, None]).mean() < 3
    assert set(np.unique(pixels(decode(file_bytes(grey.convert("1"), "PNG"))))) == {0, 255}


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        data = file_bytes(frames[0], kind, save_all=True, append_images=frames[1:])
        red, _, blue = pixels(decode(data))[10, 10]
        assert red > 240
        assert blue < 15


def png_header(width_px: int, height_px: int) -> bytes:
    """A PNG that declares a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side_px", [1_001, 10_000, 12_000, 60_000, 2**31 - 1])
def test_bombs_are_refused_by_their_header_without_a_warning(side_px: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert status_of(png_header(side_px, side_px)) == "image_bomb"


def test_sizes_at_the_limits_pass_and_beyond_fail() -> None:
    data = file_bytes(picture(50, 40), "PNG")
    assert decode(data, min_side_px=40, max_pixels=2000).size == (50, 40)
    assert status_of(data, min_side_px=41) == "image_too_small"
    assert status_of(data, max_pixels=1999) == "image_bomb"
    assert status_of(file_bytes(Image.new("RGB", (1, 1)), "PNG")) == "image_too_small"


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 100, b"hello, I am text", b"<html><body>404</body></html>", b"\xff\xd8\xff"]
)
def test_what_is_no_image_is_unreadable(data: bytes) -> None:
    assert status_of(data) == "image_unreadable"


@pytest.mark.parametrize("kind", ["ICO", "PPM", "TGA", "PCX"])
def test_other_image_formats_are_refused_by_name(kind: str) -> None:
    assert status_of(file_bytes(picture(), kind)) == "image_not_a_photo_format"


VALID = [file_bytes(picture(24, 16), kind) for kind in FORMATS] + [file_bytes(picture(24, 16).convert("P"), "PNG")]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(VALID), st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=12))
def test_damaged_bytes_give_a_picture_or_a_row_error(data: bytes, edits: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for position, value in edits:
        damaged[position % min(len(damaged), 300)] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            assert decode(bytes(damaged)).mode == "RGB"
        except RowError as error:
            assert error.status.startswith("image_")


def test_jpeg_bytes_are_deterministic_bare_and_within_the_side_limit() -> None:
    image = picture(300, 100)
    image.info["comment"] = b"secret"
    image.info["icc_profile"] = b"secret profile"
    data = encode_jpeg(image, max_side_px=150, quality=90)
    assert data == encode_jpeg(picture(300, 100), max_side_px=150, quality=90)
    assert b"secret" not in data
    assert decode(data).size == (150, 50)
    assert decode(encode_jpeg(image, max_side_px=500, quality=90)).size == (300, 100)
    assert decode(encode_jpeg(picture(500, 9), max_side_px=10, quality=90), min_side_px=1).size == (10, 1)


def test_pixel_hash_ignores_the_container_and_sees_one_pixel_and_the_shape() -> None:
    image = picture()
    assert pixel_sha256(decode(file_bytes(image, "PNG"))) == pixel_sha256(decode(file_bytes(image, "BMP")))
    other = image.copy()
    other.putpixel((0, 0), (1, 2, 3))
    assert pixel_sha256(other) != pixel_sha256(image)
    assert pixel_sha256(Image.new("RGB", (2, 8))) != pixel_sha256(Image.new("RGB", (8, 2)))


def test_perceptual_hash_is_near_for_copies_and_far_for_other_pictures() -> None:
    image = picture(400, 300)
    copies = [
        decode(encode_jpeg(image, max_side_px=None, quality=30)),
        image.resize((200, 150)),
        image.point(lambda value: min(255, value + 15)),
    ]
    assert len(perceptual_hash(image)) == 32
    assert max(bits_apart(image, copy) for copy in copies) <= 40
    assert min(bits_apart(image, picture(400, 300, seed)) for seed in range(1, 6)) >= 70


def test_real_photographs_survive_a_round_trip() -> None:
    root = os.environ.get("SIER_REAL_CORPORA")
    if not root:
        pytest.skip("SIER_REAL_CORPORA is not set")
    files = sorted((Path(root) / "fi").rglob("*.jpg"))[::12]
    assert len(files) > 10
    for file in files:
        image = decode(file.read_bytes())
        again = decode(encode_jpeg(image, max_side_px=256, quality=90))
        assert max(again.size) <= 256
        assert bits_apart(image, again) <= 24
