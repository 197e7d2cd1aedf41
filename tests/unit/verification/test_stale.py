from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.commands.command import run_command
from pipeline.errors import UserError
from pipeline.verification.stale import NOT_HERE, stale_stages


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def entry(deps: dict[str, str], outs: dict[str, str], params: dict[str, Any]) -> dict[str, Any]:
    listed = {kind: [{"path": path, "md5": sum_} for path, sum_ in files.items()]
              for kind, files in (("deps", deps), ("outs", outs))}  # fmt: skip
    return {"cmd": "x", **listed, "params": {"params.yaml": params}}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Three stages, one after the other, as DVC leaves them."""
    for folder in ("data/clean", "data/speech", "reports"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("clean", "synthesize", "label"):
        (tmp_path / "reports" / f"{name}.json").write_text(name)
    stages = {
        "clean": entry({}, {"data/clean": "1.dir", "reports/clean.json": md5(b"clean")}, {"clean": {"rate": "RATE"}}),
        "synthesize": entry(
            {"data/clean": "1.dir", "pipeline/frame": "9.dir"},
            {"data/speech": "2.dir", "reports/synthesize.json": md5(b"synthesize")}, {"base.seed": 7},
        ),
        "label": entry({"data/speech": "2.dir"}, {"reports/label.json": md5(b"label")}, {}),
    }  # fmt: skip
    # As DVC writes small numbers.
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False).replace("RATE", "1e-08"))
    (tmp_path / "params.yaml").write_text("clean: {rate: 0.00000001}\nbase: {seed: 7}\n")
    return tmp_path


def test_a_finished_run_has_nothing_stale(project: Path) -> None:
    assert stale_stages(project) == {}
    (project / "dvc.lock").unlink()
    assert stale_stages(project) is None


def test_what_follows_a_changed_parameter_or_report_is_stale_too(project: Path) -> None:
    (project / "reports" / "synthesize.json").write_text("of another run")
    behind = {"label": "synthesize is to be run before"}
    assert stale_stages(project) == {"synthesize": "reports/synthesize.json is not that of dvc.lock", **behind}
    (project / "reports" / "synthesize.json").write_text("synthesize")
    (project / "params.yaml").write_text("clean: {rate: 0.00000001}\nbase: {seed: 8}\n")
    assert stale_stages(project) == {"synthesize": "params.yaml: base.seed has changed", **behind}


def test_in_mid_run_what_was_made_of_earlier_inputs_is_stale(project: Path) -> None:
    lock = project / "dvc.lock"
    lock.write_text(lock.read_text().replace("1.dir", "3.dir", 1))  # clean has run again, and nothing after it
    assert stale_stages(project) == {
        "synthesize": "data/clean has been made anew", "label": "synthesize is to be run before",
    }  # fmt: skip
    (project / "data" / "speech").rmdir()  # DVC removes outputs before a stage runs
    found = stale_stages(project)
    assert found is not None
    assert found["synthesize"] == NOT_HERE


@pytest.mark.parametrize("text", ["stages: [", "stages: {clean: 3}", "x", "stages: {clean: {outs: [{}]}}"])
def test_a_damaged_lock_is_one_line(project: Path, text: str, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "dvc.lock").write_text(text)
    with pytest.raises(UserError, match="damaged"):
        stale_stages(project)
    monkeypatch.chdir(project)
    assert run_command("summary", []) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
