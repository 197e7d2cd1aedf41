"""Colours as screens show them: a picture's own colour profile applied, the result sRGB."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_PROFILE_BYTES_MAX = 2**23  # of printers' tables, which are the largest, 2 MB are usual
_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
_STEPS = 9  # of each channel
_SAME = 2  # of 255: what rounding makes of colours that are sRGB already
_SRGB = ImageCms.createProfile("sRGB")


def to_srgb(image: Image.Image) -> Image.Image:
    """The colours of an 8-bit image as RGB, without transparency; a profile that is damaged or of other colours counts
    for nothing, as in browsers.
    """
    mode = {"1": "L", "L": "L", "LA": "L", "CMYK": "CMYK"}.get(image.mode, "RGB")
    profile = image.info.get("icc_profile")
    transform = _transform(profile, mode) if isinstance(profile, bytes) else None
    shown = ImageCms.applyTransform(image.convert(mode), transform) if transform else None
    return shown or image.convert("RGB")


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None where nothing is to be done: most pictures carry the profile of sRGB, and stay as they are."""
    if len(profile) > _PROFILE_BYTES_MAX:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != _SPACES[mode]:
            return None
        transform = ImageCms.buildTransform(source, _SRGB, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    levels = np.linspace(0, 255, _STEPS).astype(np.uint8)
    channels = len(Image.new(mode, (1, 1)).getbands())
    grid = np.stack(np.meshgrid(*[levels] * channels, indexing="ij"), axis=-1).reshape(1, -1, channels)
    chart = Image.fromarray(grid[..., 0] if channels == 1 else grid, mode)
    shown, plain = (np.asarray(each, int) for each in (ImageCms.applyTransform(chart, transform), chart.convert("RGB")))
    return transform if np.abs(shown - plain).max() > _SAME else None
