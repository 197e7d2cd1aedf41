"""Which shards a repair removes, and that it removes no other."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from dvc.repo import Repo

from pipeline.engine import shards
from pipeline.frame.stage import Paths
from pipeline.verification.repair import repair
from pipeline.verification.shard_files import Fault

FINGERPRINT = "f" * 64
COUNT = 4


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A finished stage `clean` of four shards; none of them has a reject, so that the tables of rejects are equal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    Repo.init(no_scm=True).close()
    paths = Paths(Path())
    work = paths.work / "clean" / FINGERPRINT[:16] / "kept"
    tables = [pa.table({"id": [f"{number}-1"]}) for number in range(COUNT)]
    markers = [
        shards.commit(work, shards.Task(number, 1, None), shards.Output(table), FINGERPRINT)
        for number, table in enumerate(tables)
    ]
    shards.publish(work, markers, paths.data / "clean")
    return paths


def left(paths: Paths) -> list[int]:
    """Numbers of the shards that a run would not do again."""
    work = next((paths.work / "clean").glob("*/kept"))
    return [number for number in range(COUNT) if shards.committed(work, number, FINGERPRINT) is not None]


def fault(paths: Paths, file: str) -> Fault:
    return Fault(paths.data / "clean" / file, "media", "cannot be decoded", file)


@pytest.mark.parametrize("file", ["part-00001.parquet", "rejects/part-00001.parquet"])
def test_a_shard_that_was_made_wrong_is_made_anew_and_no_other(paths: Paths, file: str) -> None:
    done = list(repair([fault(paths, file)], paths, {paths.data / "clean": "clean"}))
    assert left(paths) == [0, 2, 3]
    assert not (paths.data / "clean" / shards.MANIFEST).exists()
    assert done[0] == f"removed data/clean/{file}"
    assert done[-1] == "run: dvc repro (it makes what was removed of clean anew)"


def test_a_whole_shard_in_work_outlives_the_damage_of_its_published_copy(paths: Paths) -> None:
    part = paths.data / "clean" / "part-00001.parquet"
    part.unlink()
    part.write_bytes(b"torn")
    list(repair([fault(paths, part.name)], paths, {paths.data / "clean": "clean"}))
    assert left(paths) == [0, 1, 2, 3]
    assert not part.exists()


def test_faults_of_no_file_are_told_and_change_nothing(paths: Paths) -> None:
    before = sorted(paths.data.rglob("*"))
    (line,) = repair([Fault(paths.data / "clean", "join", "rows are lost")], paths, {paths.data / "clean": "clean"})
    assert line.startswith("1 faults lie in no single file and were left; dvc repro brings back")
    assert sorted(paths.data.rglob("*")) == before
    assert left(paths) == [0, 1, 2, 3]


@pytest.mark.parametrize("way", ["upwards", "link to a folder", "link in the place of the output"])
def test_nothing_outside_of_the_output_is_removed(paths: Paths, tmp_path: Path, way: str) -> None:
    (tmp_path / "mine").mkdir()
    mine = tmp_path / "mine" / "part-00001.parquet"
    mine.write_text("nobody's output")
    clean = paths.data / "clean"
    file = mine.name
    if way == "upwards":
        file = f"../../mine/{mine.name}"
    elif way == "link to a folder":
        (clean / "more").symlink_to(mine.parent)
        file = f"more/{mine.name}"
    else:
        clean.rename(paths.data / "elsewhere")
        clean.symlink_to(mine.parent)
    list(repair([fault(paths, file)], paths, {clean: "clean"}))
    assert mine.read_text() == "nobody's output"
    assert left(paths) == [0, 1, 2, 3]
