"""Charts of the page by Vega-Lite: a drawing that needs no script, and the same chart for a browser that has one.

In   points by series; or values with intervals by name
Out  `Chart`: SVG text, the compiled Vega specification, and the same numbers as a table; equal inputs give equal bytes

At most `MOST_LINES` lines share a panel; more become small multiples. Colours are variables of the page's style sheet.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.reporting.vega import INK, SOFT, Spec, compiled, static_svg

Points = Sequence[tuple[float, float]]
Lines = Mapping[str, Points]

MOST_LINES = 3  # of a panel; more cannot be followed by eye
WIDTH_PX, HEIGHT_PX = 330, 190  # small, so that its text is readable on a phone
PANEL_WIDTH_PX, PANEL_HEIGHT_PX, PANELS_ACROSS = 150, 110, 2
DASHES: tuple[list[float], ...] = ([1, 0], [5, 2], [1.5, 1.5])
TARGETS = "targets"  # layer of invisible points, for a pointer to hit
SHAPES = ("circle", "square", "triangle-up")


@dataclass(frozen=True)
class Key:
    """An entry of a legend: name, CSS colour, `stroke-dasharray`; and whether it names a series of the chart."""

    name: str
    colour: str
    dashes: str
    series: bool = True


@dataclass(frozen=True)
class Chart:
    """A chart and what stands in it."""

    title: str
    svg: str  # inline, without scripts
    spec: Spec  # of Vega
    legend: list[Key]  # which the page writes, so that all panels share it
    columns: tuple[str, ...]  # heading of the table
    rows: list[tuple[str, ...]]  # of the table, as text
    note: str = ""  # what to see or to beware of

    @property
    def key(self) -> str:
        """Its name in the page."""
        return _key(self.title)


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

    def encoding(self, values: Sequence[float], field: str, *, ticks: int, **scale: Any) -> Spec:
        """The channel of Vega-Lite."""
        shown = ".0%" if self.percent else ",d" if self.whole else ",~g"
        axis: Spec = {"title": self.label, "format": shown, "tickCount": ticks}
        if self.whole:
            axis["tickMinStep"] = 1
        lowest = min(values, default=0.0)
        domain: Spec = {"domain": list(self.limits), "nice": False} if self.limits else {"zero": lowest >= 0}
        return {"field": field, "type": "quantitative", "axis": axis, "scale": {**domain, **scale}}


@dataclass(frozen=True)
class Style:
    """What else is drawn."""

    steps: bool = False  # as a histogram, each point at the lower edge of its bin
    diagonal: bool = False  # a line where x equals y
    marked: tuple[float, str] | None = None  # a line at this x, and what it is called
    marks: bool = True  # a mark at each point


@dataclass(frozen=True)
class Measured:
    """A value with its interval, and single runs of the same where there are several."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    runs: tuple[float, ...] = ()
    note: str = ""  # more about it


PLAIN = Style()


def chart(
    title: str, lines: Lines | Mapping[str, Lines], x: Axis, y: Axis, style: Style = PLAIN, note: str = ""
) -> Chart:  # fmt: skip
    """A chart of lines by name, or by panel and name; with its table: a row for each x, a column for each line."""
    panels = _panels(lines)
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    alone = {name for panel, series in panels.items() for name in series if panel == name}  # panels name them
    shared = [name for name in names if name not in alone]
    colours = {name: shared.index(name) if name in shared else 0 for name in names}
    records = [
        {"panel": panel, "series": name, "x": at, "y": value, "at": x.text(at), "value": y.text(value), **extra}
        for panel, series in panels.items()
        for name, points in series.items()
        for (at, value), extra in zip(points, _middles(points) if style.steps else [{}] * len(points), strict=True)
    ]
    columns = {
        (f"{panel}: {name}" if panel and panel != name else name): dict(points)
        for panel, series in panels.items()
        for name, points in series.items()
    }
    table = [
        (x.text(at), *(y.text(line[at]) if at in line else "–" for line in columns.values()))
        for at in sorted(set().union(*columns.values()))
    ]
    spec = _lines(records, list(panels), colours, x, y, style)
    keys = [Key(name, _colour(colours[name]), _dash(colours[name])) for name in shared]
    if len(shared) < 2 and not style.diagonal:
        keys = []
    if style.diagonal:
        keys.append(Key("as sure as right", SOFT, "3 3", series=False))
    if style.marked:
        keys.append(Key(style.marked[1], INK, "2 2", series=False))
    return _drawn(title, spec, keys, (x.label, *(name or y.label for name in columns)), table, note)


def interval_chart(
    title: str, measured: Sequence[Measured], axis: Axis, marked: tuple[float, str], note: str = ""
) -> Chart:  # fmt: skip
    """Values with their intervals and runs, one below the other, and a line at the x they are to be read against."""
    rows = [
        {"name": one.name, "x": one.value, "value": axis.text(one.value), "low": one.low, "high": one.high,
         "interval": _interval(one, axis), "note": one.note}
        for one in measured
    ]  # fmt: skip
    runs = [{"name": one.name, "x": run, "value": axis.text(run)} for one in measured for run in one.runs]
    ends = [end for one in measured for end in (one.value, one.low, one.high, *one.runs) if end is not None]
    x = axis.encoding([marked[0], *ends], "x", ticks=5, zero=False, padding=12)
    names: Spec = {
        "field": "name", "type": "nominal", "sort": None,
        "axis": {"title": None, "labelLimit": 150, "ticks": False, "domain": False},
    }  # fmt: skip
    tips = [("value", axis.label), ("interval", "95 % interval"), ("note", "note")]
    layers: list[Spec] = [
        {"data": {"values": [{"x": marked[0]}]}, "mark": {"type": "rule", "color": INK, "strokeDash": [2, 2]},
         "encoding": {"x": x}},
        {"mark": {"type": "rule", "strokeWidth": 2, "color": _colour(0)},
         "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": names}},
        {"data": {"values": runs}, "mark": {"type": "point", "size": 40, "color": _colour(1), "yOffset": 7},
         "encoding": {"x": x, "y": names, "tooltip": _tooltip([("name", "network"), ("value", "one run")])}},
        {"mark": {"type": "point", "filled": True, "size": 70, "opacity": 1, "color": _colour(0)},
         "encoding": {"x": x, "y": names, "tooltip": _tooltip([("name", "network"), *tips])}},
    ]  # fmt: skip
    spec = {"width": WIDTH_PX - 60, "height": {"step": 26}, "data": {"values": rows}, "layer": layers}
    keys = [Key(marked[1], INK, "2 2", series=False)]
    if runs:
        keys.insert(0, Key("single runs", _colour(1), "1 0", series=False))
    table: list[tuple[str, ...]] = [
        (one.name, axis.text(one.value), _interval(one, axis), ", ".join(axis.text(run) for run in one.runs) or "–",
         one.note or "–") for one in measured
    ]  # fmt: skip
    return _drawn(title, spec, keys, ("network", axis.label, "95 % interval", "runs", "note"), table, note)


def _interval(one: Measured, axis: Axis) -> str:
    return "–" if one.low is None or one.high is None else f"{axis.text(one.low)} to {axis.text(one.high)}"


def _panels(lines: Lines | Mapping[str, Lines]) -> dict[str, Lines]:
    """Lines by panel; too many of one panel get a panel each."""
    nested: dict[str, Any] = dict(lines)
    if not any(isinstance(value, Mapping) for value in nested.values()):
        return {name: {name: nested[name]} for name in nested} if len(nested) > MOST_LINES else {"": nested}
    if crowded := [name for name, panel in nested.items() if len(panel) > MOST_LINES]:
        raise ValueError(f"panel {crowded[0]}: {len(nested[crowded[0]])} lines; at most {MOST_LINES} can be followed")
    return nested


def _middles(points: Points) -> list[Spec]:
    """The middle of each bin, where a pointer finds its number."""
    width = points[1][0] - points[0][0] if len(points) > 1 else 0.0
    return [{"middle": at + width / 2} for at, _ in points]


def _lines(
    rows: list[Spec], panels: Sequence[str], colours: Mapping[str, int], x: Axis, y: Axis, style: Style
) -> Spec:  # fmt: skip
    many = len(panels) > 1
    ticks = 3 if many else 5
    xs, ys = ([row[axis] for row in rows] for axis in ("x", "y"))
    across, up = x.encoding(xs, "x", ticks=ticks + 1), y.encoding(ys, "y", ticks=ticks)
    series: Spec = {"field": "series", "type": "nominal", "legend": None}
    numbers = list(colours.values())
    shade = {**series, "scale": {"domain": list(colours), "range": [_colour(number) for number in numbers]}}
    dash = {**series, "scale": {"domain": list(colours), "range": [_dashes(number) for number in numbers]}}
    lit = {"condition": {"test": "lit === '' || datum.series === lit", "value": 1}, "value": 0.12}
    tip = _tooltip([("series", "series"), ("at", x.label), ("value", y.label)])
    layers: list[Spec] = []
    if style.diagonal:
        layers.append({
            "data": {"values": [{"x": 0, "x2": 1, "y": 0, "y2": 1}]},
            "mark": {"type": "rule", "color": SOFT, "strokeDash": [3, 3]},
            "encoding": {"x": across, "x2": {"field": "x2"}, "y": up, "y2": {"field": "y2"}},
        })  # fmt: skip
    if style.marked:
        at = {key: value for key, value in across.items() if key != "field"} | {"datum": {"expr": "at"}}
        layers.append({"mark": {"type": "rule", "color": INK, "strokeDash": [2, 2]}, "encoding": {"x": at}})
    line = {"type": "line", "strokeWidth": 2, "interpolate": "step-after" if style.steps else "linear"}
    layers.append(
        {"mark": line, "encoding": {"x": across, "y": up, "color": shade, "strokeDash": dash, "opacity": lit}}
    )
    if style.marks and not style.steps:
        mark = {"type": "point", "filled": True, "size": 30}
        shape = {**series, "scale": {"domain": list(colours), "range": [SHAPES[n % len(SHAPES)] for n in numbers]}}
        layers.append(
            {"mark": mark, "encoding": {"x": across, "y": up, "color": shade, "shape": shape, "opacity": lit}}
        )
    where = {**across, "field": "middle"} if style.steps else across
    layers.append({
        "name": TARGETS, "mark": {"type": "point", "filled": True, "size": 220, "opacity": 0},
        "encoding": {"x": where, "y": up, "tooltip": tip},
    })  # fmt: skip
    size = {"width": PANEL_WIDTH_PX, "height": PANEL_HEIGHT_PX} if many else {"width": WIDTH_PX, "height": HEIGHT_PX}
    one: Spec = {**size, "layer": layers}
    # What the page's script sets: the series that alone is not pale, and where the marked line stands.
    params = [{"name": "lit", "value": ""}, *([{"name": "at", "value": style.marked[0]}] if style.marked else [])]
    top: Spec = {"data": {"values": rows}, "params": params}
    if not many:
        return {**top, **one}
    across["axis"] = {**across["axis"], "title": None}  # told once, below all panels
    return {
        **top, "columns": PANELS_ACROSS, "facet": {"field": "panel", "sort": list(panels)}, "spec": one,
        "resolve": {"axis": {"x": "independent"}}, "spacing": {"row": 14, "column": 18},
        "title": {"text": x.label, "orient": "bottom", "anchor": "middle"},
    }  # fmt: skip


def _tooltip(fields: Sequence[tuple[str, str]]) -> list[Spec]:
    return [{"field": field, "type": "nominal", "title": title} for field, title in fields]


def _colour(number: int) -> str:
    return f"var(--series-{number + 1})"


def _dashes(number: int) -> list[float]:
    return DASHES[number % len(DASHES)]


def _dash(number: int) -> str:
    return "none" if not number % len(DASHES) else " ".join(f"{2 * part:g}" for part in _dashes(number))


def _drawn(
    title: str, spec: Spec, keys: list[Key], columns: tuple[str, ...], rows: list[tuple[str, ...]], note: str
) -> Chart:  # fmt: skip
    svg = static_svg(compiled(_without_targets(spec)), _key(title))
    return Chart(title, svg, compiled(spec), keys, columns, rows, note)


def _without_targets(spec: Spec) -> Spec:
    if "spec" in spec:
        return {**spec, "spec": _without_targets(spec["spec"])}
    return {**spec, "layer": [layer for layer in spec["layer"] if layer.get("name") != TARGETS]}


def _key(title: str) -> str:
    return re.sub(r"\W+", "-", title).strip("-").lower()
