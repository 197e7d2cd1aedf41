"""For all tests: how they share cores."""

from __future__ import annotations

import os
from typing import Any

import pytest

# With several test processes on few cores, each process on one thread is faster than all of them on all cores. Torch
# reads the first when it is imported, so it stands here; the second is what training asks for.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("SIER_THREADS", "1")

BUILDS = "tests/integration"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests go to one process; those of all files that look at whole builds to the same, to build once."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return BUILDS if nodeid.startswith(f"{BUILDS}/") else nodeid.partition("::")[0]

    return ByFile(config, log)
