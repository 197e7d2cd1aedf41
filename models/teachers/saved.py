"""How every kind of teacher is saved beside its `teacher.json`, and told from what was not saved."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.teachers.teacher import TEACHER_FILE


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write `teacher.json`, after everything else that the folder holds."""
    for path in folder.iterdir():
        if path.is_file():
            path.chmod(0o644)  # weights come out readable by their owner only, and DVC shares what it caches
    (folder / TEACHER_FILE).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


@contextmanager
def reading(folder: Path, what: str = "a saved teacher", *errors: type[Exception]) -> Iterator[dict[str, Any]]:
    """The card, for a block that makes the teacher of it; ModelError for what a broken file raises there.

    `errors`: what readers of other files raise besides the usual.
    """
    broken: tuple[type[Exception], ...] = (OSError, ValueError, KeyError, TypeError, *errors)
    try:
        yield json.loads((folder / TEACHER_FILE).read_text(encoding="utf-8"))
    except broken as error:
        found = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise ModelError(f"{folder}: expected {what}, found {found}; run train_teacher again") from None


def expect_saved(folder: Path, digest: str, saved: str, what: str = "weights are not those that were") -> None:
    """Raises ModelError where what was read is not what the card was written for."""
    if digest != saved:
        raise ModelError(f"{folder}: the {what} saved; run train_teacher again")
