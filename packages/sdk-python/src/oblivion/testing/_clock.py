"""Where the time of a test lives: it goes on by itself, and leaps ahead when told."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

_TURNS = 100
"""Turns of the loop between two timers; a call over the socket and its answer take about forty."""


@dataclass(eq=False, slots=True)
class _Timer:
    clock: "FakeClock"
    due: float
    callback: Callable[[], object] = field(repr=False)
    handle: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        self.clock.forget(self)


class FakeClock:
    """A clock for the client and the fake Nexus of a test.

    It goes on like the machine's, so that nothing waits in vain, and
    :meth:`~oblivion.testing.FakeClock.advance` leaps over hours in milliseconds. A ``frozen``
    one stands still between leaps.
    """

    def __init__(self, *, frozen: bool = False) -> None:
        self._start = datetime.now(UTC)
        self._began = time.monotonic()
        self._leapt = 0.0
        self._frozen = frozen
        self._timers: list[_Timer] = []

    def now(self) -> datetime:
        """Return the moment in UTC."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return the seconds since the clock was made."""
        ran = 0.0 if self._frozen else time.monotonic() - self._began
        return ran + self._leapt

    def call_later(self, seconds: float, callback: Callable[[], object]) -> _Timer:
        """Call ``callback`` on the running loop after ``seconds`` of this clock."""
        timer = _Timer(self, self.monotonic() + max(0.0, seconds), callback)
        self._timers.append(timer)
        self._arm(timer)
        return timer

    def forget(self, timer: _Timer) -> None:
        """Do not ring ``timer`` any more."""
        if timer in self._timers:
            self._timers.remove(timer)
        if timer.handle is not None:
            timer.handle.cancel()

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once.

        What is due on the way happens in its order, and each time both sides get to talk about
        it before the clock goes on.
        """
        end = self.monotonic() + seconds
        await settle()
        while due := [timer for timer in self._timers if timer.due <= end]:
            first = min(due, key=lambda timer: timer.due)
            self._leap_to(first.due)
            self._ring(first)
            await settle()
        self._leap_to(end)
        for timer in self._timers:
            self._arm(timer)
        await settle()

    def _leap_to(self, moment: float) -> None:
        self._leapt += max(0.0, moment - self.monotonic())

    def _arm(self, timer: _Timer) -> None:
        if timer.handle is not None:
            timer.handle.cancel()
        wait = timer.due - self.monotonic()
        if not self._frozen or wait <= 0:
            loop = asyncio.get_running_loop()
            timer.handle = loop.call_later(max(0.0, wait), self._ring, timer)

    def _ring(self, timer: _Timer) -> None:
        if timer in self._timers:
            self.forget(timer)
            timer.callback()


async def settle() -> None:
    """Let everything on this loop that is under way get on."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
