"""README and docs show the graph that dvc.yaml describes, and the figures and tests that exist."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import yaml

from pipeline.commands.summary import summarise

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = ROOT / "docs"
GRAPH = (DOCS / "reference" / "graph.md").read_text(encoding="utf-8")
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def _stages() -> dict[str, dict[str, list[str]]]:
    """Stage name -> deps and outs in data/, foreach stages expanded."""
    stages = {}
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items():
        items = stage.get("foreach", {"": {}})
        if isinstance(items, str):  # a section of params.yaml
            items = PARAMS[items.removeprefix("${").removesuffix("}")]
        for key in items:
            text = yaml.safe_dump(stage.get("do", stage))
            values = items[key] if isinstance(items, dict) else {}
            text = text.replace("${key}", str(key))
            text = text.replace("${item}", str(key)) if isinstance(items, list) else text
            for field, value in values.items():
                text = text.replace("${item." + field + "}", str(value))
            text = re.sub(r"\$\{([a-z_]+)\.([a-z_]+)\}", lambda name: str(PARAMS[name[1]].get(name[2])), text)
            found = yaml.safe_load(text)
            stages[f"{name}@{key}" if key else name] = {
                kind: [next(iter(path)) if isinstance(path, dict) else path for path in found[kind]]
                for kind in ("deps", "outs")
            }
    return stages


def _edges_of_dvc() -> set[tuple[str, str]]:
    stages = _stages()
    maker = {out: name for name, stage in stages.items() for out in stage["outs"] if out.startswith("data/")}
    return {
        (maker[out], name)
        for name, stage in stages.items()
        for dep in stage["deps"]
        for out in maker
        if dep == out or dep.startswith(out + "/") or out.startswith(dep + "/")
    }


def _edges_drawn() -> set[tuple[str, str]]:
    block = re.search(r"```mermaid\n(.*?)```", GRAPH, re.DOTALL)
    assert block is not None
    titles = dict(re.findall(r'(\w+)\["([^"]+)"\]', block[1]))
    edges = set()
    for line in block[1].splitlines()[1:]:
        nodes = [re.sub(r"\[.*?\]", "", node).strip() for node in line.split("-->")]
        edges |= {(titles.get(one, one), titles.get(two, two)) for one, two in pairwise(nodes)}
    return edges


def test_the_picture_of_the_graph_shows_every_stage_and_only_edges_that_exist() -> None:
    drawn = _edges_drawn()
    alone = {name for name in _stages() if f'["{name}"]\n' in GRAPH}  # which no stage needs yet
    assert {stage for edge in drawn for stage in edge} | alone == set(_stages())
    assert drawn <= _edges_of_dvc()


def test_the_summary_is_that_of_the_reports_in_git() -> None:
    lines = summarise(ROOT / "reports")
    assert "\n".join(lines) in (DOCS / "tutorials" / "sample.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    assert len(set(shown.splitlines()) - {""}) > 5
    assert [line for line in lines if line in shown.splitlines()] == shown.splitlines(), "README shows other lines"


def test_the_table_names_every_stage() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", GRAPH, re.MULTILINE))
    assert {stage.split("@")[0] for stage in _stages()} <= named


def test_each_promise_names_tests_that_exist() -> None:
    page = (DOCS / "explanation" / "promises.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "held by" not in line]
    assert len(rows) > 5
    for row in rows:
        files = re.findall(r"`(tests/[\w/]+\.py)`", row)
        assert files, row
        for file in files:
            assert "\ndef test_" in (ROOT / file).read_text(encoding="utf-8"), file
