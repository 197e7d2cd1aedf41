"""What the fault tests share: an undisturbed run to compare with, and a table of what was done to the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.faults.scene import Scene, stage

RECORDS: Counter[tuple[str, str, str]] = Counter()  # of this process; the long form runs in one


@pytest.fixture
def record() -> Callable[[str, str, str], None]:
    """Count one round by its fault, by where it hit and by what came of it."""

    def count(fault: str, where: str, outcome: str) -> None:
        RECORDS[fault, where, outcome] += 1

    return count


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Outputs of a run of `numbers` that nothing happened to."""
    scene = Scene(tmp_path_factory.mktemp("undisturbed"))
    done = scene.run()
    assert (done.returncode, done.stderr) == (0, "")
    found = scene.outputs()
    assert len(found) == 15
    assert scene.left_behind() == []
    return found


@pytest.fixture(scope="session")
def undisturbed_both(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Outputs of `numbers` and then `doubles`."""
    scene = Scene(tmp_path_factory.mktemp("undisturbed_both"))
    for name in ("numbers", "doubles"):
        assert scene.run(*stage(name)).returncode == 0
    return scene.outputs()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "scene")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not RECORDS:
        return
    terminalreporter.section("faults: each followed by a run that completed with the bytes of an undisturbed one")
    rows = [("fault", "where", "what happened", "rounds")]
    rows += [(*key, str(number)) for key, number in sorted(RECORDS.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:3], widths, strict=False)]
        terminalreporter.write_line("  ".join([*cells, row[3].rjust(widths[3])]))
