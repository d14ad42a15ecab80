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


class Deadline:
    """When a body of :func:`within` has to end."""

    def __init__(self, clock: Clock, scope: asyncio.Timeout) -> None:
        self._clock = clock
        self._scope = scope
        self._timer: Timer | None = None

    def set(self, seconds: float) -> None:
        """Count ``seconds`` from now on."""
        self.clear()
        self._timer = self._clock.call_later(seconds, partial(self._scope.reschedule, 0))

    def clear(self) -> None:
        """Wait without end."""
        if self._timer is not None:
            self._timer.cancel()


@asynccontextmanager
async def within(clock: Clock, seconds: float | None) -> AsyncGenerator[Deadline]:
    """Raise TimeoutError when the body takes longer than ``seconds`` of ``clock``; None waits."""
    async with asyncio.timeout(None) as scope:
        deadline = Deadline(clock, scope)
        if seconds is not None:
            deadline.set(seconds)
        try:
            yield deadline
        finally:
            deadline.clear()
