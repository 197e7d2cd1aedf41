"""SIGKILL between any two steps of a commit and of publishing."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests import failpoints
from tests.faults.scene import SHARDS, Scene

Record = Callable[[str, str, str], None]

ROUNDS = 6  # of each point in the long form
WRITTEN = 2 * 3 * SHARDS + 3  # files of a run: two passes of parts, rejects and markers; note, manifest and metric
ARRIVALS = {
    "write": WRITTEN, "fsync": WRITTEN, "rename": WRITTEN, "marker": 2 * SHARDS, "link": SHARDS, "manifest": 1,
    "replace": 1, "retire": 1, "finish": 1,
}  # fmt: skip


def test_each_point_is_known() -> None:
    assert list(ARRIVALS) == list(failpoints.POINTS)


def test_a_run_killed_at_one_point_after_the_other_completes(scene: Scene, undisturbed: Mapping[str, str]) -> None:
    """Each run goes on where the one before died, so that what crashes leave behind adds up."""
    for point, number in (("write", 5), ("fsync", 4), ("rename", 1), ("rename", 5), ("marker", 3), ("link", 4)):
        assert scene.killed_at(point, number), point
        assert not (scene.root / "data").exists()
    for point in ("manifest", "replace", "retire", "finish"):
        assert scene.killed_at(point, 1), point
    scene.complete(undisturbed)


def test_a_report_that_was_being_written_leaves_nothing_behind(scene: Scene, undisturbed: Mapping[str, str]) -> None:
    assert scene.killed_at("write", WRITTEN)
    assert [name.startswith("reports/.numbers.json.") for name in scene.left_behind()] == [True]
    assert not scene.killed_at("write", 5)  # of shards that are there nothing is written again
    assert scene.outputs() == undisturbed
    assert scene.left_behind() == []


@pytest.mark.faults
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("point", list(failpoints.POINTS))
def test_kills_at_a_point(
    tmp_path: Path, undisturbed: Mapping[str, str], record: Record, point: str, workers: str
) -> None:
    chosen = random.Random(f"{point} {workers}")
    for number in range(ROUNDS):
        scene = Scene(tmp_path / str(number))
        published = number % 2 == 1 or point == "replace"
        if published:  # then there is an older output in the place of the new one
            scene.complete(undisturbed)
            for marker in list(scene.committed())[number:]:
                marker.unlink()
        most = ARRIVALS[point] if workers == "1" and not published else min(ARRIVALS[point], 3)
        at = chosen.randint(1, most)
        assert scene.killed_at(point, at, SIER_WORKERS=workers), at
        scene.complete(undisturbed, SIER_WORKERS=workers)
        record("SIGKILL at a failpoint", point, "over an older output" if published else "of a first run")
