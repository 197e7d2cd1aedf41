from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import failpoints


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(failpoints.VARIABLE, raising=False)


def arrivals(setting: str, file: Path) -> subprocess.CompletedProcess[str]:
    script = f"""
import os
from pathlib import Path
os.environ["SIER_FAILPOINT"] = {setting!r}
from tests import failpoints
for number in range(1, 5):
    failpoints.hit("rename")
    failpoints.hit("write", Path({str(file)!r}))
    print(number, flush=True)
"""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("setting", "survived"), [("rename:3", "1\n2\n"), ("rename", ""), ("rename:9", "1\n2\n3\n4\n")]
)
def test_a_process_dies_at_the_named_arrival_only(tmp_path: Path, setting: str, survived: str) -> None:
    (tmp_path / "file").write_bytes(bytes(100))
    done = arrivals(setting, tmp_path / "file")
    assert done.stdout == survived
    died = survived != "1\n2\n3\n4\n"
    assert done.returncode == (-9 if died else 0)
    assert done.stderr == ("SIER_FAILPOINT: killed at rename\n" if died else "")
    assert (tmp_path / "file").stat().st_size == 100


def test_a_file_that_was_being_written_is_half_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(range(100)))
    assert arrivals("write", tmp_path / "file").returncode == -9
    assert (tmp_path / "file").read_bytes() == bytes(range(50))


def test_nothing_happens_where_the_variable_is_not_set() -> None:
    for point in failpoints.POINTS:
        failpoints.hit(point)
