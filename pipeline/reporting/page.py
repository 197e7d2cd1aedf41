"""The page itself: one HTML file with everything in it.

In   a mapping of all that the templates show
Out  HTML text: style, script, pictures and recordings inside; nothing is fetched from anywhere

Texts of tweets are hostile: every value is escaped by jinja2, in data for the script as well, and the page's own policy
lets no script run but ours. Charts are drawn by Vega, which vl-convert holds; it is told to interpret its expressions,
so that the policy need not allow `eval`.
"""

import base64
import hashlib
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline.reporting import vega
from pipeline.reporting.charts import Chart

TEMPLATE, MACROS, STYLE = "page.html.j2", "macros.html.j2", "style.css"
SCRIPTS = ("plots.js", "rows.js", "explore.js")
ASSETS = Path(__file__).parent / "assets"


def render(values: Mapping[str, Any]) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "percent": percent, "number": number, "size": size, "svg": _svg, "signed": signed,
        "as_written": html.unescape,  # a tweet holds some characters by their HTML names, such as &amp;
    }  # fmt: skip
    script = "\n".join([vega.script(), *((ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS)])
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = (ASSETS / STYLE).read_text(encoding="utf-8")
    return environment.get_template(TEMPLATE).render(
        **values,
        macros=MACROS,
        style=Markup(style),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        script_digest=digest,
    )


def percent(value: float | None, digits: int = 1) -> str:
    """A share as text."""
    return "–" if value is None else f"{value:.{digits}%}"


def number(value: float | None, digits: int = 2) -> str:
    """A number as text; whole ones without decimals."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def signed(value: float) -> str:
    """A number with its sign."""
    return f"{value:+.2f}".replace("-", "−")


def size(value: int | None) -> str:
    """Bytes as text."""
    if value is None:
        return "–"
    return f"{value / 1e6:,.1f} MB" if value >= 1e5 else f"{value / 1e3:,.1f} kB"


def _svg(drawn: Chart) -> Markup:
    return Markup(drawn.svg)  # noqa: S704 - ours, from numbers; names of series were escaped by Vega
