"""The notebook runs, cell by cell in one namespace, in the folder of a finished build."""

from __future__ import annotations

import json

from PIL import Image

from tests.project import HERE, Project

NOTEBOOK = HERE / "docs/notebooks/from-load-to-explanation.ipynb"


def test_the_notebook_goes_from_load_to_explanation(tiny_links: Project) -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not [cell["id"] for cell in cells if cell["outputs"] or cell["execution_count"]], "clear its outputs"
    code = "\n\n".join("".join(cell["source"]) for cell in cells)
    cache = str(tiny_links.root.parent / "cache")
    done = tiny_links.run("python", "-c", code, HF_DATASETS_CACHE=cache, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    for rule in ("max_probability 0.5: ", "agreement 0.7: ", "agreement: ", "heard only: ", "seen only: "):
        assert rule in done.stdout
    assert Image.open(tiny_links.root / "explanation.png").size[0] == 1200
