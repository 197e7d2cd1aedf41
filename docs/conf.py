"""Sphinx settings of the site; `make docs` builds it."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\[([^\]]+)\]\(([^)#:\s]+)(#?[^):\s]*)\)")

project = "SIER pipeline"
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
html_show_copyright = False
html_copy_source = False
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]  # as public hosts of repositories draw it
suppress_warnings = ["misc.highlighting_failure"]  # of csv, which Pygments does not know
nitpicky = True


def _name_files_of_the_repository(app: Any, page: str | Path, source: list[str]) -> None:
    """The site has no copy of what lies outside of docs/: a link to it becomes its path, to README the first page."""
    folder = (Path(app.srcdir) / page).parent

    def plain(link: re.Match[str]) -> str:
        path = (folder / link[2]).resolve()
        if path == ROOT / "README.md":
            return f"[{link[1]}](/index.md{link[3]})"
        return link[0] if path.is_relative_to(app.srcdir) else f"{link[1]} (`{path.relative_to(ROOT)}`)"

    source[0] = LINK.sub(plain, source[0])


def setup(app: Any) -> None:
    """Hook into the build; the first page includes README."""
    app.connect("source-read", _name_files_of_the_repository)
    app.connect("include-read", lambda app, path, _, text: _name_files_of_the_repository(app, path, text))
