"""Where jobs for a rival are enqueued, in a process of its own."""

import asyncio
import contextlib
import itertools
import time
from pathlib import Path
from typing import Any

import uvloop

from bench.load.pace import at_pace, until
from bench.rivals.rival import PACED, Rival, open_rival
from bench.rivals.tally import Tally
from bench.workers.talk import options, orders, say

_LOOK_EVERY_S = 0.002


class Producer:
    """Enqueues at an even pace, or so that always as many jobs wait."""

    def __init__(self, rival: Rival, tally: Tally) -> None:
        self._rival = rival
        self._tally = tally
        self._numbers = itertools.count()
        self._posted = 0

    async def pace(self, *, seconds: float, per_second: int) -> dict[str, int]:
        """Enqueue at an even pace; return when each job was handed in."""
        titles = [f"{PACED} {next(self._numbers)}" for _ in range(int(seconds * per_second))]
        self._posted += len(titles)
        return await at_pace(self._rival.enqueue, titles, per_second)

    async def saturate(
        self, *, backlog: int, clients: int, seconds: float, patience: float
    ) -> dict[str, int]:
        """Keep jobs waiting a while; end when all are done, or none was for ``patience`` seconds.

        Return how many were enqueued so far, how many of these ended, and how many results the
        store holds.
        """
        room = asyncio.Semaphore(0)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._feed(room)) for _ in range(clients)]
            tasks.append(group.create_task(self._make_room(room, backlog)))
            await asyncio.sleep(seconds)
            for task in tasks:
                task.cancel()
        await self._ended(patience)
        done = self._tally.value
        return {"posted": self._posted, "done": done, "stored": await self._stored(done, patience)}

    async def _ended(self, patience: float) -> None:
        done = -1
        while done < self._tally.value < self._posted:
            done = self._tally.value
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await until(lambda: self._tally.value >= self._posted)

    async def _stored(self, done: int, patience: float) -> int:
        """Return what the store holds, once that is as many as ended; some store a little later."""
        deadline = time.monotonic() + patience
        stored = await self._rival.stored()
        while stored < done and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_EVERY_S)
            stored = await self._rival.stored()
        return stored

    async def _feed(self, room: asyncio.Semaphore) -> None:
        while True:
            await room.acquire()
            self._posted += 1
            await asyncio.shield(self._rival.enqueue(f"job {next(self._numbers)}"))

    async def _make_room(self, room: asyncio.Semaphore, backlog: int) -> None:
        made = self._tally.value
        while True:
            upto = self._tally.value + backlog
            for _ in range(upto - made):
                room.release()
            made = max(made, upto)
            await asyncio.sleep(_LOOK_EVERY_S)


async def main(told: dict[str, Any]) -> None:
    """Connect, then do what the benchmark says."""
    rival = open_rival(told["module"], told["url"])
    await rival.connect()
    producer = Producer(rival, Tally(Path(told["tally"])))
    say("ready")
    async for order in orders():
        say(await getattr(producer, order.pop("do"))(**order))


if __name__ == "__main__":
    uvloop.run(main(options()))
