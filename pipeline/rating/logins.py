"""Tries to log in, slowed down: those of an address one by one, and each that failed holds the next one back longer."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

PAUSE_SECONDS_MAX = 30.0
WAITING_MAX = 4
ADDRESSES_MAX = 1_000


@dataclass
class Tries:
    """Of one address."""

    failed: int = 0  # in a row
    not_before: float = 0.0
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Logins:
    """All addresses; `pause` waits for so many seconds, `now` is in seconds."""

    def __init__(
        self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep, now: Callable[[], float] = time.monotonic
    ):
        self._pause, self._now = pause, now
        self._tries: dict[str, Tries] = {}

    def is_crowded(self, address: str) -> bool:
        """Whether so many tries of this address wait that another one is refused at once."""
        return address in self._tries and self._tries[address].waiting >= WAITING_MAX

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[Callable[[bool], None]]:
        """Wait for a try's turn; what it gives is to be told whether the try succeeded."""
        tries = self._tries.pop(address, None) or Tries()
        self._tries[address] = tries  # the newest last
        if len(self._tries) > ADDRESSES_MAX:
            del self._tries[next(iter(self._tries))]

        def ended(entered: bool) -> None:
            if entered:
                tries.failed = 0
                return
            tries.not_before = self._now() + min(PAUSE_SECONDS_MAX, 2.0**tries.failed)
            tries.failed += 1
            print(f"rate: a log-in from {address} was refused, {tries.failed} in a row", flush=True)

        tries.waiting += 1
        try:
            async with tries.turn:
                await self._pause(max(0.0, tries.not_before - self._now()))
                yield ended
        finally:
            tries.waiting -= 1
