"""Vega, by the package vl-convert, which holds it: compiles charts, draws them, and gives the script that pages carry.

In   specifications of Vega-Lite, whose colours are variables of the page's style sheet
Out  specifications of Vega; SVG text; JavaScript. Nothing is fetched, and equal inputs give equal bytes
"""

import re
from functools import cache
from typing import Any

Spec = dict[str, Any]

VEGA_LITE = "6.4"  # of those that vl-convert holds; another draws other bytes
LICENCE = "/* Vega and Vega-Embed, (c) University of Washington Interactive Data Lab, BSD-3-Clause; d3, ISC */"
LARGEST = 1.25  # times its size, where there is room
INK, GRID, SOFT = "var(--ink)", "var(--line)", "var(--soft)"
CONFIG: Spec = {
    "background": "transparent", "font": "sans-serif", "view": {"stroke": None}, "aria": False,
    "axis": {
        "labelColor": INK, "titleColor": INK, "gridColor": GRID, "domainColor": GRID, "tickColor": GRID,
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal",
    },
    "axisX": {"grid": False},
    "title": {"color": INK, "fontSize": 12, "fontWeight": "normal"},
    "header": {"labelColor": INK, "labelFontSize": 12, "labelFontWeight": "bold", "title": None, "labelPadding": 4},
}  # fmt: skip


def compiled(spec: Spec) -> Spec:
    """Vega for Vega-Lite: what is wrong with a chart shows here, and not in a reader's browser."""
    import vl_convert  # noqa: PLC0415 - starts V8, which takes seconds

    vega: Spec = vl_convert.vegalite_to_vega({**spec, "config": CONFIG}, vl_version=VEGA_LITE)
    return vega


def static_svg(vega: Spec, key: str) -> str:
    """The chart as it is drawn without a browser: no size, ids that begin with `key`, not read aloud."""
    import vl_convert  # noqa: PLC0415 - as above

    svg = str(vl_convert.vega_to_svg(vega, allowed_base_urls=[]))
    opening = re.match(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', svg)
    if opening is None:
        raise ValueError(f"vl-convert drew {key} without a viewBox")
    widest = float(opening[1].split()[2]) * LARGEST
    head = f'<svg aria-hidden="true" focusable="false" viewBox="{opening[1]}" style="max-width:{widest:.0f}px">'
    return re.sub(r'\bid="', f'id="{key}-', re.sub(r"url\(#", f"url(#{key}-", head + svg[opening.end() :]))


@cache
def script() -> str:
    """All of Vega as one script, which leaves nothing but `vegaEmbed` in the page."""
    import vl_convert  # noqa: PLC0415 - as above

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
    return f"{LICENCE}\n(() => {{{bundle}}})();"
