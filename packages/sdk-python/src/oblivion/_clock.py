"""Where time lives: the one place that reads a clock or sets a timer.

Everything that waits takes a :class:`Clock`, so that a test can own the time.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Protocol


class Timer(Protocol):
    """A call that is set for later."""

    def cancel(self) -> None:
        """Forget the call; harmless when it has happened."""


class Clock(Protocol):
    """What the SDK asks of time."""

    def now(self) -> datetime:
        """Return the moment in UTC, for timestamps."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for ages."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call ``callback`` on the running loop after ``seconds``."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the moment in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the seconds of the monotonic clock."""
        return time.monotonic()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call ``callback`` on the running loop after ``seconds``."""
        return asyncio.get_running_loop().call_later(seconds, callback)


async def sleep(clock: Clock, seconds: float) -> None:
    """Wait for ``seconds`` of ``clock``."""
    over = asyncio.Event()
    timer = clock.call_later(seconds, over.set)
    try:
        await over.wait()
    finally:
        timer.cancel()


@asynccontextmanager
async def within(clock: Clock, seconds: float | None) -> AsyncGenerator[None]:
    """Raise TimeoutError when the body takes longer than ``seconds`` of ``clock``; None waits."""
    async with asyncio.timeout(None) as scope:
        if seconds is None:
            yield
            return
        timer = clock.call_later(seconds, partial(scope.reschedule, 0))
        try:
            yield
        finally:
            timer.cancel()
