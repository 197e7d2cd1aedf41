"""One explanation as a picture, in the manner of the paper's Fig. 5.

In   an `Explained` row
Out  bytes of a PNG, WIDTH_INCHES * DPI pixels wide; equal inputs give equal bytes

From top to bottom: predicted and true label; the photo, its map and what each modality adds; the waveform, yellow where
the attribution is largest and blue where it is least; the words on the ground of their attribution; what is heard when
frames below the percentile are silenced; the tweet. Colours of both maps can be told apart with any colour vision.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from pipeline.explanation.figure_content import Explained, Speech
from pipeline.explanation.figure_text import (
    DPI,
    Line,
    Token,
    draw_lines,
    draw_text,
    drawable,
    font,
    line_height,
    plain,
    wrapped,
)
from pipeline.media.audio import SAMPLING_RATE_HZ, Waveform

WIDTH_INCHES = 10.0
MARGIN = 0.35
DIVERGING = "PuOr_r"  # orange speaks for the label, purple against it, white does neither
MAP_ALPHA = 0.65
SEQUENTIAL = "cividis"  # yellow most, blue least
TITLE_SIZE, HEADING_SIZE, TEXT_SIZE, SMALL_SIZE = 14.0, 10.5, 11.0, 9.0
PHOTO_SIDE_INCHES = 2.95  # at most
PHOTO_GAP = 0.2
LEGEND_WIDTH = 1.3  # at least; also of the headings above
BAR_HEIGHT = 0.62
BELOW_BARS = 0.89  # three lines of text
WAVEFORM_HEIGHT = 1.25
ENVELOPE_COLUMNS = 900

Floats = NDArray[np.float64]


def png(explained: Explained) -> bytes:
    """The picture. Settings of the user's matplotlib have no part in it."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"font.family": "DejaVu Sans", "axes.linewidth": 0.6, "path.simplify": False})
        figure = _draw(explained)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw(explained: Explained) -> Figure:
    blocks = _text_blocks(explained, WIDTH_INCHES - 2 * MARGIN)
    photos_top = 1.25
    photo_size = _photo_size(explained.photo)
    waveform_top = photos_top + max(photo_size[1] + 0.45, BAR_HEIGHT * _bar_count(explained) + BELOW_BARS) + 0.35
    text_top = waveform_top + (WAVEFORM_HEIGHT + 0.62 if explained.speech is not None else -0.3)
    heights = [line_height(HEADING_SIZE) + len(lines) * line_height(TEXT_SIZE) + 0.16 for _, lines in blocks]
    height = round((text_top + sum(heights) + 0.1) * DPI) / DPI
    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    _draw_title(figure, explained)
    if explained.photo is not None and explained.image_map is not None:
        _draw_photos(figure, explained.photo, explained.image_map, photo_size, photos_top)
    bars_left = MARGIN
    if explained.photo is not None:
        bars_left += 2 * (max(photo_size[0], LEGEND_WIDTH) + PHOTO_GAP) + 0.15
    _draw_contributions(figure, explained, bars_left, photos_top)
    if explained.speech is not None:
        _draw_waveform(figure, explained.speech, waveform_top)
    for (heading, lines), block_height in zip(blocks, heights, strict=True):
        first_line = text_top + line_height(HEADING_SIZE)
        draw_text(figure, heading, MARGIN, first_line - 0.07, HEADING_SIZE, bold=True)
        draw_lines(figure, lines, MARGIN, first_line, TEXT_SIZE)
        text_top += block_height
    return figure


def _draw_title(figure: Figure, explained: Explained) -> None:
    title = f"Predicted {explained.predicted} ({explained.score:.1%})"
    if explained.truth is not None:
        right = "correct" if explained.truth == explained.predicted else "wrong"
        title += f", true label {explained.truth}: {right}"
    draw_text(figure, drawable(title), MARGIN, 0.48, TITLE_SIZE, bold=True)
    what = f"values are parts of the {explained.output} of “{explained.predicted}”; in place of what is absent:"
    note = drawable(f"{explained.name}: {what} {explained.baselines}")
    draw_lines(figure, wrapped(plain(note), SMALL_SIZE, WIDTH_INCHES - 2 * MARGIN)[:2], MARGIN, 0.56, SMALL_SIZE)


def _bar_count(explained: Explained) -> int:
    return len(explained.modality_values) + (explained.synergy is not None)


def _photo_size(photo: Image.Image | None) -> tuple[float, float]:
    """Drawn width and height, in inches."""
    if photo is None:
        return 0.0, 0.0
    longer = max(photo.size)
    width, height = (max(PHOTO_SIDE_INCHES * side / longer, 0.1) for side in photo.size)
    return width, height


def _draw_photos(
    figure: Figure, photo: Image.Image, image_map: Floats, size: tuple[float, float], top: float
) -> None:  # fmt: skip
    """The photo, and beside it the map over the photo in grey."""
    photo = photo.convert("RGB")
    photo.thumbnail((900, 900))
    width, height = size
    limit = _limit(image_map)
    left = MARGIN + max(width, LEGEND_WIDTH) + PHOTO_GAP
    coloured, mapped = _axes(figure, MARGIN, top, width, height), _axes(figure, left, top, width, height)
    extent = (0.0, float(photo.width), float(photo.height), 0.0)
    coloured.imshow(np.asarray(photo), aspect="auto", extent=extent, interpolation="lanczos")
    mapped.imshow(np.asarray(photo.convert("L")), cmap="gray", vmin=-120, vmax=300, aspect="auto", extent=extent)
    colours = mapped.imshow(
        image_map, cmap=DIVERGING, vmin=-limit, vmax=limit, alpha=MAP_ALPHA, aspect="auto", extent=extent,
        interpolation="nearest",
    )  # fmt: skip
    for axes, heading in ((coloured, "Picture"), (mapped, "What in it counts")):
        axes.set(xticks=[], yticks=[])
        place = MARGIN if axes is coloured else left
        draw_text(figure, heading, place, top - 0.08, HEADING_SIZE, bold=True)
    bar = _axes(figure, left, top + height + 0.1, max(width, LEGEND_WIDTH), 0.12)
    colourbar = figure.colorbar(colours, cax=bar, orientation="horizontal")
    colourbar.set_ticks([-limit, 0.0, limit], labels=["against", "0", "for"])
    _end_ticks(bar)


def _draw_contributions(figure: Figure, explained: Explained, left: float, top: float) -> None:
    """A bar for each modality, and for what the two add only together."""
    bars = dict(explained.modality_values)
    total = sum(abs(value) for value in bars.values())
    labels = [f"{name}\n{abs(value) / total:.0%}" if total else name for name, value in bars.items()]
    if explained.synergy is not None:
        bars["synergy"] = explained.synergy
        labels.append("synergy\nin both")
    axes = _axes(figure, left + 0.7, top, min(WIDTH_INCHES - MARGIN - left - 0.7, 3.2), BAR_HEIGHT * len(bars))
    places = np.arange(len(bars))
    values = np.array(list(bars.values()))
    colours = mpl.colormaps[DIVERGING](0.5 + 0.3 * np.sign(values))
    axes.barh(places, values, height=0.5, color=colours, edgecolor="0.3", linewidth=0.5)
    axes.axvline(0, color="black", linewidth=0.8)
    for place, value in zip(places, values, strict=True):
        axes.annotate(
            _signed(value), (value, place), xytext=(4 if value >= 0 else -4, 0), textcoords="offset points",
            ha="left" if value >= 0 else "right", va="center", fontproperties=font(SMALL_SIZE),
        )  # fmt: skip
    limit = _limit(values)
    axes.set(xlim=(-2.1 * limit, 2.1 * limit), ylim=(len(bars) - 0.5, -0.5), xticks=[])
    axes.set_yticks(places, labels, fontproperties=font(SMALL_SIZE))
    axes.tick_params(length=0)
    for side in ("top", "right", "bottom", "left"):
        axes.spines[side].set_visible(False)
    draw_text(figure, "What each modality adds", left, top - 0.08, HEADING_SIZE, bold=True)
    ends = {"with everything": explained.v_full, "with nothing": explained.v_empty}
    ends["difference"] = explained.v_full - explained.v_empty
    for row, (name, value) in enumerate(ends.items()):
        baseline = top + BAR_HEIGHT * len(bars) + 0.3 + row * line_height(SMALL_SIZE)
        draw_text(figure, f"{explained.output} {name}", left, baseline, SMALL_SIZE)
        draw_text(figure, _signed(value), left + 2.3, baseline, SMALL_SIZE, align="right")


def _draw_waveform(figure: Figure, speech: Speech, top: float) -> None:
    width = WIDTH_INCHES - 2 * MARGIN
    axes = _axes(figure, MARGIN, top, width, WAVEFORM_HEIGHT)
    low, high = float(speech.frame_map.min()), float(speech.frame_map.max())
    norm = Normalize(low, high if high > low else low + 1)
    colour_of = mpl.colormaps[SEQUENTIAL]
    seconds = len(speech.waveform) / SAMPLING_RATE_HZ
    bounds = np.flatnonzero(np.diff(speech.segment_of_frame, prepend=-2, append=-2))
    for begin, end in pairwise(bounds):
        start = begin * speech.seconds_per_frame
        stop = min(end * speech.seconds_per_frame, seconds)
        times, below, above = _envelope(speech.waveform, start, stop, seconds)
        axes.fill_between(times, below, above, color=colour_of(norm(speech.frame_map[begin])), linewidth=0.4, zorder=2)
        if begin:
            axes.axvline(start, color="0.75", linewidth=0.6, zorder=1)
        if not speech.kept[begin]:
            axes.axvspan(start, stop, facecolor="0.9", edgecolor="0.6", hatch="///", linewidth=0, zorder=0)
    peak = max(float(np.abs(speech.waveform).max()), 1e-3) * 1.08
    axes.set(xlim=(0, seconds), ylim=(-peak, peak), yticks=[])
    axes.set_xlabel("seconds", fontproperties=font(SMALL_SIZE), labelpad=1)
    axes.tick_params(labelsize=SMALL_SIZE, length=2.5, width=0.6)
    draw_text(figure, "Speech", MARGIN, top - 0.08, HEADING_SIZE, bold=True)
    hatched = f"hatched: below percentile {speech.percentile:g}, silenced"
    draw_text(figure, hatched, WIDTH_INCHES - MARGIN, top - 0.08, SMALL_SIZE, align="right")
    bar = _axes(figure, WIDTH_INCHES - MARGIN - 2.2, top + WAVEFORM_HEIGHT + 0.3, 2.2, 0.12)
    colourbar = figure.colorbar(ScalarMappable(norm, SEQUENTIAL), cax=bar, orientation="horizontal")
    colourbar.set_ticks([norm.vmin or 0.0, norm.vmax or 0.0], labels=["least important", "most"])
    _end_ticks(bar)


def _text_blocks(explained: Explained, width: float) -> list[tuple[str, list[Line]]]:
    blocks: list[tuple[str, Sequence[Token]]] = []
    if explained.speech is not None:
        speech = explained.speech
        limit = _limit(np.array([word.value for word in speech.words]))
        colour_of = mpl.colormaps[DIVERGING]
        words: list[Token] = [(drawable(word.text), colour_of(0.5 + 0.5 * word.value / limit)) for word in speech.words]
        blocks.append((f"Words heard, orange for and purple against the label (up to ±{limit:.2g})", words))
        blocks.append(("Heard without the hatched parts", plain(drawable(speech.text_kept))))
    if explained.tweet is not None:
        blocks.append(("Tweet", plain(drawable(explained.tweet))))
    return [(heading, wrapped(tokens or [("(nothing)", None)], TEXT_SIZE, width)) for heading, tokens in blocks]


def _envelope(waveform: Waveform, start: float, stop: float, seconds: float) -> tuple[Floats, Floats, Floats]:
    """Times, lowest and highest samples of a stretch of the recording, about one per pixel column."""
    first, last = (min(round(time * SAMPLING_RATE_HZ), len(waveform)) for time in (start, stop))
    samples = waveform[first:last].astype(np.float64)
    if not len(samples):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    columns = max(2, min(len(samples), round(ENVELOPE_COLUMNS * (stop - start) / seconds)))
    edges = np.linspace(0, len(samples), columns, endpoint=False).astype(np.int64)
    times = np.linspace(start, stop, columns)
    return times, np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)


def _signed(value: float) -> str:
    return (f"{value:+.2f}" if abs(value) < 100 else f"{value:+.0f}").replace("-", "−")


def _limit(values: Floats) -> float:
    """The end of a scale around zero that all values lie on."""
    return float(np.abs(values).max(initial=0.0)) or 1.0


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the left and the upper edge."""
    across, down = figure.get_figwidth(), figure.get_figheight()
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def _end_ticks(bar: Axes) -> None:
    """Labels at the ends of a colour bar stay between its ends."""
    bar.tick_params(labelsize=SMALL_SIZE, length=2)
    labels: list[Any] = bar.get_xticklabels()
    labels[0].set_horizontalalignment("left")
    labels[-1].set_horizontalalignment("right")
