"""Where handlers of events wait their turn: in order within a lane, side by side across lanes."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One call of a handler; ``drop`` runs instead when the lanes close before it started."""

    run: Callable[[], Awaitable[None]]
    drop: Callable[[], None] = lambda: None


class Lanes:
    """Queues by key, with a bound over all of them. Every job runs in a task of its own."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._lanes: dict[Hashable, deque[Job]] = {}
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._size = 0

    @property
    def full(self) -> bool:
        """Whether as many jobs wait and run as the bound allows."""
        return self._size >= self._bound

    def submit(self, key: Hashable, job: Job) -> bool:
        """Queue a job behind the others of its lane; False if the lanes are full."""
        if self.full:
            return False
        lane = self._lanes.setdefault(key, deque())
        lane.append(job)
        self._size += 1
        if len(lane) == 1:
            self._start(key)
        return True

    async def settled(self) -> None:
        """Wait until nothing waits or runs."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def close(self, grace: float) -> None:
        """Drop what waits, cancel what runs, and give it ``grace`` seconds to end."""
        for lane in self._lanes.values():
            self._drop_waiting(lane)
        running = list(self._tasks.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=grace)

    def _drop_waiting(self, lane: deque[Job]) -> None:
        while len(lane) > 1:
            lane.pop().drop()
            self._size -= 1

    def _start(self, key: Hashable) -> None:
        task = asyncio.ensure_future(self._lanes[key][0].run())
        self._tasks[key] = task
        task.add_done_callback(partial(self._next, key))

    def _next(self, key: Hashable, _ended: asyncio.Task[None]) -> None:
        lane = self._lanes[key]
        lane.popleft()
        self._size -= 1
        if lane:
            self._start(key)
        else:
            del self._lanes[key], self._tasks[key]
