"""What reports and card tell comes out again by other code, and what was changed by hand does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from pipeline.engine.fingerprint import PROJECT
from tests.project import Project
from tests.recompute.__main__ import figures


def test_every_figure_of_tables_validity_leaks_and_card_comes_out_again(tiny_build: Project) -> None:
    found = figures(tiny_build.root)
    assert [figure for figure in found if not figure.holds] == []
    kinds = {figure.name.split(":")[0] for figure in found}
    assert kinds == {"table_2", "table_3", "comparisons", "leaks", "card"} | {
        name for name in kinds if name.startswith("validity")
    }
    assert len(found) > 200


def test_a_figure_that_was_changed_by_hand_is_named(tiny_copy: Project) -> None:
    reports = tiny_copy.root / "reports"
    assembled = json.loads((reports / "assemble.json").read_bytes())
    assembled["leaks"]["found"] += 1
    (reports / "assemble.json").unlink()  # its bytes are shared with the build that was copied
    (reports / "assemble.json").write_text(json.dumps(assembled))
    table = (reports / "table_2.csv").read_text().splitlines()
    row = next(number for number, line in enumerate(table) if line.startswith("network,ParallelNet,"))
    place, cells = table[0].split(",").index("test_macro_f1"), table[row].split(",")
    table[row] = ",".join([*cells[:place], "0.987654", *cells[place + 1 :]])
    (reports / "table_2.csv").unlink()
    (reports / "table_2.csv").write_text("\n".join(table) + "\n")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.recompute", str(tiny_copy.root)], capture_output=True, text=True, check=False,
        env=environment, cwd=Path(PROJECT),
    )  # fmt: skip
    assert ran.returncode == 1
    told = [line.split(": the report tells")[0] for line in ran.stdout.splitlines()[:-1]]
    assert told == ["table_2: ParallelNet: macro_f1", "leaks: found", "card: leaks"]
