"""A folder in which stages are run, killed and damaged, and compared with one that was left in peace."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import yaml

from pipeline.engine import shards
from pipeline.engine.fingerprint import PROJECT
from tests import failpoints, patience

SHARDS = 6
STAGES = ("numbers", "doubles")


def stage(name: str = "numbers") -> tuple[str, ...]:
    return sys.executable, "-m", "tests.faults.stages", name


class Scene:
    """`root` holds params.yaml, .work, data and reports; `log` counts what ran."""

    def __init__(self, root: Path, pause_seconds: float = 0.0) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        sections = {name: {"shards": SHARDS, "pause_seconds": pause_seconds} for name in STAGES}
        values = {"base": {"seed": 1, "labels": ["happy", "sad"]}, **sections}
        (root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("SIER_", "DVC_"))}
        return {
            **plain, "PYTHONPATH": os.pathsep.join(map(str, (PROJECT / "tests" / "hooks", PROJECT))),
            "OMP_NUM_THREADS": "1", "SIER_WORKERS": "1", "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.root.with_name(f"{self.root.name}.dvc")),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{plain.get('PATH', '')}", **environment,
        }  # fmt: skip

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A finished process: the stage `numbers` unless told."""
        return patience.run(command or stage(), cwd=self.root, env=self.variables(environment))

    @contextmanager
    def running(self, *command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """A process under way, in a session of its own, of which nothing is left at the end."""
        process = subprocess.Popen(
            command or stage(), cwd=self.root, env=self.variables(environment), text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            yield process
        finally:
            for member in session(process.pid):
                member.kill()
            process.communicate()

    def killed_at(self, point: str, number: int, *command: str, **environment: str) -> bool:
        """Run until a process dies at the n-th arrival at a point; whether one did."""
        done = self.run(*command, SIER_FAILPOINT=f"{point}:{number}", **environment)
        died = f"{failpoints.VARIABLE}: killed at {point}\n" in done.stderr
        if died and environment.get("SIER_WORKERS", "1") == "1" and not command:
            assert done.returncode == -9, done.stderr
        return died

    def outputs(self) -> dict[str, str]:
        """sha256 by name of all files of data and reports, hidden ones too."""
        return {
            path.relative_to(self.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in ("data", "reports")
            for path in sorted((self.root / folder).rglob("*"))
            if path.is_file()
        }

    def left_behind(self) -> list[str]:
        """Temporary files and folders, wherever they are."""
        found = [path for path in self.root.rglob(".*") if path.suffix in {".tmp", ".old", ".new"}]
        return sorted(path.relative_to(self.root).as_posix() for path in found if ".dvc" not in path.parts)

    def markers(self) -> int:
        """How many there are, looked at or not."""
        return len(list((self.root / ".work").glob("*/*/*/part-*.json")))

    def committed(self) -> dict[Path, tuple[int, int]]:
        """Inode and time of change of the marker of each shard that is whole."""
        found = {}
        for path in sorted((self.root / ".work").glob("*/*/*/part-*.json")):
            index = int(path.stem.removeprefix("part-"))
            mark = fingerprint_of(path)
            if mark and shards.committed(path.parent, index, mark):
                found[path] = (path.stat().st_ino, path.stat().st_mtime_ns)
        return found

    def complete(self, expected: Mapping[str, str], *command: str, **environment: str) -> None:
        """Run to the end: what was committed is kept as it is, and the outputs are those expected.

        Raises:
            AssertionError: anything else came of it.
        """
        before = self.committed()
        done = self.run(*command, **environment)
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        after = self.committed()
        assert [str(path) for path in before if after.get(path) != before[path]] == []
        assert self.outputs() == expected
        assert self.left_behind() == []


def fingerprint_of(marker: Path) -> str:
    """What a marker says; empty where it cannot be read."""
    try:
        return str(json.loads(marker.read_bytes())["fingerprint"])
    except (ValueError, KeyError, TypeError):
        return ""


def told(error: str) -> list[str]:
    """Lines of standard error, without those that count what is done already."""
    return [line for line in error.splitlines() if not line.endswith("shards were finished by an earlier run")]


def session(leader: int) -> list[psutil.Process]:
    """Living processes of a session, whoever their parent is now."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            pass
    return found
