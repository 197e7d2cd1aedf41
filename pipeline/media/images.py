"""Untrusted bytes to a picture, and a picture to JPEG bytes and hashes.

The header is judged before any pixel is decoded, so that a bomb costs nothing.
"""

import hashlib
import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.errors import RowError
from pipeline.media import colours

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # what social media serve as photographs
PERCEPTUAL_HASH_BYTES = 32
_HASH_SIZE = 16  # 16 x 16 bits
_JPEG_MAX_SIDE_PX = 65_500  # of what libjpeg writes
# A progressive JPEG has about ten scans. Each costs a pass over all pixels and may take a hundred bytes only.
_JPEG_MAX_SCANS = 100
# But for those without a length (TEM, RST) and the bytes that stand for themselves in a scan.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"
# Two runs of any bytes, with the marks by which a scan may go on after a gap.
_JPEG_JUNK = [
    b"".join(hashlib.sha256(bytes([run, n])).digest().replace(b"\xff", b"") + bytes([0xFF, 0xD0 + n]) for n in range(8))
    for run in range(2)
]
# Of files whose format Pillow does not know, by the brand in their `ftyp` box.
_HEIF = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"hevc": "HEIC",
    b"mif1": "HEIF",
    b"msf1": "HEIF",
}

# What PIL and its plugins raise on bytes that are not what they claim to be. EOFError, struct.error and the rest come
# from plugins that read fields without looking whether they are there.
_DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, ArithmeticError, NotImplementedError,
    struct.error, zlib.error,
)  # fmt: skip
_FULL_SCALES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
_TRUNCATION_SIGNS = ("truncated", "unexpected end", "not enough", "premature end", "broken data stream")


def decode_image(data: bytes, *, min_side_px: int, max_pixels: int) -> Image.Image:
    """The picture in a file: sRGB, EXIF orientation applied, transparency on white, first frame of an animation.

    Raises:
        RowError: `image_unreadable` (no image, or damaged), `image_truncated` (ends too early),
            `image_not_a_photo_format` (none of `FORMATS`), `image_bomb` (more than `max_pixels`, a side too long for
            a JPEG, or hundreds of scans), `image_too_small` (a side under `min_side_px`).
    """
    if not data:
        raise RowError("image_unreadable", "the file is empty")
    with warnings.catch_warnings():
        # Sizes are checked below; what PIL says about odd metadata of a stranger's file helps nobody.
        warnings.simplefilter("ignore")
        image = _opened(data)
        width, height = image.size
        if width * height > max_pixels:
            raise RowError("image_bomb", f"declares {width} x {height} pixels, allowed are {max_pixels:,} in all")
        if max(width, height) > _JPEG_MAX_SIDE_PX:
            raise RowError("image_bomb", f"{width} x {height} pixels, no side may exceed {_JPEG_MAX_SIDE_PX:,}")
        if data.startswith(b"\xff\xd8") and (scans := sum(1 for _ in _jpeg_scans(data))) > _JPEG_MAX_SCANS:
            raise RowError("image_bomb", f"{scans:,} scans, allowed are {_JPEG_MAX_SCANS}")
        if min(width, height) < min_side_px:
            raise RowError("image_too_small", f"{width} x {height} pixels, each side must be at least {min_side_px}")
        try:
            return _rgb(_upright(_loaded(image, data)))
        except Image.DecompressionBombError as error:
            raise RowError("image_bomb", str(error)) from None
        except _DAMAGE as error:
            raise _damage(error, data) from None


def encode_jpeg(image: Image.Image, *, max_side_px: int | None, quality: int) -> bytes:
    """JPEG bytes without metadata, `quality` as libjpeg counts it, the longer side scaled down to `max_side_px`.

    The same pixels always give the same bytes.
    """
    longest = max(image.size)
    if max_side_px is not None and longest > max_side_px:
        width, height = (max(1, round(side * max_side_px / longest)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    # From the bare pixels: the encoder would copy an image's comment and colour profile.
    bare = Image.fromarray(np.asarray(image.convert("RGB")))
    buffer = io.BytesIO()
    bare.save(buffer, "JPEG", quality=quality, subsampling="4:2:0", optimize=True)
    return buffer.getvalue()


def pixel_sha256(image: Image.Image) -> str:
    """Hex digest of size and RGB pixels: equal for equal pictures, whatever file they came in."""
    pixels = np.asarray(image.convert("RGB"))
    height, width, _ = pixels.shape
    digest = hashlib.sha256(f"{width}x{height}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def perceptual_hash(image: Image.Image) -> bytes:
    """256-bit DCT hash, 32 bytes: near-equal pictures differ in few bits, unrelated ones in about half."""
    return np.packbits(imagehash.phash(image, hash_size=_HASH_SIZE).hash).tobytes()


def _opened(data: bytes) -> Image.Image:
    """The image with its header read and nothing decoded."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise RowError("image_bomb", str(error)) from None
    except UnidentifiedImageError:
        raise _not_one_of_ours(data) from None
    except _DAMAGE as error:
        raise _damage(error, data) from None


def _jpeg_scans(data: bytes) -> Iterator[bytes]:
    """The header of each scan up to the end mark: phones append films, in which any bytes may stand."""
    position = 0
    while (marker := _JPEG_MARKER.search(data, position)) and marker[0] != _JPEG_END:
        begin = marker.end() + 2
        position = max(begin, marker.end() + int.from_bytes(data[marker.end() : begin], "big"))
        if marker[0] == _JPEG_SCAN:
            yield data[begin:position]


def _loaded(image: Image.Image, data: bytes) -> Image.Image:
    """The image, decoded; also a JPEG that lacks its end mark only, which Pillow takes for truncated."""
    try:
        image.load()
    except OSError:
        if image.format != "JPEG" or not _is_refined(image, data):
            raise
        # Whole, if what stands behind its bytes makes no difference: else it would be taken for the missing pixels.
        data = data.rstrip(_JPEG_END[:1])
        ended = _opened(data + _JPEG_END)
        if any(ended.tobytes() != _opened(data + junk + _JPEG_END).tobytes() for junk in _JPEG_JUNK):
            raise
        return ended
    return image


def _is_refined(image: Image.Image, data: bytes) -> bool:
    """Whether the scans of a JPEG hold every coefficient of each component to its last bit."""
    missing = {(component[0], place): True for component in getattr(image, "layer", ()) for place in range(64)}
    for header in _jpeg_scans(data):
        components, first, last, bits = header[1:-3:2], *header[-3:]
        missing |= {(one, place): bool(bits & 15) for one in components for place in range(first, min(last, 63) + 1)}
    return not any(missing.values())


def _not_one_of_ours(data: bytes) -> RowError:
    if data[4:8] == b"ftyp" and (name := _HEIF.get(data[8:12])):
        return RowError("image_not_a_photo_format", f"{name}, expected one of {', '.join(FORMATS)}")
    try:
        with Image.open(io.BytesIO(data)) as other:
            return RowError("image_not_a_photo_format", f"{other.format}, expected one of {', '.join(FORMATS)}")
    except Image.DecompressionBombError:
        return RowError("image_not_a_photo_format", f"none of {', '.join(FORMATS)}")
    except _DAMAGE:
        return RowError("image_unreadable", f"no known image format begins with the bytes {data[:8].hex(' ')}")


def _damage(error: Exception, data: bytes) -> RowError:
    reason = str(error) or type(error).__name__
    truncated = isinstance(error, EOFError) or any(sign in reason.lower() for sign in _TRUNCATION_SIGNS)
    if data[:4] == b"RIFF" and 8 + int.from_bytes(data[4:8], "little") > len(data):  # libwebp does not say why
        truncated, reason = True, f"{len(data)} bytes are less than the file declares"
    return RowError("image_truncated" if truncated else "image_unreadable", reason[:200])


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGE:
        return image  # sound pixels with broken EXIF: taken as they lie


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bit_grey(image)
    colour = colours.to_srgb(image)
    if image.has_transparency_data:
        colour.putalpha(image.convert("RGBA").getchannel("A"))
        return Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour).convert("RGB")
    return colour


def _eight_bit_grey(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and floating grey, scaled: `convert` would clip everything above 255 to white.

    Cameras and scanners keep 10, 12 or 14 bits in the 16 of a file, which does not say so: the brightest pixel does.
    """
    values = np.asarray(image)
    # Row by row: as floats of 64 bits, a picture at the limit would take some gigabytes.
    largest = max(float(_finite(row).max(initial=0.0)) for row in values)
    if image.mode == "F":
        full_scale = next((scale for scale in (1.0, 255.0) if largest <= scale), 65535.0)
    else:
        full_scale = next((scale for scale in _FULL_SCALES if largest <= scale), _FULL_SCALES[-1])
    grey = np.empty(values.shape, np.uint8)
    for index, row in enumerate(values):
        grey[index] = np.clip(_finite(row) / full_scale * 255.0 + 0.5, 0, 255)
    return Image.fromarray(grey)


def _finite(row: NDArray[Any]) -> NDArray[np.float64]:
    return np.nan_to_num(row.astype(np.float64), posinf=0.0, neginf=0.0)
