"""Signals, the parent's death, and one run of a stage at a time.

After `kill -9` of `dvc repro` its child would live on, and two runs would write the same work folder. So a stage that
DVC started dies with DVC, workers die with their stage, and a lock keeps a second run out.
"""

import ctypes
import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from pipeline.errors import UserError

PR_SET_PDEATHSIG = 1
LOCK_WAIT_SECONDS = 30.0
POLL_SECONDS = 0.5
SHELLS = {"sh", "bash", "dash", "zsh", "fish", "ksh"}


class Stopped(BaseException):
    """SIGTERM arrived. Not an Exception: nothing but `exit_code` may catch it."""


def on_sigterm_stop() -> None:
    """Turn the first SIGTERM into `Stopped`, so that `finally` blocks run and workers are ended.

    Ctrl-C stays a `KeyboardInterrupt`. After the first of either the ending, which is short, is not disturbed: the
    kernel and `_watch` may both report the parent's death, and who is in a hurry presses Ctrl-C twice.
    """
    signals = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not so in the background of a script
        signals.append(signal.SIGINT)

    def handler(number: int, _frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else Stopped

    for each in signals:
        signal.signal(each, handler)


def die_with_parent(parent: int, with_signal: signal.Signals) -> None:
    """Ask the kernel to end this process when its parent, whose process id the caller knew, dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, with_signal)
    if os.getppid() != parent:  # it died before we asked
        os.kill(os.getpid(), with_signal)


def stop_with_dvc() -> None:
    """Where DVC started this stage: stop when DVC is gone, though a shell between the two may live on."""
    if "DVC_STAGE" not in os.environ:
        return
    die_with_parent(os.getppid(), signal.SIGTERM)
    dvc = dvc_process()
    if dvc is not None:
        stop_with(dvc.pid)


def dvc_process() -> psutil.Process | None:
    """DVC, where it started this stage."""
    if "DVC_STAGE" not in os.environ:
        return None
    return next((process for process in psutil.Process().parents() if process.name() not in SHELLS), None)


def stop_with(pid: int) -> None:
    """Stop by SIGTERM when the process `pid`, which need not be the parent, is gone."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        os.kill(os.getpid(), signal.SIGTERM)
        return
    threading.Thread(target=_watch, args=(process,), daemon=True).start()


def _watch(process: psutil.Process) -> None:
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def only_run(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock on `path`, alone or `shared`, as by the parts of a stage; the kernel drops it when this process dies.

    Raises UserError, which names the process, if another run holds it for longer than 30 s.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    until_free = Retrying(
        retry=retry_if_exception_type(BlockingIOError), stop=stop_after_delay(LOCK_WAIT_SECONDS),
        wait=wait_fixed(POLL_SECONDS), reraise=True,
    )  # fmt: skip
    with path.open("a+", encoding="utf-8") as file:
        try:
            until_free(fcntl.flock, file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            what = f"another run (process {holder})" if holder else "runs of parts of this stage"
            raise UserError(f"{path} is held by {what}; wait for it or stop it, then run again") from None
        file.truncate(0)
        if not shared:
            file.write(f"{os.getpid()}\n")
        file.flush()
        yield
