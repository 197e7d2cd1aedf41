"""Two runs side by side: rows, flips and figures, and what is not comparable."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.commands.command import main
from pipeline.commands.compare import compare, read_run
from pipeline.engine import shards
from pipeline.errors import UserError
from pipeline.frame import tables

ROOT = Path(__file__).resolve().parents[3]
# id -> label, who decided, whether it is kept
A = {"1-0": ("anger", "speech", True), "2-0": ("sad", "image", True), "3-0": ("sad", "image", False)}
B = {"1-0": ("anger", "image", True), "2-0": ("hate", "image", True), "3-0": ("sad", "image", True),
     "4-0": ("sad", "image", True)}  # fmt: skip


def run(root: Path, rows: dict[str, tuple[str, str, bool]], params: str = "a: {b: 1, c: 2}\n") -> Path:
    shutil.copytree(ROOT / "reports", root / "reports", ignore=shutil.ignore_patterns("index.html"))
    (root / "params.yaml").write_text(params)
    empty = {name: 0.0 if name.endswith("_max") or name == "confidence" else "" for name in tables.LABELS.names}
    records: list[dict[str, Any]] = [
        {**empty, "id": key, "label": label, "decided_by": decider, "kept": kept}
        for key, (label, decider, kept) in rows.items()
    ]
    part = pa.Table.from_pylist(records, schema=tables.LABELS)
    work = root / ".work"
    marker = shards.commit(work, shards.Task(0, part.num_rows, None), shards.Output(part, []), "f")
    shards.publish(work, [marker], root / "data" / "labels")
    return root


def test_rows_flips_and_settings_are_counted(tmp_path: Path) -> None:
    lines = compare(
        read_run(run(tmp_path / "a", A)), read_run(run(tmp_path / "b", B, "a: {b: 1, c: 3}\nd: true\n"))
    )  # fmt: skip
    text = "\n".join(lines)
    assert "settings     2 of 3 differ\n  a.c: 2 | 3\n  d: (none) | True" in text
    assert "rows         3 scored in A, 4 in B, 3 in both" in text
    assert "of these 2 in both, 0 in A only, 1 in B only" in text
    assert "labels       1 of 2 flipped (50.0%)\n       1  sad -> hate" in text
    assert "decided by   another teacher in 1 of 2 (50.0%)" in text


def test_figures_stand_beside_what_they_are_read_against(tmp_path: Path) -> None:
    one, other = run(tmp_path / "a", A), run(tmp_path / "b", A)
    path = other / "reports" / "evaluate.json"
    evaluated = json.loads(path.read_text())
    evaluated["models"]["parallelnet"]["test"]["accuracy"] = 0.25
    evaluated["origin"] = "path"
    path.write_text(json.dumps(evaluated))
    lines = compare(read_run(one), read_run(other))
    assert "Made of different corpora" in lines[2]
    (place,) = [number for number, line in enumerate(lines) if line.startswith("  parallelnet  ")]
    assert "B     25.0% (" in lines[place + 1]
    assert "commonest class" in lines[place]
    assert sum("commonest" in line and "A, B" in line for line in lines) >= 3  # what is equal stands once


def test_two_folders_of_reports_have_figures_only_and_an_older_one_may_lack_some(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "reports", tmp_path / "old")
    label = json.loads((tmp_path / "old" / "label.json").read_text())
    del label["validity"]
    label["kept"] = 1
    (tmp_path / "old" / "label.json").write_text(json.dumps(label))
    text = "\n".join(compare(read_run(tmp_path / "old"), read_run(ROOT / "reports")))
    assert "rows         not compared" in text
    assert "settings     not compared" in text
    assert "validity              A     –" in text
    assert "A is not of one run: its labels and its dataset differ; run: dvc repro" in text


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: shutil.rmtree(root / "reports"), "expected a run"),
        (lambda root: (root / "reports" / "explain.json").unlink(), "explain.json: missing or damaged; run: dvc repro"),
        (lambda root: (root / "data" / "labels" / "manifest.jsonl").unlink(), "run: dvc repro label"),
        (lambda root: (root / "params.yaml").write_text("a: ["), "params.yaml"),
    ],
)
def test_what_is_no_run_is_refused_in_one_line(
    tmp_path: Path, damage: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = run(tmp_path / "a", A)
    damage(root)
    with pytest.raises(UserError, match=message):
        read_run(root)
    assert main(["compare", str(root), str(root)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
