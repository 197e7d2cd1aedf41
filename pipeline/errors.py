"""Three kinds of failure, and what each costs; `models` has its own two (`models.errors`), which mean the same.

UserError       stops the stage: a bad corpus, parameter, installation or disk. Shown as one line, without traceback.
RowError        costs one row: it becomes a reject with a status (for counting) and a reason (for reading).
RetryableError  costs a pause: the engine tries the shard again (see `pipeline.engine`).
"""

from models.errors import ItemError, ModelError


class UserError(Exception):
    """What was expected, what was found, and what to do, in one line."""


class RowError(ItemError):
    """A row that cannot be used."""


class RetryableError(Exception):
    """A failure that may pass by itself: a busy file system, a connection that broke."""


# What ends a run in one line.
STOPPING = (UserError, ModelError, RetryableError)


def first_line(error: BaseException) -> str:
    """The first line of an error's text; of one without a text its kind."""
    return (str(error).splitlines() or [type(error).__name__])[0]
