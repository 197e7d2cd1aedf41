"""Damaged shards, full disks, read-only folders and clocks that are wrong."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.engine_workers import calls
from tests.faults.scene import SHARDS, Scene, stage, told
from tests.faults.test_kills import REPRO, dvc_scene

Record = Callable[[str, str, str], None]
Damage = Callable[[Path], None]

FUTURE = 4_102_444_800  # the year 2100
# A mount namespace of its own: what is mounted there goes away with the last process of it.
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
WITHOUT_PRIVILEGES = (
    "setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"
)  # fmt: skip


def long(*values: str | bool) -> object:
    """A case of the long form only."""
    return pytest.param(*values, marks=pytest.mark.faults)


def works(*command: str) -> bool:
    return bool(shutil.which(command[0])) and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def namespace() -> None:
    if not works(*NAMESPACE, "mount -t tmpfs none /mnt"):
        pytest.skip("mounts need Linux and user namespaces; the limit of file sizes stands for a full disk")


def torn(path: Path) -> None:
    """As after a power cut in which a file got its length, but not all of its content."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


DAMAGES: Mapping[str, Damage] = {"torn": torn, "flipped": flipped, "truncated": truncated, "emptied": emptied}


def files_of(folder: Path, index: int) -> dict[str, Path]:
    name = f"part-{index:05d}"
    return {
        "part": folder / f"{name}.parquet",
        "rejects": folder / "rejects" / f"{name}.parquet",
        "marker": folder / f"{name}.json",
    }


def second_pass(scene: Scene) -> Path:
    (folder,) = scene.root.glob(".work/numbers/*/second")
    return folder


@pytest.mark.parametrize("published", [long(False), True])
def test_damaged_shards_are_made_anew_and_no_others(
    scene: Scene, undisturbed: Mapping[str, str], record: Record, published: bool
) -> None:
    """Output, work and DVC's cache may be one file by several names: damage in place reaches all of them."""
    if published:
        assert scene.run().returncode == 0
    else:
        assert scene.killed_at("link", 1)
    before = calls(scene.root / "log")
    kinds = list(DAMAGES)
    for index, part in enumerate(["part", "rejects", "marker", "part", "part"]):
        path = files_of(second_pass(scene), index)[part]
        kind = kinds[index % len(kinds)]
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
        DAMAGES[kind](path)
        record("damaged file", f"{part} {kind}", "output published" if published else "output not published")
    again = scene.run()
    assert again.returncode == 0, again.stderr
    assert again.stderr == f"double: 1 of {SHARDS} shards were finished by an earlier run\n"
    after = calls(scene.root / "log")
    assert {name for name in after if after[name] != before[name]} == {f"double-{index}" for index in range(5)}
    assert scene.outputs() == undisturbed
    assert scene.left_behind() == []


@pytest.mark.faults
@pytest.mark.parametrize("part", ["part", "rejects", "marker"])
@pytest.mark.parametrize("kind", list(DAMAGES))
def test_each_damage_of_each_file(
    tmp_path: Path, undisturbed: Mapping[str, str], record: Record, kind: str, part: str
) -> None:
    for index in range(0, SHARDS, 2):
        scene = Scene(tmp_path / f"{index}")
        scene.complete(undisturbed)
        DAMAGES[kind](files_of(second_pass(scene), index)[part])
        assert len(scene.committed()) == 2 * SHARDS - 1
        scene.complete(undisturbed)
        record("damaged file", f"{part} {kind}", "output published")


def refused(error: str, expected: str) -> None:
    """One line, which ends with what is expected, and no traceback."""
    (line,) = told(error)
    assert line.startswith("numbers: error: ")
    assert line.endswith(expected), error


@pytest.mark.parametrize(("folder", "size"), [(".work", "72k"), ("data", "40k"), long("reports", "4k,nr_inodes=1")])
@pytest.mark.parametrize("workers", ["1", long("2")])
def test_a_full_disk_stops_the_run_which_goes_on_when_there_is_room(
    scene: Scene, undisturbed: Mapping[str, str], namespace: None, record: Record, folder: str, size: str, workers: str
) -> None:
    """`folder` is a file system of its own, so that publishing also goes from one to another."""
    command = " ".join(stage())
    done = scene.run(
        *NAMESPACE,
        f"""
        mkdir {folder} && mount -t tmpfs -o size={size} none {folder} || exit 99
        {command} 2> first.err; echo $?
        mount -o remount,size=10m,nr_inodes=1000 none {folder} || exit 99
        {command} 2> second.err || exit 98
        cp -a {folder} kept && umount {folder} && cp -a kept/. {folder} && rm -r kept
        """,
        SIER_WORKERS=workers,
    )
    first, second = ((scene.root / f"{name}.err").read_text(encoding="utf-8") for name in ("first", "second"))
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "1"), (done, first, second)
    refused(first, "No space left on device; free some space and run again; finished shards are kept")
    assert "shards were finished by an earlier run" in second or not second
    assert scene.outputs() == undisturbed
    assert scene.left_behind() == []
    record("full disk", folder, f"one line, {workers} workers")


@pytest.mark.parametrize("workers", [long("1"), "2"])
def test_a_limit_of_file_sizes_stops_the_run(
    scene: Scene, undisturbed: Mapping[str, str], record: Record, workers: str
) -> None:
    if not shutil.which("prlimit"):
        pytest.skip("prlimit is not installed")
    done = scene.run("prlimit", "--fsize=4096", *stage(), SIER_WORKERS=workers)
    assert done.returncode == 1
    refused(done.stderr, "File too large")
    assert not (scene.root / "data").exists()
    scene.complete(undisturbed)
    record("file size limit", "stage", f"one line, {workers} workers")


@pytest.mark.parametrize("folder", [long(".work"), "data", long("reports")])
def test_a_read_only_file_system_stops_the_run(
    scene: Scene, undisturbed: Mapping[str, str], namespace: None, record: Record, folder: str
) -> None:
    done = scene.run(
        *NAMESPACE,
        f"""
        mkdir {folder} && mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} || exit 99
        {" ".join(stage())}
        """,
    )
    assert done.returncode == 1, done.stderr
    refused(done.stderr, "Read-only file system; the file system is read-only")
    scene.complete(undisturbed)
    record("read-only file system", folder, "one line")


@pytest.mark.parametrize("folder", [long(".work"), "data", long("reports")])
def test_a_folder_that_one_may_not_write_stops_the_run(
    scene: Scene, undisturbed: Mapping[str, str], record: Record, folder: str
) -> None:
    plain = WITHOUT_PRIVILEGES if os.geteuid() == 0 else ()
    if plain and not works(*plain, "true"):
        pytest.skip("root may write everywhere here, and setpriv cannot take that away")
    scene.complete(undisturbed)
    next(iter(scene.committed())).unlink()
    protected = scene.root / folder
    for path in [protected, *protected.rglob("*")]:
        path.chmod(stat.S_IRUSR | (stat.S_IXUSR if path.is_dir() else 0))
    done = scene.run(*plain, *stage())
    for path in [protected, *protected.rglob("*")]:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    assert done.returncode == 1, done.stderr
    refused(done.stderr, "Permission denied; check who may write there")
    scene.complete(undisturbed)
    record("folder without write permission", folder, "one line")


def into_the_future(root: Path) -> None:
    for path in root.rglob("*"):
        os.utime(path, (FUTURE, FUTURE), follow_symlinks=False)


def test_file_times_do_not_count(scene: Scene, undisturbed: Mapping[str, str], record: Record) -> None:
    assert scene.killed_at("marker", SHARDS + 3)
    into_the_future(scene.root)
    scene.complete(undisturbed)
    record("times in the future", "stage", "goes on")


@pytest.mark.faults
def test_file_times_do_not_count_for_dvc(tmp_path: Path, undisturbed_both: Mapping[str, str], record: Record) -> None:
    scene = dvc_scene(tmp_path / "scene", 0.0)
    scene.complete(undisturbed_both, *REPRO)
    into_the_future(scene.root)
    again = scene.run(*REPRO)
    assert "Data and pipelines are up to date." in again.stdout
    (scene.root / "reports" / "doubles.json").unlink()
    into_the_future(scene.root)
    scene.complete(undisturbed_both, *REPRO)
    record("times in the future", "dvc repro", "up to date")
