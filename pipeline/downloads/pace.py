"""How fast a host sends: a bound for those that send a byte now and then, for ever.

Looked at where bytes arrive, below headers, chunks and whole reads, none of which ends before its last byte is there.
Only waiting for the host counts: a slow disk, or a process that was stopped for an hour, is none of its faults.
"""

import http.client
import io
import math
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from requests.adapters import HTTPAdapter

HEAD_BYTES_MAX = 2**20  # of an answer: http.client reads `100 Continue` for ever


class SlowError(Exception):
    """Too few bytes in too long a time."""


@dataclass
class Pace:
    """Of all answers to one wish, redirects included; `ended` is set where nobody waits for them any more."""

    least_bytes_per_second: float
    seconds: float  # of waiting, after each of which it is looked at
    deadline_seconds: float = math.inf  # of waiting in all
    ended: threading.Event = field(default_factory=threading.Event)
    _all_seconds: float = 0.0
    _recent_seconds: float = 0.0
    _recent_bytes: int = 0

    def count(self, size_bytes: int, seconds: float) -> None:
        """So many bytes came after so many seconds. Raises SlowError."""
        self._all_seconds += seconds
        self._recent_seconds += seconds
        self._recent_bytes += size_bytes
        if self.ended.is_set():
            raise SlowError("no longer wanted")
        if self._all_seconds > self.deadline_seconds:
            raise SlowError(f"not whole after {self.deadline_seconds:g} s")
        if self._recent_seconds > self.seconds:
            if self._recent_bytes < self.least_bytes_per_second * self._recent_seconds:
                raise SlowError(f"fewer than {self.least_bytes_per_second:g} bytes a second, for {self.seconds:g} s")
            self._recent_seconds, self._recent_bytes = 0.0, 0


class PacedAdapter(HTTPAdapter):
    """Connections whose answers must come at `pace`, which is set before each request; for one thread."""

    pace: Pace

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """The pool of the library, whose connections read answers as `_Response` does."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        if not issubclass(pool.ConnectionCls, _Paced):
            pool.ConnectionCls = type("Paced", (_Paced, pool.ConnectionCls), {"response_class": self._answer})
        return pool

    def _answer(self, sock: socket.socket, *arguments: Any, **options: Any) -> "_Response":
        return _Response(self.pace, sock, *arguments, **options)


class _Paced:
    """Marks a class of connections."""


class _Response(http.client.HTTPResponse):
    def __init__(self, pace: Pace, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self._wire = _Wire(self.fp.detach(), pace)
        self.fp = io.BufferedReader(self._wire)

    def begin(self) -> None:
        """Read the status and the headers."""
        super().begin()
        self._wire.left_bytes = math.inf


class _Wire(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, pace: Pace) -> None:
        self._raw = raw
        self._pace = pace
        self.left_bytes: float = HEAD_BYTES_MAX

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        begin = time.monotonic()
        size_bytes = self._raw.readinto(buffer)
        self._pace.count(size_bytes or 0, time.monotonic() - begin)
        self.left_bytes -= size_bytes or 0
        if self.left_bytes < 0:
            raise SlowError(f"more than {HEAD_BYTES_MAX:,} bytes of headers")
        return size_bytes

    def close(self) -> None:
        self._raw.close()
        super().close()
