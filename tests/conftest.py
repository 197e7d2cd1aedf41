"""For all tests: how they share cores, and that Ctrl-C reaches what they start."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

# A shell that starts the tests in the background tells them, and all they start, to ignore Ctrl-C; some send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# With several test processes on few cores, each process on one thread is faster than all of them on all cores. Torch
# reads the first when it is imported, so it stands here; the second is what training asks for.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("SIER_THREADS", "1")


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Commands and stages that run in this process set handlers of their own."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
