"""Damaged and odd image files as the real corpora contain them. Bytes in, bytes out; nothing random."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageDraw

# What macOS leaves beside a file it copied to a foreign disk: `._name`, an AppleDouble header and no content.
APPLE_DOUBLE = struct.pack(">II16sH", 0x00051607, 0x00020000, b"Mac OS X        ", 0) + bytes(56)


def encode_jpeg(image: Image.Image, quality: int = 85) -> bytes:
    """The picture as a baseline JPEG without metadata."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def truncated(jpeg: bytes) -> bytes:
    """A download that broke off: the header is whole, the lower part of the picture is missing."""
    return jpeg[: len(jpeg) * 3 // 5]


def as_png(image: Image.Image) -> bytes:
    """The picture as PNG; the corpus calls it .jpg all the same."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=False)
    return buffer.getvalue()


def one_pixel() -> bytes:
    """A tracking pixel."""
    return encode_jpeg(Image.new("RGB", (1, 1), (200, 200, 200)))


def placeholder() -> bytes:
    """What a photo host serves for a deleted picture."""
    image = Image.new("RGB", (300, 220), (226, 228, 230))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((95, 55, 205, 135), 10, outline=(150, 154, 158), width=5)
    draw.ellipse((130, 75, 170, 115), outline=(150, 154, 158), width=5)
    draw.line((80, 145, 220, 45), fill=(150, 154, 158), width=6)
    draw.text((84, 160), "this photo is not available", fill=(120, 124, 128))
    return encode_jpeg(image)


def resized(jpeg: bytes, scale: float = 0.75, quality: int = 70) -> bytes:
    """A near duplicate: the same picture, of another size and encoded again."""
    image = Image.open(io.BytesIO(jpeg))
    size = (round(image.width * scale), round(image.height * scale))
    return encode_jpeg(image.resize(size, Image.Resampling.LANCZOS), quality)


def bomb() -> bytes:
    """A PNG of a few bytes that claims 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 16))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def without_end_mark(jpeg: bytes) -> bytes:
    """A picture whose last two bytes, which only say that it ends, are lost."""
    return jpeg.removesuffix(b"\xff\xd9")


def heic() -> bytes:
    """The first bytes of what a phone stores; the corpus calls it .jpg."""
    return struct.pack(">I8sI8s", 24, b"ftypheic", 0, b"mif1heic") + bytes(400)


def grey_of_a_scanner(image: Image.Image) -> bytes:
    """A PNG with 16 bits for each grey, of which 12 are used."""
    grey = np.asarray(image.convert("L"), np.uint16) << 4
    return as_png(Image.fromarray(grey))


def of_a_wide_gamut(image: Image.Image, quality: int = 85) -> bytes:
    """A JPEG whose numbers mean colours of Display P3, as phones write it; its profile is of ICC's version 2."""

    def xyz(*values: float) -> bytes:
        return b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(value * 65_536)) for value in values)

    curve = b"curv" + struct.pack(">IIH", 0, 1, round(2.2 * 256)) + bytes(2)
    tags = {
        b"wtpt": xyz(0.9642, 1.0, 0.8249), b"rXYZ": xyz(0.5151, 0.2412, -0.0011), b"gXYZ": xyz(0.2919, 0.6922, 0.0419),
        b"bXYZ": xyz(0.1572, 0.0666, 0.7841), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }  # fmt: skip
    offset, table, bodies = 132 + 12 * len(tags), b"", b""
    for name, body in tags.items():
        table += name + struct.pack(">II", offset + len(bodies), len(body))
        bodies += body
    header = (
        struct.pack(">I4xI4s4s4s", offset + len(bodies), 0x02200000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp"
    )
    white = b"".join(struct.pack(">i", round(value * 65_536)) for value in (0.9642, 1.0, 0.8249))
    profile = (header + bytes(28) + white).ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + bodies
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality, icc_profile=profile)
    return buffer.getvalue()
