"""Lines and histograms as inline SVG, whose colours are variables of the page's style sheet.

In   points by series
Out  `Chart`: SVG text without width and height, and the same numbers as a table; equal inputs give equal bytes

Series differ by colour, dashes and marks. Text stays text, so that it can be searched, read aloud and enlarged.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import matplotlib.ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

Points = Sequence[tuple[float, float]]

WIDTH_INCHES, HEIGHT_INCHES = 4.7, 3.1  # small, so that its text is readable on a phone
INK, GRID, SOFT = "#010101", "#020202", "#030303"  # stand-ins, which become var(--ink) and so on
SERIES = tuple(f"#0a00{number:02d}" for number in range(1, 9))  # become var(--series-1) and so on
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)))
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "sier", "font.family": "sans-serif", "font.size": 12,
    "axes.edgecolor": GRID, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "text.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "grid.color": GRID, "grid.linewidth": 0.7,
    "axes.linewidth": 0.8, "path.simplify": False,
}  # fmt: skip


@dataclass(frozen=True)
class Key:
    """An entry of a legend: name, CSS colour, `stroke-dasharray`."""

    name: str
    colour: str
    dashes: str


@dataclass(frozen=True)
class Chart:
    """A chart and what stands in it."""

    title: str
    svg: str  # inline
    legend: list[Key]  # which the page writes, so that it flows
    columns: tuple[str, ...]  # heading of the table
    rows: list[tuple[str, ...]]  # of the table, as text
    note: str = ""  # what to see or to beware of


@dataclass(frozen=True)
class Axis:
    """How one axis is labelled."""

    label: str  # with unit
    percent: bool = False  # values in [0, 1] are shown as percentages
    limits: tuple[float, float] | None = None  # None to fit the values
    whole: bool = False  # only whole numbers are marked

    def text(self, value: float) -> str:
        """A value in a table."""
        if self.percent:
            return f"{value:.1%}"
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3g}"


@dataclass(frozen=True)
class Style:
    """What else is drawn."""

    steps: bool = False  # as a histogram, each point at the lower edge of its bin
    diagonal: bool = False  # a line where x equals y
    marked: tuple[float, str] | None = None  # a vertical line at this x, and what it is called
    marks: bool = True  # a mark at each point


PLAIN = Style()


def chart(
    title: str, lines: Mapping[str, Points], x: Axis, y: Axis, style: Style = PLAIN, note: str = ""
) -> Chart:  # fmt: skip
    """A chart of lines by name, with its table: a row for each x, a column for each line."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        _draw(axes, lines, style)
        _label(axes, x, y)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    values = {name: dict(points) for name, points in lines.items()}
    rows = [
        (x.text(at), *(y.text(line[at]) if at in line else "–" for line in values.values()))
        for at in sorted(set().union(*values.values()))
    ]
    heads = (x.label, *(name or y.label for name in lines))
    return Chart(title, _inline(buffer.getvalue().decode(), title), _keys(lines, style), heads, rows, note)


def _keys(lines: Mapping[str, Points], style: Style) -> list[Key]:
    keys = []
    if len(lines) > 1 or style.diagonal:
        keys = [Key(name, f"var(--series-{n % len(SERIES) + 1})", _dash(n)) for n, name in enumerate(lines)]
    if style.diagonal:
        keys.append(Key("as sure as right", "var(--soft)", "3 3"))
    if style.marked:
        keys.append(Key(style.marked[1], "var(--ink)", "2 2"))
    return keys


def _dash(number: int) -> str:
    dash = DASHES[number % len(DASHES)]
    return "none" if isinstance(dash, str) else " ".join(f"{2 * part:g}" for part in dash[1])


def _draw(axes: Axes, lines: Mapping[str, Points], style: Style) -> None:
    if style.diagonal:
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1.4, linestyle=(0, (3, 3)))
    if style.marked:
        axes.axvline(style.marked[0], color=INK, linewidth=1.2, linestyle=(0, (2, 2)))
    for number, points in enumerate(lines.values()):
        colour, dash = SERIES[number % len(SERIES)], DASHES[number % len(DASHES)]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        if style.steps:
            if len(xs) > 1:  # to the upper edge of the last bin
                xs, ys = [*xs, 2 * xs[-1] - xs[-2]], [*ys, ys[-1]]
            axes.step(xs, ys, where="post", color=colour, linestyle=dash, linewidth=2)
            continue
        mark = MARKS[number % len(MARKS)] if style.marks else None
        axes.plot(xs, ys, color=colour, linestyle=dash, linewidth=2, marker=mark, markersize=5, clip_on=False)


def _label(axes: Axes, x: Axis, y: Axis) -> None:
    axes.set(xlabel=x.label, ylabel=y.label)
    if x.limits:
        axes.set_xlim(*x.limits)
    if y.limits:
        axes.set_ylim(*y.limits)
    elif axes.get_ylim()[0] >= 0:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,g}"))
    for axis, settings in ((axes.xaxis, x), (axes.yaxis, y)):
        if settings.percent:
            axis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))
        if settings.whole:
            axis.set_major_locator(mpl.ticker.MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    axes.grid(True, axis="y")
    axes.set_axisbelow(True)
    axes.tick_params(length=3)


def _inline(svg: str, title: str) -> str:
    """Without prologue and size; ids of its own; colours as variables; not read aloud, for there is a table."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"|<svg ', _opening, svg, count=1)
    svg = re.sub(r' height="[\d.]+pt"| width="[\d.]+pt"| version="1.1"| xmlns(:xlink)?="[^"]*"', "", svg)
    prefix = re.sub(r"\W+", "-", title).strip("-").lower()
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(xlink:href="|url\()#', rf"\1#{prefix}-", svg).replace("xlink:href", "href")
    for colour, name in ((INK, "ink"), (GRID, "line"), (SOFT, "soft")):
        svg = svg.replace(colour, f"var(--{name})")
    svg = re.sub(r"#0a00(0\d)", lambda series: f"var(--series-{int(series[1])})", svg)
    return re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 var(--font)", svg)


def _opening(tag: re.Match[str]) -> str:
    return f'<svg aria-hidden="true" focusable="false" {tag[1] or ""}'
