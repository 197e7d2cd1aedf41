"""Colour profiles and deep greys: what is stored is what screens show."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from pipeline.media.images import decode_image
from tests.builders_profiles import ADOBE, P3, PROPHOTO, SRGB, grey_profile, in_terms_of, rgb_profile

COLOURS = np.random.default_rng(0).integers(40, 216, (16, 16, 3), dtype=np.uint8)  # within each of the gamuts
PROFILES = {
    "Display P3": (P3, 2.2, 2),
    "Adobe RGB": (ADOBE, 563 / 256, 2),
    "ProPhoto": (PROPHOTO, 1.8, 6),  # its steps are coarse in 8 bits
    "red and green swapped": (SRGB[:, [1, 0, 2]], 2.2, 2),
}
KINDS: dict[str, dict[str, Any]] = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}}


def decoded(values: NDArray[Any] | Image.Image, kind: str = "PNG", **options: Any) -> NDArray[np.int64]:
    buffer = io.BytesIO()
    (values if isinstance(values, Image.Image) else Image.fromarray(values)).save(buffer, kind, **options)
    image = decode_image(buffer.getvalue(), min_side_px=1, max_pixels=10_000)
    assert image.mode == "RGB"
    return np.asarray(image).astype(np.int64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROFILES)
def test_colours_of_any_profile_become_the_srgb_that_they_mean(name: str, kind: str) -> None:
    primaries, gamma, tolerance = PROFILES[name]
    own = in_terms_of(primaries, gamma, COLOURS)
    assert np.abs(own.astype(int) - COLOURS).mean() > 7  # else the test would say nothing
    shown = decoded(own, kind, icc_profile=rgb_profile(primaries, gamma), **KINDS[kind])
    assert np.abs(shown - COLOURS).max() <= tolerance


def test_a_palette_and_transparency_keep_their_meaning_under_a_profile() -> None:
    profile = rgb_profile(SRGB[:, [1, 0, 2]], 2.2)
    own = in_terms_of(SRGB[:, [1, 0, 2]], 2.2, COLOURS)
    few = Image.fromarray(own).quantize(8)
    plain = decoded(few)[..., [1, 0, 2]]
    assert np.abs(decoded(few, icc_profile=profile) - plain).max() <= 8  # a gamma of 2.2 is not quite that of sRGB
    layer = np.dstack([own, np.full(own.shape[:2], 255, np.uint8)])
    layer[:, 8:, 3] = 0
    shown = decoded(layer, icc_profile=profile)
    assert np.abs(shown[:, :8] - COLOURS[:, :8]).max() <= 2
    assert set(np.unique(shown[:, 8:])) == {255}


def test_a_grey_profile_is_a_curve() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    shown = decoded(levels, icc_profile=grey_profile(1.8))
    linear = (levels / 255) ** 1.8
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(shown - expected[..., None]).max() <= 2


def test_pictures_that_are_srgb_already_stay_as_they_are() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(decoded(COLOURS, icc_profile=profile), COLOURS)


@pytest.mark.parametrize(
    "profile",
    [b"no profile", grey_profile(1.0), rgb_profile(P3, 2.2)[:200], bytes(500)],
    ids=["text", "grey", "cut", "0"],
)
def test_a_profile_that_is_damaged_or_of_other_colours_counts_for_nothing(profile: bytes) -> None:
    assert np.array_equal(decoded(COLOURS, icc_profile=profile), COLOURS)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_of_fewer_bits_than_its_file_holds_is_as_bright_as_meant(bits: int, kind: str) -> None:
    meant = np.linspace(0, 255, 400).reshape(20, 20)
    shown = decoded(np.round(meant / 255 * (2**bits - 1)).astype(np.uint16), kind)
    assert np.abs(shown - meant[..., None]).max() <= 1
