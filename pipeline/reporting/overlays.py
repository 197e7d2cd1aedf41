"""What an answer rests on, drawn over the picture and along the recording.

In   maps of Shapley values (data/explanations), picture and recording of the row
Out  a PNG with transparency to lie over the picture; `Stretch`es of the waveform as SVG paths

Orange speaks for the label and purple against it, the stronger the surer, as in the figures of stage explain.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]

FOR, AGAINST = (230, 97, 1), (94, 60, 153)  # the ends of PuOr, which any colour vision tells apart
OVERLAY_SIDE_PX = 96
STRONGEST = 0.8  # opacity where a value is largest
WAVEFORM_WIDTH, WAVEFORM_HEIGHT = 600, 80  # units of the SVG


@dataclass(frozen=True)
class Stretch:
    """A segment of speech: its times, its value, and the outline of its samples.

    Attributes:
        path: `d` of an SVG path in `WAVEFORM_WIDTH` x `WAVEFORM_HEIGHT`.
        strength: |value| over the largest, in [0, 1].
    """

    start_seconds: float
    end_seconds: float
    value: float
    strength: float
    path: str


def overlay_png(image_map: Floats) -> bytes:
    """A square picture [OVERLAY_SIDE_PX x OVERLAY_SIDE_PX] to be stretched over the photo.

    Args:
        image_map: [h, w] of Shapley values, over the whole photo.
    """
    largest = float(np.abs(image_map).max(initial=0.0)) or 1.0
    opacity = np.abs(image_map) / largest * STRONGEST * 255
    pixels = np.zeros((*image_map.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where(image_map[..., None] >= 0, FOR, AGAINST)
    pixels[..., 3] = np.rint(opacity)
    side = (OVERLAY_SIDE_PX, OVERLAY_SIDE_PX)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").resize(side, Image.Resampling.NEAREST).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def stretches(waveform: NDArray[np.float32], rate_hz: int, players: NDArray[np.int16], values: Floats,
              seconds_per_frame: float) -> list[Stretch]:  # fmt: skip
    """The recording in the parts that were explained, silence after its end left out.

    Args:
        waveform: [samples].
        rate_hz: of it.
        players: the segment of each frame; -1 in the padding.
        values: of each segment.
        seconds_per_frame: duration of a frame.
    """
    seconds = len(waveform) / rate_hz
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    peak = float(np.abs(waveform).max(initial=0.0)) or 1.0
    bounds = np.flatnonzero(np.diff(players, prepend=-2, append=-2))
    found = []
    for begin, end in pairwise(bounds.tolist()):
        start, stop = begin * seconds_per_frame, min(end * seconds_per_frame, seconds)
        player = int(players[begin])
        if player < 0 or stop <= start:
            continue
        value = float(values[player])
        path = _outline(waveform / peak, rate_hz, start, stop, seconds)
        found.append(Stretch(start, stop, value, abs(value) / largest, path))
    return found


def _outline(waveform: NDArray[np.float32], rate_hz: int, start: float, stop: float, seconds: float) -> str:
    samples = waveform[round(start * rate_hz) : round(stop * rate_hz)]
    columns = max(2, min(len(samples), round(WAVEFORM_WIDTH / 3 * (stop - start) / seconds)))
    if len(samples) < 2:
        return ""
    edges = np.linspace(0, len(samples), columns, endpoint=False).astype(np.int64)
    xs = np.linspace(start, stop, columns) / seconds * WAVEFORM_WIDTH
    middle = WAVEFORM_HEIGHT / 2
    above = middle - np.maximum(np.maximum.reduceat(samples, edges), 0.01) * middle
    below = middle - np.minimum(np.minimum.reduceat(samples, edges), -0.01) * middle
    corners = [*zip(xs, above, strict=True), *zip(xs[::-1], below[::-1], strict=True)]
    return "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in corners) + "Z"
