"""Where the gateway looks at the clock: one timer for all connections, none without any."""

import asyncio
import math
from typing import Protocol


class Patient(Protocol):
    """Whatever has something to do at a time."""

    def tick(self, now: float) -> None:
        """Do what is due."""
        ...


class Rounds:
    """Calls each patient when it is due, at most one step late, in the loop's time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, step_s: float = 1.0) -> None:
        self._loop = loop
        self._step_s = step_s
        self._waiting: dict[int, set[Patient]] = {}
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, patient: Patient, due: float) -> int:
        """Call the patient once when it is due; returns the round, for :meth:`leave`."""
        if self._timer is None:
            self._next = math.floor(self._loop.time() / self._step_s) + 1
            self._arm()
        number = max(math.ceil(due / self._step_s), self._next)
        self._waiting.setdefault(number, set()).add(patient)
        return number

    def leave(self, patient: Patient, number: int) -> None:
        """Do not call the patient in this round after all."""
        waiting = self._waiting.get(number, set())
        waiting.discard(patient)
        if not waiting:
            self._waiting.pop(number, None)

    def _arm(self) -> None:
        self._timer = self._loop.call_at(self._next * self._step_s, self._go)

    def _go(self) -> None:
        now = self._loop.time()
        while self._next * self._step_s <= now:
            for patient in self._waiting.pop(self._next, ()):
                self._loop.call_soon(patient.tick, now)
            self._next += 1
        self._timer = None
        if self._waiting:
            self._arm()
