"""Where a JPEG ends: pictures that lack their end mark, and what phones append to them."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import RowError
from pipeline.media.images import decode_image

FORMS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 3},
    "grey": {"mode": "L"},
    "progressive grey": {"mode": "L", "progressive": True},
    "cmyk": {"mode": "CMYK"},
    "thumbnail": {"thumbnail": True},
}


def jpeg(form: str, seed: int = 0) -> bytes:
    options = dict(FORMS[form])
    small = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((90, 70), Image.Resampling.BICUBIC).convert(options.pop("mode", "RGB"))
    inner = jpeg("progressive") if options.pop("thumbnail", False) else None
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    data = buffer.getvalue()
    # A whole picture in a segment of the file, with end mark and scans of its own.
    return data if inner is None else data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(inner)) + inner + data[2:]


def decode(data: bytes) -> bytes:
    return decode_image(data, min_side_px=1, max_pixels=10_000).tobytes()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_lacking_its_end_mark_only_is_whole(form: str, missing: int) -> None:
    data = jpeg(form)
    assert decode(data[:-missing]) == decode(data)


@pytest.mark.parametrize("form", FORMS)
def test_a_jpeg_that_lacks_a_pixel_is_a_reject(form: str) -> None:
    whole = decode(jpeg(form))
    kept = []
    for cut in range(3, len(jpeg(form))):
        try:
            kept.append(decode(jpeg(form)[:-cut]) == whole)
        except RowError as error:
            assert error.status in {"image_truncated", "image_unreadable"}
    assert all(kept)
    assert len(kept) <= 1  # the last byte of a scan may be padding only


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(FORMS)), st.binary(max_size=300), st.booleans())
def test_what_follows_the_end_counts_for_nothing(form: str, film: bytes, scans: bool) -> None:
    data = jpeg(form)
    assert decode(data + film + b"\xff\xda" * (500 if scans else 0)) == decode(data)


def test_scans_behind_an_end_mark_that_is_hidden_in_a_comment_are_counted() -> None:
    data = jpeg("progressive")
    start = data.index(b"\xff\xda")
    end = next(place for place in range(start + 2, len(data)) if data[place] == 0xFF and data[place + 1] > 0xD7)
    comment = b"\xff\xfe\0\x04\xff\xd9"
    assert decode(data[:end] + comment + data[end:]) == decode(data)
    with pytest.raises(RowError, match="scans") as caught:
        decode(data[:end] + comment + data[start:end] * 200 + data[end:])
    assert caught.value.status == "image_bomb"


@pytest.mark.parametrize(("brand", "name"), [("heic", "HEIC"), ("heix", "HEIC"), ("mif1", "HEIF"), ("avif", None)])
def test_pictures_of_phones_are_refused_by_name(brand: str, name: str | None) -> None:
    with pytest.raises(RowError) as caught:
        decode(struct.pack(">I4s4s4x4s", 24, b"ftyp", brand.encode(), b"mif1") + bytes(100))
    if name:
        assert caught.value.status == "image_not_a_photo_format"
        assert caught.value.reason.startswith(f"{name}, expected one of JPEG")
