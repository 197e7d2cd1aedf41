"""What is finished is not done again: after signal 9 in the middle of `synthesize`, and where nothing is left to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
import pytest

from tests.engine_workers import until
from tests.patience import HANG_SECONDS, family
from tests.project import Project

OUTPUTS = ("data/speech", "reports/synthesize.json")


@pytest.fixture
def unspoken(tiny_copy: Project) -> Project:
    """The tiny build as it was before `synthesize`."""
    tiny_copy.forget("synthesize")
    shutil.rmtree(tiny_copy.root / "data" / "speech")
    shutil.rmtree(tiny_copy.root / ".work" / "synthesize")
    (tiny_copy.root / "reports" / "synthesize.json").unlink()
    return tiny_copy


def finished(project: Project) -> list[Path]:
    """Markers of the shards that were spoken."""
    return sorted((project.root / ".work" / "synthesize").glob("*/recorded/part-*.json"))


def identities(markers: list[Path]) -> dict[Path, tuple[int, int]]:
    """Inode and time of change of markers and parts: a file written anew has others."""
    files = [file for marker in markers for file in (marker, marker.with_suffix(".parquet"))]
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}


def kill_after_two_shards(project: Project, *command: str) -> tuple[dict[Path, tuple[int, int]], list[psutil.Process]]:
    """Start `command`, kill its process alone; returns the shards that were finished, and its orphans."""
    with project.running(*command) as process:
        until(lambda: len(finished(project)) >= 2 or process.poll() is not None, "two finished shards")
        orphans = family(process)
        process.kill()
        process.wait()
        until(lambda: not any(alive(orphan) for orphan in orphans), "orphans to end")
        total = len((project.root / "data" / "clean" / "manifest.jsonl").read_text(encoding="utf-8").splitlines())
        markers = finished(project)
        assert 2 <= len(markers) < total, "killed too late to leave work undone"
        assert not (project.root / "data" / "speech").exists()
        return identities(markers), orphans


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_stage_killed_and_then_told_to_stop_goes_on_where_it_was(tiny_build: Project, unspoken: Project) -> None:
    command = ("python", "-m", "pipeline.synthesize")
    killed, orphans = kill_after_two_shards(unspoken, *command)
    assert orphans, "no worker was running"
    with unspoken.running(*command) as process:
        more = len(killed) // 2 + 1
        until(lambda: len(finished(unspoken)) >= more or process.poll() is not None, "a shard more")
        orphans = family(process)
        process.terminate()
        assert process.wait(HANG_SECONDS) == 143
        until(lambda: not any(alive(orphan) for orphan in orphans), "workers to end")
    done = identities(finished(unspoken))
    assert done.items() > killed.items()
    again = unspoken.run(*command)
    assert again.returncode == 0, again.stderr
    assert f"{len(done) // 2} of " in again.stderr
    assert "were finished by an earlier run" in again.stderr
    assert identities(list(dict.fromkeys(file.with_suffix(".json") for file in done))) == done
    assert unspoken.digests(*OUTPUTS) == tiny_build.digests(*OUTPUTS)


def test_a_killed_repro_takes_its_stage_with_it_and_the_next_one_completes(
    tiny_build: Project, unspoken: Project
) -> None:
    done, orphans = kill_after_two_shards(unspoken, "python", "-m", "dvc", "repro")
    assert orphans, "no stage was running"
    output = unspoken.dvc("repro")
    assert "Running stage 'synthesize'" in output
    assert identities(list(dict.fromkeys(file.with_suffix(".json") for file in done))) == done
    assert unspoken.digests("data", "reports") == tiny_build.digests("data", "reports")
    assert unspoken.lock() == tiny_build.lock()


def test_clean_whose_shards_are_all_committed_reads_no_picture(tiny_build: Project, tiny_copy: Project) -> None:
    outputs = ("data/clean", "reports/clean.json")
    (tar,) = (tiny_copy.root / "data" / "corpora" / "b_t4sa").rglob("*.tar")
    tar.chmod(0o644)
    tar.write_bytes(b"")
    done = tiny_copy.stage("clean")
    assert done.returncode == 0, done.stderr
    assert tiny_copy.digests(*outputs) == tiny_build.digests(*outputs)
    shutil.rmtree(tiny_copy.root / ".work" / "clean")  # so the pictures were needed, had nothing been committed
    assert tiny_copy.stage("clean", SIER_WORKERS="1").returncode == 1
