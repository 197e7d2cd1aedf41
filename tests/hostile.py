"""Run a function in a process that may take little memory: a reader that believes a file's header dies of it.

In   a function of a test module, arguments as text, and the memory that it may take beyond the module's imports and
     its `warm_up()`, if it has one
Out  what it returns, as JSON; a process that crashes, runs out of memory, or runs in circles, fails the test
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.errors import RowError, UserError
from tests import patience

HERE = Path(__file__).resolve().parents[1]
CPU_SECONDS = int(120 * patience.slowness())  # of its own: how busy the machine is does not count


def in_little_memory(function: Callable[..., Any], *arguments: object, extra_mib: int) -> Any:
    """`function(*arguments)`, called with text, in a process whose address space is `extra_mib` more than its imports.

    Raises:
        AssertionError: it raised, was killed, or died of too little memory.
    """
    command = [sys.executable, "-m", "tests.hostile", function.__module__, function.__name__, str(extra_mib)]
    done = patience.run([*command, *map(str, arguments)], cwd=HERE, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout[-500:]}\n{done.stderr[-2000:]}"
    return json.loads(done.stdout.splitlines()[-1])


def outcome(call: Callable[[], object]) -> str:
    """`ok`, the status of a RowError, or `error: ` and the line of a UserError; anything else is a fault of ours."""
    try:
        call()
    except RowError as error:
        assert error.reason
        assert "\n" not in str(error)
        return error.status
    except UserError as error:
        assert "\n" not in str(error)
        return f"error: {error}"
    return "ok"


def _main(module: str, function: str, extra_mib: str, *arguments: str) -> None:
    tests = importlib.import_module(module)
    call = getattr(tests, function)
    getattr(tests, "warm_up", bool)()  # what is imported or set up at first use is not what is measured
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit_bytes = pages * resource.getpagesize() + int(extra_mib) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    print(json.dumps(call(*arguments)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
