"""When a test takes a process for hung. No machine is too slow or too busy for it.

A process that nobody feeds is waited for as long as it, or what it started, uses the CPU (`finish`). Where something
else is awaited, the limit is a multiple of how long this machine takes for a little work.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from typing import Any

import psutil

ADDITIONS = 1_000_000
ADDITIONS_SECONDS = 0.06  # of an idle machine of two cores, on which the limits below are generous
LOOK_SECONDS = 5.0


def slowness() -> float:
    """How many times slower than an idle machine this one is now; at least 1."""
    begin = time.perf_counter()
    for _ in range(ADDITIONS):
        pass
    return max(1.0, (time.perf_counter() - begin) / ADDITIONS_SECONDS)


HANG_SECONDS = 240.0 * slowness()  # without a sign of life


def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """A finished process with its output as text; options are those of Popen."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    ) as process:
        out, err = finish(process)
        return subprocess.CompletedProcess(command, process.returncode, out, err)


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """`communicate`, for as long as the process or its descendants use the CPU.

    Raises:
        AssertionError: they have used none for `HANG_SECONDS`; they are killed.
    """
    used, since = -1.0, time.monotonic()
    while True:
        try:
            return process.communicate(timeout=LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            now = cpu_seconds(process.pid)
            if now != used:
                used, since = now, time.monotonic()
            elif time.monotonic() - since > HANG_SECONDS:
                for member in family(psutil.Process(process.pid)):
                    member.kill()
                process.kill()
                out, err = process.communicate()
                raise AssertionError(f"hung for {HANG_SECONDS:.0f} s: {process.args!r}\n{out}\n{err}") from None


def family(process: psutil.Process) -> list[psutil.Process]:
    """All living descendants."""
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pid: int) -> float:
    """Of a process and all its descendants, those included that have ended."""
    total = 0.0
    try:
        process = psutil.Process(pid)
        for member in [process, *family(process)]:
            total += sum(member.cpu_times()[:4])
    except psutil.NoSuchProcess:
        pass
    return total
