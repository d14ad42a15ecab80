"""Where Slack's time lives: a clock that a test may bring, waiting by it, and timestamps."""

import asyncio
import contextlib
import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Tells the time in milliseconds since the epoch."""


def wall_clock() -> int:
    """Return the machine's time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Time:
    """The workspace's time. A clock that stands still is looked at again after each ``tick``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ticked = asyncio.Event()
        self._last_us = 0

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return self._clock()

    def tick(self) -> None:
        """Have everybody who waits look at the clock again."""
        self._ticked.set()
        self._ticked = asyncio.Event()

    async def reach(self, moment_ms: int) -> None:
        """Wait until the clock shows the moment."""
        while (left := moment_ms - self.now()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left / 1000):
                    await self._ticked.wait()

    def stamp(self) -> str:
        """Return a ``ts`` like ``1503435956.000247``: later than every one before it."""
        self._last_us = max(self.now() * 1000, self._last_us + 1)
        seconds, micros = divmod(self._last_us, 1_000_000)
        return f"{seconds}.{micros:06d}"
