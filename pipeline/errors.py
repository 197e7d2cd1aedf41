"""Three kinds of failure, and what each costs.

UserError       stops the stage: a bad corpus, parameter, installation or disk. Shown as one line, without traceback.
RowError        costs one row: it becomes a reject with a status (for counting) and a reason (for reading).
RetryableError  costs a pause: the engine tries the shard again (see `pipeline.engine`).
"""

from __future__ import annotations


class UserError(Exception):
    """What was expected, what was found, and what to do, in one line."""


class RowError(Exception):
    """A row that cannot be used.

    Args:
        status: a short snake_case name that rejects are counted by, such as `image_truncated`.
        reason: one sentence about this very row, for a person.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason

    def __reduce__(self) -> tuple[type[RowError], tuple[str, str]]:
        # The default would call __init__ with the joined message only, and fail on the way back from a worker.
        return RowError, (self.status, self.reason)


class RetryableError(Exception):
    """A failure that may pass by itself: a busy file system, a connection that broke."""


def first_line(error: BaseException) -> str:
    """The first line of an error's text; of one without a text its kind."""
    return (str(error).splitlines() or [type(error).__name__])[0]
