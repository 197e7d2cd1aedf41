"""Start, stop and fail in one way, for stages and commands: an exit code and, where it is not 0, one line on stderr.

0 complete and verified; 1 an error that the line explains; 2 wrong arguments; 75 a part of a stage (see
`pipeline.engine.parts`); 130 and 143 stopped by Ctrl-C or SIGTERM, after which the same command goes on.
"""

import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.engine import lifecycle
from pipeline.errors import STOPPING

FULL = (errno.ENOSPC, errno.EDQUOT)
HINTS = {
    **dict.fromkeys(FULL, "free some space and run again"),
    errno.EACCES: "check who may write there",
    errno.EROFS: "the file system is read-only",
    **dict.fromkeys((errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENOTDIR), "move away what lies there"),
    errno.ENOMEM: "memory ran out; close other programs, or set SIER_WORKERS lower",
}
# A write does not say which file it was for; so say which disk is full.
DISKS = (Path(".work"), Path("data"), Path("reports"), Path())
# What libraries raise, of types that say nothing, where memory runs out.
OUT_OF_MEMORY = ("allocate memory", "out of memory", "failed to map segment", "bad_alloc", "can't start new thread")


def exit_code(name: str, work: Callable[[], int], *, kept: str = "") -> int:
    """Do `work`, which returns an exit code; whatever a user can cause ends in one line that begins with `name`.

    `kept` says what a run that is stopped, or fills the disk, leaves for the next one: "finished shards are kept".

    An error that is raised is a defect of the project and keeps its traceback.
    """
    lifecycle.on_sigterm_stop()
    stopped = f"stopped; {kept}{', ' if kept else ''}run the same command to go on"
    try:
        return work()
    except STOPPING as error:
        return fail(name, str(error))
    except KeyboardInterrupt:
        return fail(name, stopped, 130)
    except lifecycle.Stopped:
        return fail(name, stopped, 143)
    except BrokenPipeError:  # `sier verify | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        message = _of_machine(error, kept)
        if message is None:
            raise
        return fail(name, message)


def fail(name: str, message: str, code: int = 1) -> int:
    """Say in one line why it ends; returns the exit code."""
    print(f"{name}: error: {printable(' '.join(message.split()))}", file=sys.stderr, flush=True)
    return code


def say(text: str) -> None:
    """Print lines of a result; names of files and foreign text in them cannot steer the terminal."""
    print("\n".join(map(printable, text.split("\n"))), flush=True)


def printable(line: str) -> str:
    """`line` with control characters, bidirectional marks and undecodable bytes as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def _of_machine(error: Exception, kept: str) -> str | None:
    """What the machine lacks; None if it lacks nothing."""
    text = str(error)
    if isinstance(error, MemoryError) or any(words in text for words in OUT_OF_MEMORY):
        return HINTS[errno.ENOMEM]
    if not isinstance(error, OSError) or error.errno is None:
        return None
    file = error.filename2 or error.filename  # of a rename, what it was to become
    if file is None and error.errno in FULL:
        file = min(filter(Path.is_dir, DISKS), key=lambda folder: shutil.disk_usage(folder).free)
    hints = [HINTS.get(error.errno), kept if error.errno in FULL else ""]
    return (f"{file}: " if file else "") + "; ".join([os.strerror(error.errno), *filter(None, hints)])
