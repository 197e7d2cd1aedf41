"""Shards committed to an object store: a real S3 server on this machine, and s3fs as its client."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from pipeline.engine import shards, store
from pipeline.engine.environment import store_from_environment
from pipeline.engine.fingerprint import PROJECT
from pipeline.engine.local import LocalEngine
from pipeline.engine.work import Work, finish, run_shards, work_folder
from pipeline.errors import RetryableError, UserError
from tests import patience
from tests.engine_workers import Squares, calls, tasks, unloadable, until
from tests.project import Project
from tests.slow_stage import PARAMS

SHARDS = 6
BUCKET = "bucket"


@pytest.fixture(scope="module")
def credentials() -> Iterator[dict[str, str]]:
    """Of a server with an empty bucket; also in this process's environment."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        opened = store.open_store(f"s3://{BUCKET}")
        assert not isinstance(opened, Path)
        opened.fs.mkdir(BUCKET)
        yield variables
        opened.fs.clear_instance_cache()
    server.stop()


@pytest.fixture
def folder(credentials: dict[str, str], tmp_path: Path) -> store.Folder:
    return store.open_store(f"s3://{BUCKET}/{tmp_path.name}")


def squares(folder: store.Folder, log: Path) -> Work:
    return Work("squares", folder, "f", partial(Squares, log), tasks(SHARDS))


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def objects(folder: store.Folder) -> dict[str, bytes]:
    assert not isinstance(folder, Path)
    folder.fs.invalidate_cache()
    return {name.removeprefix(f"{folder.path}/"): folder.fs.cat_file(name) for name in folder.fs.find(folder.path)}


def shard_calls(log: Path) -> list[int]:
    return [calls(log).get(f"shard-{index}", 0) for index in range(SHARDS)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_store_holds_and_gives_back_the_bytes_of_a_local_folder(
    folder: store.Folder, tmp_path: Path, workers: int
) -> None:
    local = run_shards(LocalEngine(1), squares(tmp_path / "work", tmp_path / "other"))
    found = run_shards(LocalEngine(workers), squares(folder, tmp_path / "log"))
    assert found == local
    assert objects(folder) == content(tmp_path / "work")
    assert shards.read_rejects(folder, found) == shards.read_rejects(tmp_path / "work", local)
    assert shards.read_part(folder, found[1], columns=["id"]).equals(
        shards.read_part(tmp_path / "work", local[1], columns=["id"])
    )
    for source, name in ((tmp_path / "work", "local"), (folder, "stored")):
        shards.publish(source, local, tmp_path / "data" / name, {"note.txt": b"x"})
    assert content(tmp_path / "data" / "stored") == content(tmp_path / "data" / "local")
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["local", "stored"]


def test_a_second_run_does_only_what_is_missing_torn_or_changed(folder: store.Folder, tmp_path: Path) -> None:
    work, log = squares(folder, tmp_path / "log"), tmp_path / "log"
    first = run_shards(LocalEngine(1), work)
    whole = objects(folder)
    again = Work(work.name, folder, work.fingerprint, unloadable, work.tasks)
    assert run_shards(LocalEngine(1), again) == first
    assert not isinstance(folder, Path)
    folder.fs.rm_file((folder / "part-00001.json").path)
    store.write_bytes(folder / "part-00002.json", whole["part-00002.json"][:40])
    store.write_bytes(folder / "part-00003.parquet", whole["part-00003.parquet"][:-1])
    flipped = bytes([whole["rejects/part-00004.parquet"][0] ^ 1]) + whole["rejects/part-00004.parquet"][1:]
    store.write_bytes(folder / "rejects" / "part-00004.parquet", flipped)
    assert run_shards(LocalEngine(1), work) == first
    assert shard_calls(log) == [1, 2, 2, 2, 2, 1]
    assert objects(folder) == whole


def test_what_was_damaged_after_it_was_checked_is_not_published(folder: store.Folder, tmp_path: Path) -> None:
    markers = run_shards(LocalEngine(1), squares(folder, tmp_path / "log"))
    store.write_bytes(folder / "part-00002.parquet", b"torn")
    with pytest.raises(RetryableError, match=r"part-00002\.parquet: sha256 .* expected .*; run again to make it anew"):
        shards.publish(folder, markers, tmp_path / "data" / "out")
    assert not (tmp_path / "data" / "out").exists()


def test_finish_removes_other_fingerprints_of_the_stage_only(folder: store.Folder) -> None:
    mine, other, elsewhere = (
        work_folder(folder, stage, letter * 64) for stage, letter in (("clean", "a"), ("clean", "b"), ("label", "c"))
    )
    for made in (mine, other, elsewhere):
        store.write_bytes(made / "kept" / "file", b"x")
    finish(mine)
    assert sorted(objects(folder)) == [f"clean/{'a' * 16}/kept/file", f"label/{'c' * 16}/kept/file"]
    store.remove_tree(folder / "nothing")
    assert store.folders_in(folder / "nothing") == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nosuch://x/y", r"^SIER_WORK = nosuch://x/y: expected a folder or a URL that fsspec knows; "),
        ("s3://no-such-bucket/work", r"^SIER_WORK: s3://no-such-bucket/work cannot be written to: .*; check the URL"),
    ],
)
def test_a_store_that_cannot_be_used_is_found_before_any_work(
    credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, message: str
) -> None:
    monkeypatch.setenv("SIER_WORK", url)
    with pytest.raises(UserError, match=message):
        run_shards(LocalEngine(1), squares(store_from_environment() or tmp_path, tmp_path / "log"))
    assert calls(tmp_path / "log") == {}


def test_a_folder_is_a_store_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for text, path in (("a/b", tmp_path / "a" / "b"), ("/a/b", Path("/a/b")), ("file:///a/b", Path("/a/b"))):
        monkeypatch.setenv("SIER_WORK", text)
        assert store_from_environment() == path
    monkeypatch.setenv("SIER_WORK", "")
    assert store_from_environment() is None


def test_a_killed_stage_goes_on_from_the_store(credentials: dict[str, str], tmp_path: Path) -> None:
    url = f"s3://{BUCKET}/killed"
    stored, log = store.open_store(url) / "slow", tmp_path / "log"
    (tmp_path / "params.yaml").write_text(PARAMS)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("SIER_", "DVC_"))}
    run = partial(
        subprocess.Popen, (sys.executable, "-m", "tests.slow_stage"), cwd=tmp_path, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**plain, "PYTHONPATH": str(PROJECT), "SIER_WORKERS": "2", "SIER_WORK": url},
    )  # fmt: skip
    with run() as stage:
        until(lambda: {"began-2", "began-3"} <= set(calls(log)), "the slow shards")
        until(lambda: all(shards.committed(stored, index, "f") for index in (0, 1)), "the quick shards")
        stage.send_signal(signal.SIGKILL)
        stage.communicate()
    (tmp_path / "release").touch()
    with run() as stage:
        out, err = patience.finish(stage)
    assert (stage.returncode, out) == (0, "slow_stage: 30 rows in, 25 out, 5 rejected (multiple_of_seven 5)\n")
    assert err == "slow: 2 of 6 shards were finished by an earlier run\n"
    assert shard_calls(log)[:2] == [1, 1]
    assert not (tmp_path / ".work" / "slow").exists()
    markers = run_shards(LocalEngine(1), squares(tmp_path / "local", tmp_path / "other"))
    shards.publish(tmp_path / "local", markers, tmp_path / "expected")
    assert content(tmp_path / "data" / "slow") == content(tmp_path / "expected")


def test_a_stage_that_puts_files_beside_its_shards_makes_the_same_bytes(
    credentials: dict[str, str], tiny_build: Project, tiny_links: Project
) -> None:
    url = f"s3://{BUCKET}/stages"
    shutil.rmtree(tiny_links.root / "data" / "clean")
    shutil.rmtree(tiny_links.root / ".work" / "clean")
    done = tiny_links.stage("clean", SIER_WORK=url, SIER_WORKERS="1", **credentials)
    assert done.returncode == 0, done.stderr
    assert tiny_links.digests("data/clean") == tiny_build.digests("data/clean")
    kept = [name for name in objects(store.open_store(url)) if name.endswith(".parquet")]
    assert kept
    assert not [name for name in kept if "examined" in name]
    assert not list((tiny_links.root / ".work" / "clean").rglob("part-*"))
