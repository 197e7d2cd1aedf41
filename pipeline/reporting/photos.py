"""Pictures of the dataset, small enough for a page."""

import io

from PIL import Image

from pipeline.media.data_uri import data_uri


def shrunk(picture: bytes, side_px: int) -> bytes:
    """A JPEG with at most `side_px` on its longer side; the same bytes where it is no larger."""
    with Image.open(io.BytesIO(picture)) as opened:
        if max(opened.size) <= side_px:
            return picture
        small = opened.convert("RGB")
        small.thumbnail((side_px, side_px))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def photo(picture: bytes, side_px: int) -> str:
    """The same as a data URI."""
    return data_uri("image/jpeg", shrunk(picture, side_px))
