"""Small pictures, good and bad, from a seed; see `tests.builders`."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def picture(seed: int, width_px: int = 96, height_px: int = 72) -> Image.Image:
    """Smooth colours that differ clearly between seeds, also for a perceptual hash."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width_px, height_px), Image.Resampling.BICUBIC)


def encode(image: Image.Image, kind: str = "JPEG", quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": quality} if kind == "JPEG" else {}))
    return buffer.getvalue()


def jpeg(seed: int, width_px: int = 96, height_px: int = 72, quality: int = 90) -> bytes:
    return encode(picture(seed, width_px, height_px), quality=quality)


def png(seed: int, width_px: int = 96, height_px: int = 72) -> bytes:
    return encode(picture(seed, width_px, height_px), "PNG")


def truncated_jpeg(seed: int) -> bytes:
    data = jpeg(seed)
    return data[: len(data) // 2]


def one_pixel() -> bytes:
    return jpeg(0, 1, 1)


def placeholder() -> bytes:
    """The grey picture that a host shows in the place of a deleted one."""
    return encode(Image.new("RGB", (120, 90), (204, 204, 204)))


def near_duplicate(seed: int) -> bytes:
    """`jpeg(seed)` once more, a little smaller and harder compressed."""
    return encode(picture(seed).resize((90, 68)), quality=60)
