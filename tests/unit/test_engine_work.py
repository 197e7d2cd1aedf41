"""Shards mapped by real processes; workers are in tests/engine_workers.py."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from pipeline.engine import pool, shards, work
from pipeline.engine.pool import LocalEngine, MakeWorker, engine_from_environment
from pipeline.engine.work import Work, run_shards, work_folder
from pipeline.errors import RetryableError, RowError, UserError
from tests.engine_workers import Losing, Squares, calls, failing, tasks, unloadable, until_gone

SHARDS = 6
ROWS = 5
ALONE = LocalEngine(workers=1)
TWO = LocalEngine(workers=2)
EACH_ONCE = {f"shard-{index}": 1 for index in range(SHARDS)}


def squares(folder: Path, log: Path, make_worker: MakeWorker | None = None, fingerprint: str = "f") -> Work:
    return Work("squares", folder, fingerprint, make_worker or partial(Squares, log), tasks(SHARDS, ROWS))


def shard_calls(log: Path) -> dict[str, int]:
    return {name: count for name, count in calls(log).items() if name.startswith("shard-")}


def pids(log: Path) -> set[int]:
    return {int(line) for path in log.glob("*") for line in path.read_text().split()}


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """For work in this process; spawned workers wait as in earnest."""
    monkeypatch.setattr(pool, "wait_random_exponential", lambda **_: lambda _state: 0.0)


def test_every_shard_runs_once_in_two_processes_that_load_once(tmp_path: Path, log: Path) -> None:
    markers = run_shards(TWO, squares(tmp_path / "work", log))
    assert [marker.shard for marker in markers] == [shards.shard_name(index) for index in range(SHARDS)]
    assert shard_calls(log) == EACH_ONCE
    loaders = [int(line) for line in (log / "loaded").read_text().split()]
    assert len(loaders) == len(set(loaders)) <= 2
    assert pids(log) == set(loaders)
    assert os.getpid() not in loaders
    assert until_gone(loaders)
    assert shards.total_counts(markers) == {"ok": 25, "multiple_of_seven": 5}
    rows = [row for marker in markers for row in shards.read_part(tmp_path / "work", marker).to_pylist()]
    assert rows == [{"id": str(n), "square": n * n} for n in range(SHARDS * ROWS) if n % 7]


def test_one_worker_works_in_this_process(tmp_path: Path, log: Path) -> None:
    run_shards(ALONE, squares(tmp_path / "work", log))
    assert shard_calls(log) == EACH_ONCE
    assert (log / "shard-0").read_text() == (log / "loaded").read_text() == f"{os.getpid()}\n"


def test_workers_and_order_change_no_byte(tmp_path: Path, log: Path) -> None:
    engines = [ALONE, TWO] + [LocalEngine(workers, order) for workers, order in ((1, "reverse"), (2, "shuffle"))]
    found = []
    for number, engine in enumerate(engines):
        run_shards(engine, squares(tmp_path / str(number), log))
        found.append(content(tmp_path / str(number)))
    assert len(found[0]) == 3 * SHARDS
    assert all(other == found[0] for other in found[1:])


def test_orders_hand_out_every_shard(tmp_path: Path, log: Path) -> None:
    class Noting(Squares):
        def __call__(self, task: shards.Task) -> shards.Output:
            seen.append(task.index)
            return super().__call__(task)

    for order in ("forward", "reverse", "shuffle"):
        seen: list[int] = []
        run_shards(LocalEngine(1, order), squares(tmp_path / order, log, lambda: Noting(log)))
        assert sorted(seen) == list(range(SHARDS))
        if order != "shuffle":
            assert seen == sorted(seen, reverse=order == "reverse")


@pytest.mark.parametrize("engine", [ALONE, TWO], ids=["one worker", "two workers"])
def test_a_second_run_does_only_what_is_missing_or_damaged(
    tmp_path: Path, log: Path, engine: LocalEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    job = squares(tmp_path / "work", log)
    first = run_shards(ALONE, job)
    whole = content(job.folder)
    (job.folder / "part-00001.json").unlink()
    (job.folder / "part-00003.parquet").write_bytes(b"torn")
    (job.folder / "rejects" / "part-00004.parquet").unlink()
    capsys.readouterr()
    assert run_shards(engine, job) == first
    assert content(job.folder) == whole
    assert shard_calls(log) == {**EACH_ONCE, "shard-1": 2, "shard-3": 2, "shard-4": 2}
    assert "squares: 3 of 6 shards were finished by an earlier run" in capsys.readouterr().err


def test_a_finished_run_loads_no_model(tmp_path: Path, log: Path) -> None:
    job = squares(tmp_path / "work", log)
    first = run_shards(ALONE, job)
    before = calls(log)
    for engine in (ALONE, TWO):
        assert run_shards(engine, job) == first
    assert calls(log) == before
    assert run_shards(ALONE, Work("none", tmp_path / "none", "f", unloadable, [])) == []


def test_another_fingerprint_does_all_work_anew(tmp_path: Path, log: Path) -> None:
    run_shards(ALONE, squares(tmp_path / "work", log))
    run_shards(ALONE, squares(tmp_path / "work", log, fingerprint="other"))
    assert shard_calls(log) == dict.fromkeys(EACH_ONCE, 2)


@pytest.mark.parametrize("engine", [ALONE, TWO], ids=["one worker", "two workers"])
@pytest.mark.parametrize("kind", ["retryable", "stale"])
def test_a_retryable_error_is_tried_again(tmp_path: Path, log: Path, engine: LocalEngine, kind: str) -> None:
    run_shards(engine, squares(tmp_path / "work", log, partial(failing, log, kind, 2, 2)))
    run_shards(ALONE, squares(tmp_path / "undisturbed", log))
    assert calls(log)["failures"] == 3
    assert content(tmp_path / "work") == content(tmp_path / "undisturbed")


def test_a_retryable_error_that_stays_is_given_up_and_other_shards_are_kept(tmp_path: Path, log: Path) -> None:
    job = squares(tmp_path / "work", log, partial(failing, log, "retryable", 2))
    with pytest.raises(RetryableError, match="the line is busy"):
        run_shards(ALONE, job)
    assert calls(log)["failures"] == pool.ATTEMPTS == 4
    assert [shards.committed(job.folder, index, "f") is not None for index in range(4)] == [True, True, False, False]


@pytest.mark.parametrize("engine", [ALONE, TWO], ids=["one worker", "two workers"])
@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("user", UserError, "the corpus is not there"),
        ("row", RowError, "odd: a row that the stage did not catch"),
        ("defect", ZeroDivisionError, "a defect"),
        ("disk", OSError, "[Errno 5] Input/output error"),
    ],
)
def test_other_errors_stop_the_run_at_once_and_as_they_are(
    tmp_path: Path, log: Path, engine: LocalEngine, kind: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        run_shards(engine, squares(tmp_path / "work", log, partial(failing, log, kind, 0)))
    assert type(caught.value) is error
    assert str(caught.value) == message
    assert calls(log)["failures"] == 1
    if isinstance(caught.value, RowError):
        assert caught.value.status == "odd"


@pytest.mark.parametrize("engine", [ALONE, TWO], ids=["one worker", "two workers"])
def test_a_worker_that_cannot_be_made_is_a_user_error_without_a_traceback(
    tmp_path: Path, log: Path, engine: LocalEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"^the voice is not installed; install it$"):
        run_shards(engine, squares(tmp_path / "work", log, unloadable))
    assert capfd.readouterr() == ("", "")
    assert content(tmp_path / "work") == {}


def test_lost_rows_are_found_in_a_process_too(tmp_path: Path, log: Path) -> None:
    with pytest.raises(ValueError, match="5 rows in, but 4 rows and rejects out"):
        run_shards(TWO, squares(tmp_path / "work", log, partial(Losing, log)))


def test_a_worker_that_is_killed_once_costs_nothing_but_time(tmp_path: Path, log: Path) -> None:
    job = squares(tmp_path / "work", log, partial(failing, log, "killed", 3, 1))
    assert len(run_shards(TWO, job)) == SHARDS
    run_shards(ALONE, squares(tmp_path / "undisturbed", log / "other"))
    assert content(job.folder) == content(tmp_path / "undisturbed")


def test_workers_that_always_die_end_in_one_line_and_keep_what_is_done(tmp_path: Path, log: Path) -> None:
    job = squares(tmp_path / "work", log, partial(failing, log, "killed", 4))
    with pytest.raises(UserError) as caught:
        run_shards(TWO, job)
    done = [shards.committed(job.folder, index, "f") is not None for index in range(SHARDS)]
    assert not done[4]
    assert sum(done) >= 1
    assert calls(log)["failures"] == pool.POOL_STARTS == 3
    assert str(caught.value).startswith("workers died 3 times, ")
    assert "SIER_WORKERS" in str(caught.value)
    assert until_gone(pids(log))
    log.rename(tmp_path / "former")
    run_shards(TWO, squares(job.folder, log))
    assert shard_calls(log) == {f"shard-{index}": 1 for index in range(SHARDS) if not done[index]}


def test_leaving_early_ends_the_workers(tmp_path: Path, log: Path) -> None:
    found = TWO.run(pool.Job(partial(Squares, log), tmp_path / "work", "f"), tasks(SHARDS, ROWS))
    next(found)
    found.close()  # type: ignore[attr-defined]
    loaders = [int(line) for line in (log / "loaded").read_text().split()]
    assert loaders
    assert until_gone(loaders)


def test_finish_removes_the_folders_of_other_fingerprints_only(tmp_path: Path) -> None:
    mine = work_folder(tmp_path, "clean", "a" * 64)
    assert mine == tmp_path / "clean" / ("a" * 16)
    other, elsewhere = work_folder(tmp_path, "clean", "b" * 64), work_folder(tmp_path, "label", "c" * 64)
    for folder in (mine, other, elsewhere):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    work.finish(mine)
    assert mine.is_dir()
    assert elsewhere.is_dir()
    assert not other.exists()


def test_the_engine_is_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIER_ENGINE", "SIER_WORKERS", "SIER_SHARD_ORDER"):
        monkeypatch.delenv(name, raising=False)
    assert engine_from_environment() == LocalEngine(os.cpu_count() or 1, "forward")
    monkeypatch.setenv("SIER_WORKERS", "3")
    monkeypatch.setenv("SIER_SHARD_ORDER", "shuffle")
    assert engine_from_environment() == LocalEngine(3, "shuffle")
    monkeypatch.setenv("SIER_ENGINE", "spark")
    with pytest.raises(UserError, match=r"^SIER_ENGINE = spark: expected local"):
        engine_from_environment()
