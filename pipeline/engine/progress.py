"""How far something is: a bar on a terminal, elsewhere a line a minute.

Both tick while nothing is done yet, as when a model is loaded; what takes less than a minute says nothing in a log.
"""

import io
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm

TERMINAL_SECONDS = 1.0
LOG_SECONDS = 60.0
LOADING = "loading, then the first part"


class Progress(tqdm):  # type: ignore[type-arg]  # tqdm takes one in its stubs alone
    """A tqdm that shows itself from time to time, on stderr; `options` are tqdm's."""

    def __init__(self, iterable: Iterable[Any] | None = None, **options: Any) -> None:
        self._ended, self._lines = threading.Event(), 0
        self._in_log = not sys.stderr.isatty()
        if self._in_log:  # tqdm itself writes to nowhere, and at no time; `display` is called by the clock alone
            never = float("inf")
            options |= {"file": io.StringIO(), "mininterval": never, "delay": never, "ncols": 0}
        super().__init__(iterable, **options)
        if not self.disable:
            threading.Thread(target=self._tick, daemon=True).start()

    def __iter__(self) -> Iterator[Any]:
        """As tqdm has it, which would count only when it prints."""
        try:
            for item in self.iterable:
                yield item
                self.update()
        finally:
            self.close()

    def refresh(self, *arguments: Any, **options: Any) -> None:
        """Show it anew; in a log the clock alone does."""
        if not self._in_log:
            super().refresh(*arguments, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> Any:
        """Print where it stands; what is returned is tqdm's."""
        if not self._in_log:
            return super().display(msg, pos)
        self._lines += 1
        print(str(self), file=sys.stderr, flush=True)
        return True

    def close(self) -> None:
        """The end; in a log with a last line if there was one before."""
        if not self._ended.is_set():
            self._ended.set()
            if self._lines:
                self.display()
        super().close()

    def _tick(self) -> None:
        while not self._ended.wait(LOG_SECONDS if self._in_log else TERMINAL_SECONDS):
            with self.get_lock():  # type: ignore[no-untyped-call]
                if not self._ended.is_set():
                    self.display()
