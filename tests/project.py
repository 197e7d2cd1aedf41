"""A temporary copy of the project in which tests run stages and DVC as a user does: as processes, by their exit codes.

The copy holds what git tracks and what it would track; results of earlier runs (`dvc.lock`, `reports/`) stay behind.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests import patience

HERE = Path(__file__).resolve().parents[1]

# Two small networks without pretrained weights, one for each kind of rows.
TINY_NET: Mapping[str, Any] = {"name": "test_efficientnet", "pretrained": False, "weights": None}
TINY_MODEL: Mapping[str, Any] = {
    "rows": "sier", "modalities": "both", "fusion": 3, "fusion_op": "multiply", "image_backbone": dict(TINY_NET),
    "speech_backbone": dict(TINY_NET), "freeze_backbone": False, "n1_channels": [4], "code_size": 16, "head_size": 16,
}  # fmt: skip

# The smallest sizes at which every stage has rows to work on, in several shards each. So few utterances would choose
# the smallest C, whose probabilities are all alike: then speech would decide no row.
TINY: Mapping[str, Any] = {
    "acquire.b_t4sa.sample_size": 20,
    "acquire.iemocap.sample_size": 40,
    "acquire.fi.sample_size": 6,
    "acquire.emotion_texts.sample_size": 60,
    "clean.shard_rows": 7,
    "assemble.shard_rows": 5,
    "train_teacher.speech.regularisation": [0.1],
    "train.inputs": {"image_size_px": 64, "n_mels": 64, "n_frames": 64, "duration_seconds": 10.0},
    "train.epochs": 1,
    "train.batch_size": 4,
    "evaluate.bootstrap_samples": 100,
    "explain.figures": 1,
    "explain.corpus_rows": 2,
    "explain.times": 1,
    "explain.deletion_steps": 2,
    "report.rows": 6,
    "models": {"parallelnet": dict(TINY_MODEL), "parallelnet_sentiment": {**TINY_MODEL, "rows": "clean"}},
}


@dataclass(frozen=True)
class Project:
    """A copy at `root`; `environment` goes on top of the test's own, without its SIER_ and DVC_ ones."""

    root: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def variables(self, **more: str) -> dict[str, str]:
        """Environment of a process: the interpreter that runs the tests is the one `python` means."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SIER_", "DVC_"))}
        variables = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.root.with_name(f"{self.root.name}.dvc")),
            "SIER_WORKERS": "2",
            "SIER_THREADS": "1",
            **self.environment,
            **more,
        }
        if {"SIER_FAILPOINT", "SIER_SHARD_ORDER"} & set(variables):
            variables["PYTHONPATH"] = f"{self.root / 'tests' / 'hooks'}{os.pathsep}{self.root}"
        return variables

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A finished process; arguments by name are environment variables."""
        return patience.run(command, cwd=self.root, env=self.variables(**more))

    def stage(self, name: str, **more: str) -> subprocess.CompletedProcess[str]:
        """`clean`, or `acquire@fi`, without DVC."""
        module, _, item = name.partition("@")
        return self.run("python", "-m", f"pipeline.{module}", *([item] if item else []), **more)

    def dvc(self, *arguments: str, **more: str) -> str:
        """Standard output of a DVC command that succeeds."""
        done = self.run("python", "-m", "dvc", *arguments, **more)
        assert done.returncode == 0, f"dvc {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def build(self, *last: str) -> list[str]:
        """Run all stages that lack an output, or those up to one, in one process without DVC; returns their outputs."""
        done = self.run("python", "-m", "tests.build_stages", *last)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return [line for line in done.stdout.splitlines() if line.startswith(("data/", "reports/"))]

    @contextmanager
    def running(self, *command: str, **more: str) -> Iterator[psutil.Popen]:
        """A process under way; it and what is left of its children are killed at the end."""
        log = self.root.with_name(f"{self.root.name}.log")
        with log.open("wb") as output:
            process = psutil.Popen(command, cwd=self.root, env=self.variables(**more), stdout=output, stderr=output)
            try:
                yield process
            finally:
                for member in [*patience.family(process), process]:
                    if member.is_running():
                        member.kill()
                process.wait()

    def params(self) -> dict[str, Any]:
        values: dict[str, Any] = yaml.safe_load((self.root / "params.yaml").read_text(encoding="utf-8"))
        return values

    def set_params(self, changes: Mapping[str, Any]) -> None:
        """Overwrite parameters by their dotted names; a name that is not there is added."""
        values = self.params()
        for name, value in changes.items():
            *path, last = name.split(".")
            section = values
            for part in path:
                section = section[part]
            section[last] = value
        (self.root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")

    def copy(self, target: Path) -> Project:
        """The same project, outputs and unfinished work included, elsewhere."""
        shutil.copytree(self.root, target, symlinks=True)
        return Project(target, self.environment)

    def link(self, target: Path) -> Project:
        """The same project elsewhere, of further names of the same files, for a tenth of what a copy takes.

        Stages replace files, they never write into them; a test that does takes `own(path)` first. Files of their own
        are parameters, and what stages and DVC lock or note in.
        """

        def name_or_copy(source: str, copied: str) -> None:
            path = Path(source)
            alone = path.suffix == ".lock" or path.name == "params.yaml" or path.parent.name == "tmp"
            shutil.copy2(source, copied) if alone else os.link(source, copied)

        shutil.copytree(self.root, target, symlinks=True, copy_function=name_or_copy)
        return Project(target, self.environment)

    def own(self, path: Path) -> Path:
        """The same path, now of a file that nobody shares."""
        alone = path.with_name(f"{path.name}.own")
        shutil.copy2(path, alone)
        alone.replace(path)
        return path

    def lock(self) -> dict[str, Any]:
        """What dvc.lock says."""
        values: dict[str, Any] = yaml.safe_load((self.root / "dvc.lock").read_text(encoding="utf-8"))
        return values

    def forget(self, *stages: str) -> None:
        """Make DVC believe that these stages have never run: not in dvc.lock, not in its cache of runs."""
        lock = self.lock()
        for stage in stages:
            del lock["stages"][stage]
        (self.root / "dvc.lock").write_text(yaml.safe_dump(lock), encoding="utf-8")
        shutil.rmtree(self.root / ".dvc" / "cache" / "runs", ignore_errors=True)

    def digests(self, *folders: str) -> dict[str, str]:
        """sha256 by name of every file below these folders (or of these files)."""
        found: dict[str, str] = {}
        for folder in folders:
            start = self.root / folder
            for path in sorted([start] if start.is_file() else start.rglob("*")):
                if path.is_file():
                    found[path.relative_to(self.root).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found


def new_project(root: Path, changes: Mapping[str, Any] | None = None, **environment: str) -> Project:
    """A copy of this checkout at `root`, committed to a git repository of its own, with changed parameters."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=HERE, capture_output=True, text=True, check=True
    )
    for name in sorted(set(listed.stdout.split("\0")) - {"", "dvc.lock"}):
        source = HERE / name
        if source.is_file() and not name.startswith("reports/"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, root / name)
    project = Project(root, environment)
    project.set_params(TINY if changes is None else changes)
    author = ("-c", "user.name=tests", "-c", "user.email=tests@example.com", "-c", "commit.gpgsign=false")
    for command in (
        ("init", "--quiet"), ("add", "--all"), (*author, "commit", "--quiet", "--message", "start"),
        ("gc", "--quiet"),  # one file instead of hundreds, in each copy
    ):  # fmt: skip
        done = project.run("git", *command)
        assert done.returncode == 0, done.stderr
    return project


def one_error_line(done: subprocess.CompletedProcess[str]) -> str:
    """The single line on standard error of a stage that was stopped by a user's mistake.

    Raises:
        AssertionError: another exit code than 1, or more or less than one line.
    """
    assert done.returncode == 1, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]
