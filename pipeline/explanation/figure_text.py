"""Text in pictures: signs that the font lacks replaced, lines wrapped by their drawn width, words on coloured ground.

In   any Unicode text, such as tweets; boxes of a width in inches
Out  text that the font can draw; `Line`s of placed words; artists in a figure whose unit is the inch
"""

import html
from collections.abc import Sequence
from functools import cache
from typing import Any

import emoji
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.transforms import Affine2D

from pipeline.errors import UserError

FONT = "DejaVu Sans"  # comes with matplotlib, so that every machine draws the same
MISSING = "\ufffd"
DPI = 120  # of pictures; glyphs are fitted to whole pixels, so that widths depend on it
POINTS_PER_INCH = 72
LINE_SPACING = 1.55  # of the font size; leaves room for the ground of coloured words
PADDING_INCHES = 0.035

RGBA = tuple[float, float, float, float]
Token = tuple[str, RGBA | None]
Line = list[tuple[str, float, float, RGBA | None]]  # words: text, begin and width in inches, ground


def drawable(text: str) -> str:
    """`text` on one line, without HTML entities; emoji as names in brackets, other signs without glyph as one."""
    named = emoji.replace_emoji(html.unescape(text), lambda _, data: f" [{data['en'].strip(':').replace('_', ' ')}] ")
    signs = "".join(sign if ord(sign) in _signs() or sign.isspace() else MISSING for sign in named)
    return " ".join(signs.split())


def font(size: float, *, bold: bool = False) -> FontProperties:
    """The font of all pictures, in points."""
    return FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")


def expect_font() -> None:
    """Raises UserError where the font is not to be had: others have other widths and signs."""
    try:
        font_manager.findfont(FONT, fallback_to_default=False)
    except ValueError:
        raise UserError(
            f"the font {FONT}, which comes with matplotlib, is not found; install matplotlib anew"
        ) from None


def width_of(text: str, properties: FontProperties) -> float:
    """Drawn width, in inches."""
    measured: tuple[float, float, float] = _renderer().get_text_width_height_descent(text, properties, False)
    return measured[0] / DPI


def wrapped(tokens: Sequence[Token], size: float, width: float) -> list[Line]:
    """Tokens in lines that are no wider than `width` inches; what is too wide for a line of its own is torn."""
    properties = font(size)
    space = width_of("n n", properties) - width_of("nn", properties)
    lines: list[Line] = [[]]
    at = 0.0
    for text, colour in tokens:
        for piece in _pieces(text, properties, width - 2 * PADDING_INCHES):
            long = width_of(piece, properties)
            padding = PADDING_INCHES if colour else 0.0
            if lines[-1] and at + long + 2 * padding > width:
                lines.append([])
                at = 0.0
            lines[-1].append((piece, at + padding, long, colour))
            at += long + 2 * padding + space
    return lines


def plain(text: str) -> list[Token]:
    """The words of a text as tokens without ground."""
    return [(word, None) for word in text.split()]


def draw_lines(figure: Figure, lines: Sequence[Line], left: float, top: float, size: float) -> None:
    """Put lines into a figure, `left` and `top` in inches from its left and upper edge."""
    height = figure.get_figheight()
    inches = Affine2D().scale(figure.dpi)
    step = line_height(size)
    for row, line in enumerate(lines):
        baseline = height - top - step * (row + 0.72)
        for text, at, long, colour in line:
            if colour is not None:
                corner, width = (left + at - PADDING_INCHES, baseline - 0.26 * step), long + 2 * PADDING_INCHES
                figure.add_artist(
                    Rectangle(corner, width, 0.9 * step, fc=colour, ec="0.75", linewidth=0.5, transform=inches)
                )
            draw_text(figure, text, left + at, height - baseline, size, colour=ink_on(colour))


def draw_text(
    figure: Figure, text: str, left: float, baseline: float, size: float, *, colour: str = "black", bold: bool = False,
    align: str = "left",
) -> None:  # fmt: skip
    """One line of text; `left` and `baseline` in inches from the left and the upper edge. `$` is just a sign."""
    figure.text(
        left / figure.get_figwidth(), 1 - baseline / figure.get_figheight(), text, fontproperties=font(size, bold=bold),
        color=colour, ha=align, va="baseline", parse_math=False,
    )  # fmt: skip


def line_height(size: float) -> float:
    """Distance of two lines, in inches."""
    return size * LINE_SPACING / POINTS_PER_INCH


def ink_on(colour: RGBA | None) -> str:
    """Black or white, whichever is easier to read on a ground."""
    if colour is None:
        return "black"
    red, green, blue, _ = colour
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.45 else "white"


def _pieces(text: str, properties: FontProperties, width: float) -> list[str]:
    pieces = []
    while width_of(text, properties) > width and len(text) > 1:
        cut = next(cut for cut in range(len(text) - 1, 0, -1) if cut == 1 or width_of(text[:cut], properties) <= width)
        pieces.append(text[:cut])
        text = text[cut:]
    return [*pieces, text]


@cache
def _renderer() -> Any:  # its methods have no types
    canvas: Any = FigureCanvasAgg(Figure(dpi=DPI))
    return canvas.get_renderer()


@cache
def _signs() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont(FONT)).get_charmap())
