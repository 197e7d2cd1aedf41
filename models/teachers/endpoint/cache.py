"""Answers that were paid for, kept on disk: a run that is killed does not ask again.

A folder holds the answers to one question (model, prompt, classes) about many items, one JSON line each, in a file per
process, so that processes and machines can share it without a lock. A line whose sum is wrong, such as the torn last
one of a process that was killed, is as good as not there.
"""

import hashlib
import json
import os
import socket
import threading
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO


@dataclass(frozen=True)
class Answer:
    """What came of a question that was answered: a class, or the status and the reason of a reject."""

    said: str | None  # the class
    probabilities: dict[str, float] | None = None  # of all classes, where tokens told
    status: str = ""
    reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class AnswerCache:
    """The answers in `folder`; without a folder those of this process only."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known = read(folder) if folder else {}
        self._file: TextIO | None = None
        self._lock = threading.Lock()

    def get(self, key: str) -> Answer | None:
        """The answer about the item with this key, if there is one."""
        return self._known.get(key)

    def put(self, key: str, answer: Answer) -> None:
        """Keep an answer, from any thread; it outlives this process at once."""
        with self._lock:
            self._known[key] = answer
            if self._folder is None:
                return
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
                self._file = (self._folder / name).open("a", encoding="utf-8")
            value = {"key": key, **asdict(answer)}
            self._file.write(json.dumps({**value, "sum": _sum(value)}) + "\n")
            self._file.flush()


def read(folder: Path) -> dict[str, Answer]:
    """All answers in a folder by key; none of a folder that is not there."""
    found: dict[str, Answer] = {}
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    value = json.loads(line)
                    own_sum = value.pop("sum")
                    if own_sum == _sum(value):
                        found.setdefault(value.pop("key"), Answer(**value))
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue
    return found


def spent(folder: Path) -> dict[str, int]:
    """How many answers a folder holds, and what they cost in tokens."""
    answers = read(folder).values()
    return {
        "answers": len(answers), "prompt_tokens": sum(answer.prompt_tokens for answer in answers),
        "completion_tokens": sum(answer.completion_tokens for answer in answers),
    }  # fmt: skip


def _sum(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
