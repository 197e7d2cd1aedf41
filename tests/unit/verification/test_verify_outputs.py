"""Outputs are those that dvc.lock names, if it names nothing else."""

from pathlib import Path

import pytest
import yaml

from pipeline.engine import files
from pipeline.verification.outputs import check_outputs, read_outputs


def lock(root: Path, *outs: object) -> None:
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"report": {"outs": list(outs)}}}))


def test_a_file_that_has_changed_is_told_with_what_to_run(tmp_path: Path) -> None:
    page = tmp_path / "reports" / "index.html"
    page.parent.mkdir()
    page.write_text("as it was made")
    lock(tmp_path, {"path": "reports/index.html", "md5": files.md5_of(page)})
    ticks: list[int] = []
    assert list(check_outputs(tmp_path, (), corpora=True, tick=ticks.append)) == []
    assert ticks == [len("as it was made")]
    page.write_text("as it was mads")
    (fault,) = check_outputs(tmp_path, (), corpora=True, tick=ticks.append)
    assert fault.what == "not what dvc.lock says; run: dvc repro --single-item --force report"


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../notes.txt", "data/../../notes.txt", "pipeline/errors.py", "data", "params.yaml", 7, None],
)
def test_a_lock_that_names_anything_else_is_a_fault_and_no_list_of_outputs(tmp_path: Path, path: object) -> None:
    lock(tmp_path, {"path": path, "md5": "0" * 32})
    with pytest.raises((ValueError, TypeError)):
        read_outputs(tmp_path)
    (fault,) = check_outputs(tmp_path, (), corpora=True, tick=lambda _: None)
    assert fault.where == tmp_path / "dvc.lock"
    assert fault.what.startswith("damaged (")
    assert "\n" not in fault.what
