"""Processes with their time and memory, facts of the machine, and results as JSON.

Wall seconds mean little on a machine that others use; CPU seconds, of a process and all it started, hold there as well.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import psutil

RESULTS = Path(__file__).parent / "results"
SAMPLING_SECONDS = 0.1
MIB = 2**20
LIBRARIES = (
    "numpy",
    "pyarrow",
    "pandas",
    "torch",
    "onnxruntime",
    "ctranslate2",
    "piper-tts",
    "hibari-tts",
    "timm",
    "faiss-cpu",
    "dvc",
)


def arguments(name: str, description: str | None, quick: str) -> argparse.ArgumentParser:
    """What every benchmark takes: `--quick`, with what it then measures, and `--json`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", type=Path, help=f"where results are written; benchmarks/results/{name}.json")
    return parser


@dataclass(frozen=True)
class Run:
    """A finished process.

    Attributes:
        seconds: from start to end.
        cpu_seconds: of the process and all its descendants.
        peak_mib: memory of the process and its descendants together; what they share counts once.
        output: what it printed.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float
    output: str


def run(command: Sequence[str], cwd: Path, **environment: str) -> Run:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; with what it printed.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, env={**os.environ, **environment}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    sampled: list[int] = [0]
    ended = threading.Event()
    sampler = threading.Thread(target=_sample, args=(process.pid, sampled, ended))
    sampler.start()
    errors: list[str] = []
    assert process.stdout is not None and process.stderr is not None
    reader = threading.Thread(target=lambda stream: errors.append(stream.read()), args=(process.stderr,))
    reader.start()
    output = process.stdout.read()
    # Not subprocess's own wait, which does not tell what the process has used.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begin
    ended.set()
    sampler.join()
    reader.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}\n{output}\n{''.join(errors)}")
    # The kernel's peak is that of the largest process; it misses nothing, where sampling might.
    peak_mib = max(usage.ru_maxrss * 1024, sampled[0]) / MIB
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak_mib, output)


def _sample(pid: int, highest: list[int], ended: threading.Event) -> None:
    while not ended.wait(SAMPLING_SECONDS):
        total = 0
        try:
            process = psutil.Process(pid)
            for member in (process, *process.children(recursive=True)):
                total += member.memory_full_info().pss
        except psutil.Error:
            continue
        highest[0] = max(highest[0], total)


def python(*arguments: str) -> list[str]:
    """A command of the interpreter that runs this."""
    return [sys.executable, *arguments]


def by_turns(actions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each action in each round; in a round all are run once, every other round in reverse.

    One round more, which comes first, warms up and is not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name in list(actions) if number % 2 else list(actions)[::-1]:
            begin = time.perf_counter()
            actions[name]()
            if number:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def median_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Median of the ratios round by round, which a machine that slows down for a while disturbs less."""
    return statistics.median(one / other for one, other in zip(numerator, denominator, strict=True))


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Growth: the slope of a line through log(seconds) over log(sizes) by least squares; 1 is linear."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def machine() -> dict[str, Any]:
    """What results depend on besides the code."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def write_json(name: str, facts: Mapping[str, Any], results: Mapping[str, Any], path: Path | None) -> None:
    """Results and the machine's facts as `benchmarks/results/<name>.json`, or at `path`."""
    target = path or RESULTS / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    after = {"load_average_after": round(os.getloadavg()[0], 2)}
    target.write_text(json.dumps({"machine": {**facts, **after}, **results}, indent=2) + "\n", encoding="utf-8")
    load = f"{facts['load_average_before']} before, {after['load_average_after']} after"
    print(f"\nload average {load}; written to {target}")


@dataclass(frozen=True)
class Target:
    """A figure and what it should be: at least `limit`, or at most where `at_most`."""

    what: str
    value: float
    limit: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit


def tell(targets: Sequence[Target]) -> None:
    """Print each target, what was found, and whether it is met."""
    print()
    for one in targets:
        bound = "at most" if one.at_most else "at least"
        print(f"{one.what:<40}{one.value:10,.2f}  {bound} {one.limit:8,.2f}  {'met' if one.met else 'MISSED'}")


def as_json(targets: Sequence[Target]) -> dict[str, Any]:
    """Targets as part of the results."""
    return {"targets": [{**asdict(one), "met": one.met} for one in targets]}


def cores() -> int:
    """Of this machine, as far as this process may use them."""
    return int(joblib.cpu_count())
