"""Where a clock lives that only the test's hand moves."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(eq=False)
class HandTimer:
    """A timer of the clock."""

    clock: "HandClock"
    seconds: float
    due: float
    callback: Callable[[], object] = field(repr=False)

    def cancel(self) -> None:
        self.clock.forget(self)


class HandClock:
    """A clock that stands still until :meth:`advance`; ``timers`` holds what is set."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.timers: list[HandTimer] = []
        self._changed = asyncio.Event()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    def call_later(self, seconds: float, callback: Callable[[], object]) -> HandTimer:
        timer = HandTimer(self, seconds, self.passed + seconds, callback)
        self.timers.append(timer)
        self._changed.set()
        return timer

    def forget(self, timer: HandTimer) -> None:
        if timer in self.timers:
            self.timers.remove(timer)
            self._changed.set()

    def advance(self, seconds: float) -> None:
        """Let time pass, and ring what is due on the way, in order."""
        end = self.passed + seconds
        while due := [timer for timer in self.timers if timer.due <= end]:
            first = min(due, key=lambda timer: timer.due)
            self.passed = max(self.passed, first.due)
            self.forget(first)
            first.callback()
        self.passed = end

    async def timer(self, *, low: float, high: float, patience: float = 10.0) -> HandTimer:
        """Wait until a timer of ``low`` to ``high`` seconds is set, and return it."""
        async with asyncio.timeout(patience):
            while True:
                for timer in self.timers:
                    if low <= timer.seconds <= high:
                        return timer
                self._changed.clear()
                await self._changed.wait()
