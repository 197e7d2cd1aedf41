"""Two kinds of failure of networks and their weights; each says in one line what was expected and what was found."""

from typing import Self


class ModelError(Exception):
    """A network, its weights or its settings cannot be used."""


class ItemError(Exception):
    """An item (waveform or picture) that cannot be used: a snake_case status to count by, and a sentence for people."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        # The default would call __init__ with the joined message only, and fail on the way back from a worker.
        return type(self), (self.status, self.reason)
