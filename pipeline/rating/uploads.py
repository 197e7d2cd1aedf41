"""Recordings that raters have sent and not saved: a few of each, for minutes, under names that nobody guesses."""

import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

KEPT_SECONDS = 600.0
SAVED_SECONDS = 10.0  # the page draws what was sent while it may be saved already
KEPT_PER_RATER = 8
KEPT_IN_ALL = 128  # 4 GiB; who knows the secret may log in by many names


class Uploads:
    """Files of a folder that this made itself; it reads, hands out and deletes no others. `now` in seconds."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.monotonic):
        self.folder = folder.resolve()
        self._now = now
        self._kept: dict[str, tuple[str, float]] = {}  # owner, and when it goes, by name; oldest first

    def keep(self, owner: str, content: IO[bytes]) -> str:
        """Keep a rater's recording under a new name, which is returned; his oldest goes where he has too many."""
        name = secrets.token_hex(16)
        self._kept[name] = (owner, self._now() + KEPT_SECONDS)
        try:
            with (self.folder / name).open("xb") as file:
                shutil.copyfileobj(content, file)
        except OSError:  # such as a full disk
            self.remove(name)
            raise
        kept = list(self._kept.items())
        mine = [key for key, (whose, _) in kept if whose == owner]
        for key in [*mine[:-KEPT_PER_RATER], *(key for key, _ in kept[:-KEPT_IN_ALL])]:
            self.remove(key)
        return name

    def find(self, name: str, owner: str | None = None) -> Path | None:
        """The file of a name, if it is there and the owner's, or anybody's if no owner is given."""
        whose, _ = self._kept.get(name, (None, 0.0))
        return None if whose is None or owner not in {None, whose} else self.folder / name

    def remove(self, name: str) -> None:
        """Delete a recording, if it is there."""
        if self._kept.pop(name, None) is not None:
            (self.folder / name).unlink(missing_ok=True)

    def saved(self, name: str) -> None:
        """Delete a recording that is in the store now, once its page has had time to load it."""
        if name in self._kept:
            owner, goes = self._kept[name]
            self._kept[name] = (owner, min(goes, self._now() + SAVED_SECONDS))

    def sweep(self) -> None:
        """Delete what was not saved in time, or was saved and has been loaded."""
        for name, (_, goes) in list(self._kept.items()):
            if self._now() > goes:
                self.remove(name)
