"""One explanation as a picture, in the manner of the paper's Fig. 5.

In   `FigureContent`
Out  bytes of a PNG, WIDTH_INCHES * DPI pixels wide; equal inputs give equal bytes

From top to bottom: predicted and pseudo-label; the photo, its map and what each modality adds; the waveform, yellow
where the attribution is largest and blue where it is least; the words on the ground of their attribution; what is
heard when frames below the percentile are silenced; the tweet. Colours of both maps can be told apart with any colour
vision.
"""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from pipeline.explanation.figure_content import FigureContent, Speech
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
from pipeline.explanation.maps import DIVERGING, Floats, envelope, scale_limit, scaled, segment_times
from pipeline.media.audio import SAMPLING_RATE_HZ

WIDTH_INCHES = 10.0
MARGIN = 0.35
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


def png(content: FigureContent) -> bytes:
    """The picture. Settings of the user's matplotlib have no part in it."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"font.family": "DejaVu Sans", "axes.linewidth": 0.6, "path.simplify": False})
        figure = _draw(content)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw(content: FigureContent) -> Figure:
    blocks = _text_blocks(content, WIDTH_INCHES - 2 * MARGIN)
    bars = len(content.modality_values) + (content.synergy is not None)
    photos_top = 1.25
    photo_size = _photo_size(content.photo)
    waveform_top = photos_top + max(photo_size[1] + 0.45, BAR_HEIGHT * bars + BELOW_BARS) + 0.35
    text_top = waveform_top + (WAVEFORM_HEIGHT + 0.62 if content.speech is not None else -0.3)
    heights = [line_height(HEADING_SIZE) + len(lines) * line_height(TEXT_SIZE) + 0.16 for _, lines in blocks]
    height = round((text_top + sum(heights) + 0.1) * DPI) / DPI
    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    _draw_title(figure, content)
    if content.photo is not None and content.image_map is not None:
        _draw_photos(figure, content.photo, content.image_map, photo_size, photos_top)
    bars_left = MARGIN
    if content.photo is not None:
        bars_left += 2 * (max(photo_size[0], LEGEND_WIDTH) + PHOTO_GAP) + 0.15
    _draw_contributions(figure, content, bars_left, photos_top)
    if content.speech is not None:
        _draw_waveform(figure, content.speech, waveform_top)
    for (heading, lines), block_height in zip(blocks, heights, strict=True):
        first_line = text_top + line_height(HEADING_SIZE)
        draw_text(figure, heading, MARGIN, first_line - 0.07, HEADING_SIZE, bold=True)
        draw_lines(figure, lines, MARGIN, first_line, TEXT_SIZE)
        text_top += block_height
    return figure


def _draw_title(figure: Figure, content: FigureContent) -> None:
    title = f"Predicted {content.predicted} ({content.score:.1%})"
    if content.truth is not None:
        right = "correct" if content.truth == content.predicted else "wrong"
        title += f", pseudo-label {content.truth}: {right}"
    draw_text(figure, drawable(title), MARGIN, 0.48, TITLE_SIZE, bold=True)
    what = f"values are parts of the {content.output} of “{content.explained}”; in place of what is absent:"
    note = drawable(f"{content.name}: {what} {content.baselines}")
    draw_lines(figure, wrapped(plain(note), SMALL_SIZE, WIDTH_INCHES - 2 * MARGIN)[:2], MARGIN, 0.56, SMALL_SIZE)


def _photo_size(photo: Image.Image | None) -> tuple[float, float]:
    """Drawn width and height, in inches."""
    if photo is None:
        return 0.0, 0.0
    width, height = (max(PHOTO_SIDE_INCHES * side / max(photo.size), 0.1) for side in photo.size)
    return width, height


def _draw_photos(
    figure: Figure, photo: Image.Image, image_map: Floats, size: tuple[float, float], top: float
) -> None:  # fmt: skip
    """The photo, and beside it the map over the photo in grey."""
    photo = photo.convert("RGB")
    photo.thumbnail((900, 900))
    width, height = size
    limit = scale_limit(image_map)
    left = MARGIN + max(width, LEGEND_WIDTH) + PHOTO_GAP
    coloured, mapped = _axes(figure, MARGIN, top, width, height), _axes(figure, left, top, width, height)
    extent = (0.0, float(photo.width), float(photo.height), 0.0)
    coloured.imshow(np.asarray(photo), aspect="auto", extent=extent, interpolation="lanczos")
    mapped.imshow(np.asarray(photo.convert("L")), cmap="gray", vmin=-120, vmax=300, aspect="auto", extent=extent)
    colours = mapped.imshow(
        image_map, cmap=DIVERGING, vmin=-limit, vmax=limit, alpha=MAP_ALPHA, aspect="auto", extent=extent,
        interpolation="nearest",
    )  # fmt: skip
    for axes, begin, heading in ((coloured, MARGIN, "Picture"), (mapped, left, "What in it counts")):
        axes.set(xticks=[], yticks=[])
        draw_text(figure, heading, begin, top - 0.08, HEADING_SIZE, bold=True)
    bar = _axes(figure, left, top + height + 0.1, max(width, LEGEND_WIDTH), 0.12)
    _draw_scale(figure, bar, colours, {-limit: "against", 0.0: "0", limit: "for"})


def _draw_contributions(figure: Figure, content: FigureContent, left: float, top: float) -> None:
    """A bar for each modality, and for what the two add only together."""
    bars = dict(content.modality_values)
    total = sum(abs(value) for value in bars.values())
    labels = [f"{name}\n{abs(value) / total:.0%}" if total else name for name, value in bars.items()]
    if content.synergy is not None:
        bars["synergy"] = content.synergy
        labels.append("synergy\nin both")
    axes = _axes(figure, left + 0.7, top, min(WIDTH_INCHES - MARGIN - left - 0.7, 3.2), BAR_HEIGHT * len(bars))
    values = np.array(list(bars.values()))
    colours = mpl.colormaps[DIVERGING](0.5 + 0.3 * np.sign(values))
    axes.barh(range(len(bars)), values, height=0.5, color=colours, edgecolor="0.3", linewidth=0.5)
    axes.axvline(0, color="black", linewidth=0.8)
    for row, value in enumerate(values):
        axes.annotate(
            _signed(value), (value, row), xytext=(4 if value >= 0 else -4, 0), textcoords="offset points",
            ha="left" if value >= 0 else "right", va="center", fontproperties=font(SMALL_SIZE),
        )  # fmt: skip
    limit = scale_limit(values)
    axes.set(xlim=(-2.1 * limit, 2.1 * limit), ylim=(len(bars) - 0.5, -0.5), xticks=[])
    axes.set_yticks(range(len(bars)), labels, fontproperties=font(SMALL_SIZE))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    draw_text(figure, "What each modality adds", left, top - 0.08, HEADING_SIZE, bold=True)
    ends = {"with everything": content.v_full, "with nothing": content.v_empty}
    ends["difference"] = content.v_full - content.v_empty
    for row, (name, value) in enumerate(ends.items()):
        baseline = top + BAR_HEIGHT * len(bars) + 0.3 + row * line_height(SMALL_SIZE)
        draw_text(figure, f"{content.output} {name}", left, baseline, SMALL_SIZE)
        draw_text(figure, _signed(value), left + 2.3, baseline, SMALL_SIZE, align="right")


def _draw_waveform(figure: Figure, speech: Speech, top: float) -> None:
    width = WIDTH_INCHES - 2 * MARGIN
    axes = _axes(figure, MARGIN, top, width, WAVEFORM_HEIGHT)
    low, high = float(speech.frame_map.min()), float(speech.frame_map.max())
    high = high if high > low else low + 1
    norm = Normalize(low, high)
    colour_of = mpl.colormaps[SEQUENTIAL]
    seconds = len(speech.waveform) / SAMPLING_RATE_HZ
    for frame, start, stop in segment_times(speech.segment_of_frame, speech.seconds_per_frame, seconds):
        times, below, above = envelope(speech.waveform, start, stop, ENVELOPE_COLUMNS)
        axes.fill_between(times, below, above, color=colour_of(norm(speech.frame_map[frame])), linewidth=0.4, zorder=2)
        if frame:
            axes.axvline(start, color="0.75", linewidth=0.6, zorder=1)
        if not speech.kept[frame]:
            axes.axvspan(start, stop, facecolor="0.9", edgecolor="0.6", hatch="///", linewidth=0, zorder=0)
    peak = max(float(np.abs(speech.waveform).max()), 1e-3) * 1.08
    axes.set(xlim=(0, seconds), ylim=(-peak, peak), yticks=[])
    axes.set_xlabel("seconds", fontproperties=font(SMALL_SIZE), labelpad=1)
    axes.tick_params(labelsize=SMALL_SIZE, length=2.5, width=0.6)
    draw_text(figure, "Speech", MARGIN, top - 0.08, HEADING_SIZE, bold=True)
    hatched = f"hatched: below percentile {speech.percentile:g}, silenced ({1 - speech.kept.mean():.0%} of the speech)"
    draw_text(figure, hatched, WIDTH_INCHES - MARGIN, top - 0.08, SMALL_SIZE, align="right")
    bar = _axes(figure, WIDTH_INCHES - MARGIN - 2.2, top + WAVEFORM_HEIGHT + 0.3, 2.2, 0.12)
    _draw_scale(figure, bar, ScalarMappable(norm, SEQUENTIAL), {low: "least important", high: "most"})


def _text_blocks(content: FigureContent, width: float) -> list[tuple[str, list[Line]]]:
    blocks: list[tuple[str, Sequence[Token]]] = []
    if content.speech is not None:
        speech = content.speech
        values = np.array([word.value for word in speech.words])
        grounds = [mpl.colormaps[DIVERGING](0.5 + 0.5 * value) for value in scaled(values)]
        words: list[Token] = [(drawable(word.text), ground) for word, ground in zip(speech.words, grounds, strict=True)]
        heading = f"Words heard, orange for and purple against “{content.explained}” (up to ±{scale_limit(values):.2g})"
        blocks.append((heading, words))
        blocks.append(("Heard without the hatched parts", plain(drawable(speech.text_kept))))
    if content.tweet is not None:
        blocks.append(("Tweet", plain(drawable(content.tweet))))
    return [(heading, wrapped(tokens or [("(nothing)", None)], TEXT_SIZE, width)) for heading, tokens in blocks]


def _signed(value: float) -> str:
    return (f"{value:+.2f}" if abs(value) < 100 else f"{value:+.0f}").replace("-", "−")


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the left and the upper edge."""
    across, down = figure.get_figwidth(), figure.get_figheight()
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def _draw_scale(figure: Figure, bar: Axes, colours: ScalarMappable, ticks: dict[float, str]) -> None:
    """A colour bar; labels at its ends stay between these."""
    colourbar = figure.colorbar(colours, cax=bar, orientation="horizontal")
    colourbar.set_ticks(list(ticks), labels=list(ticks.values()))
    bar.tick_params(labelsize=SMALL_SIZE, length=2)
    labels: list[Any] = bar.get_xticklabels()
    labels[0].set_horizontalalignment("left")
    labels[-1].set_horizontalalignment("right")
