import json
from pathlib import Path

import pytest
import yaml

from pipeline.engine import usage
from pipeline.frame import whole_run
from pipeline.frame.whole_run import behind, read_graph, standing

SECTIONS = {"models": {"a": {"rows": "sier"}, "b": {"rows": "clean"}}, "audit": {"model": "a"}}
DVC = """
stages:
  get: {foreach: [x, y], do: {cmd: c, outs: [{"data/${item}": {cache: false}}]}}
  sier: {cmd: c, deps: [data/x], outs: [data/sier, reports/sier.json]}
  train:
    foreach: ${models}
    do: {cmd: c, deps: ["data/${item.rows}/manifest.json"], outs: ["nets/${key}"]}
  audit: {cmd: c, deps: ["nets/${audit.model}"], outs: [data/audit]}
  report: {cmd: c, deps: [nets, data/audit, reports/sier.json]}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").write_text(DVC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train@a")  # whoever has started pytest stands for DVC
    return tmp_path / ".work"


def test_stages_and_what_they_read() -> None:
    graph = read_graph(yaml.safe_load(DVC), SECTIONS)
    assert list(graph) == ["get@x", "get@y", "sier", "train@a", "train@b", "audit", "report"]
    assert graph["train@a"] == {"sier"} and not graph["train@b"]
    assert graph["audit"] == {"train@a"} and graph["report"] == {"sier", "train@a", "train@b", "audit"}
    assert behind(graph, "audit") == {"train@a", "sier", "get@x"}


def test_counts_what_is_behind_and_adds_up_what_is_left(project: Path) -> None:
    usage.write_plan(project, {"train@a": 999.0, "train@b": 60.0, "get@y": 30.0})
    usage.record(project, "train@a", 200.0)
    line = standing("train@a", SECTIONS, project)
    # train@a by its last run, the others as planned; sier and get@x are behind it.
    assert line and line.startswith("[3/7] train@a: ") and "at most about 5 min left, besides 2 stages" in line
    line = standing("train@b", SECTIONS, project)
    assert line and line.startswith("[4/7] train@b: ") and "at most about 90 s left, besides 2 stages" in line

    run = json.loads((project / whole_run.RUN_FILE).read_bytes())
    (project / whole_run.RUN_FILE).write_text(json.dumps({**run, "dvc": [1, 0.0]}))  # of another `dvc repro`
    line = standing("train@b", SECTIONS, project)
    assert line and line.startswith("[1/7] train@b: ")


def test_without_a_record_it_says_so_once_a_run(project: Path) -> None:
    line = standing("get@x", SECTIONS, project)
    assert line and "not known before a first run, or sier plan" in line
    line = standing("get@y", SECTIONS, project)
    assert line and line.startswith("[2/7] get@y: ") and line.endswith(" so far")


@pytest.mark.parametrize("text", ["[", "stages: []", "stages: {train@a: {deps: ['${nothing}']}}", "- 1"])
def test_a_graph_that_cannot_be_read_costs_only_the_line(project: Path, text: str) -> None:
    Path("dvc.yaml").write_text(text)
    assert standing("train@a", SECTIONS, project) is None


def test_without_dvc_nothing_is_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STAGE")
    assert standing("train@a", SECTIONS, project) is None
