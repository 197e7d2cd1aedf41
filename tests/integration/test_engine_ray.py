"""Shards on a real Ray cluster of a head, which works on nothing, and two nodes of one cpu each; some of it dies."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.engine import shards, worker
from pipeline.engine.fingerprint import PROJECT
from pipeline.engine.local import LocalEngine
from pipeline.engine.ray_cluster import QUIET, RayEngine
from pipeline.engine.work import Work, run_shards
from pipeline.errors import RowError, UserError
from tests.engine_workers import Squares, Waiting, calls, failing, tasks, unloadable, until, until_gone
from tests.orders import Reordered
from tests.patience import HANG_SECONDS, finish
from tests.project import Project
from tests.slow_stage import PARAMS

SHARDS = 6
ROWS = 5
SLOW = 2
COMMAND = (sys.executable, "-m", "tests.slow_stage")
DONE = "slow_stage: 30 rows in, 25 out, 5 rejected (multiple_of_seven 5)\n"
STOPPED = "slow_stage: error: stopped; finished shards are kept, run the same command to go on\n"
NODE = {"num_cpus": 1, "num_gpus": 1, "object_store_memory": 100 * 2**20}
QUICK_NODE_LOSS = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
}

# Not by importorskip: Ray reads its environment when it is imported.
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster to which this process is connected, as a driver that has started it elsewhere would be."""
    # Not below pytest's folder: it holds sockets, whose paths must be short.
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="sier-") as scratch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        patch.setenv("RAY_TMPDIR", scratch)
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("OMP_NUM_THREADS", "1")
        import ray
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 100 * 2**20}
        made = Cluster(initialize_head=True, head_node_args={**head, "_system_config": QUICK_NODE_LOSS})
        try:
            for _ in range(2):
                made.add_node(**NODE)
            ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
            yield made
        finally:
            ray.shutdown()
            made.shutdown()


ENGINE = RayEngine(workers=1)


def squares(folder: Path, make_worker: worker.MakeWorker) -> Work:
    return Work("squares", folder, "f", make_worker, tasks(SHARDS, ROWS))


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def runs(log: Path) -> list[int]:
    """How often each shard was worked through."""
    return [calls(log).get(f"shard-{index}", 0) for index in range(SHARDS)]


def loaders(log: Path) -> list[int]:
    return [int(line) for line in (log / "loaded").read_text().split()]


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, bytes]:
    """What the local engine makes."""
    run_shards(LocalEngine(1), squares(tmp_path / "local", partial(Squares, tmp_path / "local_log")))
    return content(tmp_path / "local")


def test_every_shard_runs_once_in_actors_that_load_once_and_no_byte_differs(
    cluster: Any, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    log = tmp_path / "log"
    # A fraction of a GPU: Ray counts what a node says that it has.
    run_shards(Reordered(RayEngine(1, gpus=0.5), "shuffle"), squares(tmp_path / "work", partial(Squares, log)))
    assert content(tmp_path / "work") == undisturbed
    assert runs(log) == [1] * SHARDS
    assert len(set(loaders(log))) == len(loaders(log)) == 2
    assert os.getpid() not in loaders(log)
    assert until_gone(loaders(log))
    (tmp_path / "work" / "part-00004.json").unlink()
    run_shards(ENGINE, squares(tmp_path / "work", partial(Squares, log)))
    assert content(tmp_path / "work") == undisturbed
    assert runs(log) == [1, 1, 1, 1, 2, 1]


@pytest.mark.parametrize(
    ("make_worker", "error", "message"),
    [
        (unloadable, UserError, "the voice is not installed; install it"),
        (partial(failing, kind="user", shard=0), UserError, "the corpus is not there"),
        (partial(failing, kind="row", shard=0), RowError, "odd: a row that the stage did not catch"),
        (partial(failing, kind="defect", shard=0), ZeroDivisionError, "a defect"),
    ],
)
def test_errors_of_workers_arrive_as_they_are(
    cluster: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    make_worker: Any,
    error: type[Exception],
    message: str,
) -> None:
    make = make_worker if make_worker is unloadable else partial(make_worker, tmp_path / "log")
    with pytest.raises(error) as caught:
        run_shards(ENGINE, squares(tmp_path / "work", make))
    assert (type(caught.value), str(caught.value)) == (error, message)
    assert caught.value.__cause__ is None
    assert capfd.readouterr() == ("", "")


def test_a_retryable_error_is_tried_again(cluster: Any, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    run_shards(ENGINE, squares(tmp_path / "work", partial(failing, tmp_path / "log", "stale", 2, 1)))
    assert calls(tmp_path / "log")["failures"] == 2
    assert content(tmp_path / "work") == undisturbed


def test_a_worker_that_always_dies_ends_in_one_line(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^shard \d: its worker died 3 times .*SIER_WORKERS lower"):
        run_shards(ENGINE, squares(tmp_path / "work", partial(failing, tmp_path / "log", "killed", 4)))
    assert calls(tmp_path / "log")["failures"] == worker.STARTS


def disturbed(folder: Path, log: Path, fault: Callable[[], None]) -> None:
    """Run with shards from `SLOW` on waiting until `fault` has happened."""
    failures: list[BaseException] = []

    def act() -> None:
        try:
            until(lambda: {f"began-{SLOW}", f"began-{SLOW + 1}"} <= set(calls(log)), "both actors in slow shards")
            fault()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)
        finally:
            (log.parent / "release").touch()

    thread = threading.Thread(target=act)
    thread.start()
    try:
        run_shards(ENGINE, squares(folder, partial(Waiting, log, SLOW)))
    finally:
        thread.join()
    assert failures == []


def test_a_killed_actor_is_made_anew_and_every_shard_is_committed_once(
    cluster: Any, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    log = tmp_path / "log"

    def kill() -> None:
        os.kill(int((log / f"began-{SLOW}").read_text()), signal.SIGKILL)
        until(lambda: len(loaders(log)) == 3, "a new actor")

    disturbed(tmp_path / "work", log, kill)
    assert content(tmp_path / "work") == undisturbed
    assert runs(log) == [1] * SHARDS


def test_a_lost_node_without_a_spare_costs_nothing_but_time(
    cluster: Any, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    log = tmp_path / "log"

    def remove() -> None:
        victim = int((log / f"began-{SLOW}").read_text())
        node = next(node for node in cluster.worker_nodes if victim in descendants(raylet(node)))
        cluster.remove_node(node, allow_graceful=False)
        assert until_gone([victim])

    try:
        disturbed(tmp_path / "work", log, remove)
    finally:
        cluster.add_node(**NODE)
        cluster.wait_for_nodes()
    assert content(tmp_path / "work") == undisturbed
    assert runs(log) == [1] * SHARDS


def raylet(node: Any) -> psutil.Process:
    return psutil.Process(node.all_processes["raylet"][0].process.pid)


def descendants(process: psutil.Process) -> set[int]:
    return {child.pid for child in process.children(recursive=True)}


@pytest.fixture
def start(cluster: Any, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the slow stage in a process of its own that uses the cluster."""
    started: list[subprocess.Popen[str]] = []
    (tmp_path / "params.yaml").write_text(PARAMS)

    def go(**more: str) -> subprocess.Popen[str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("SIER_", "DVC_"))}
        process = subprocess.Popen(
            COMMAND,
            cwd=tmp_path,
            env={
                **plain,
                "PYTHONPATH": str(PROJECT),
                "SIER_ENGINE": "ray",
                "SIER_RAY_ADDRESS": cluster.address,
                **more,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield go
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize(("told", "code", "says"), [(signal.SIGKILL, -9, ""), (signal.SIGTERM, 143, STOPPED)])
def test_a_lost_driver_takes_its_actors_with_it_and_the_next_run_goes_on(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, told: signal.Signals, code: int, says: str
) -> None:
    log, work = tmp_path / "log", tmp_path / ".work" / "slow"

    def committed() -> Sequence[int]:
        return [index for index in range(SHARDS) if shards.committed(work, index, "f") is not None]

    driver = start()
    until(
        lambda: (committed() == [0, 1] and {"began-2", "began-3"} <= set(calls(log))) or driver.poll() is not None,
        "the slow shards",
    )
    driver.send_signal(told)
    assert (driver.wait(HANG_SECONDS), driver.communicate()) == (code, ("", says))
    assert until_gone(loaders(log))
    (tmp_path / "release").touch()
    again = start()
    out, err = finish(again)
    assert (again.returncode, out, err) == (0, DONE, "slow: 2 of 6 shards were finished by an earlier run\n")
    assert runs(log) == [1] * SHARDS
    markers = shards.read_manifest(tmp_path / "data" / "slow", "slow_stage")
    assert shards.total_counts(markers) == {"ok": 25, "multiple_of_seven": 5}


def test_a_stage_run_by_its_name_makes_the_same_bytes(cluster: Any, tiny_build: Project, tiny_links: Project) -> None:
    """Its worker is defined in the very module that runs, which Python calls `__main__`."""
    shutil.rmtree(tiny_links.root / "data" / "sier")
    shutil.rmtree(tiny_links.root / ".work" / "assemble")
    done = tiny_links.stage("assemble", SIER_ENGINE="ray", SIER_RAY_ADDRESS=cluster.address)
    assert (done.returncode, done.stderr) == (0, "")
    assert tiny_links.digests("data/sier") == tiny_build.digests("data/sier")
