"""Where a Nexus and a process full of SDK agents stand ready, and whole cycles are driven.

A cycle: HTTP in, stored with fsync, pushed to an agent, handled, DONE recorded.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from bench.lean import BACKLOG, CONNECTIONS, PACE, PROJECT
from bench.load.http import Connections, connections, request
from bench.load.pace import at_pace, waits_ms
from bench.nexus_process import Nexus, nexus
from bench.processes import Worker, cpu_seconds, worker

FEW = 20
"""Tasks that wait or run where speed is not the question."""
_LOOK_EVERY_S = 0.05
_WARM_UP_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """Cycles at saturation: how many a second, and the computing that each took."""

    per_second: float
    server_ms: float
    agents_ms: float


@dataclass(frozen=True, kw_only=True)
class _Moment:
    """How far a crew was at one time."""

    seconds: float
    done: int
    server_cpu: float
    agents_cpu: float


@dataclass(kw_only=True)
class Crew:
    """A Nexus and its agents."""

    nexus: Nexus
    agents: Worker
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    posted: int = 0

    def prepare(self, title: str) -> bytes:
        """Return the request that makes a task."""
        body = {"projectId": PROJECT, "title": title}
        return request(self.nexus.url, "/observer/tasks", body, **self.nexus.headers)

    def titles(self, count: int) -> list[str]:
        """Return titles that no task has yet."""
        self.posted += count
        return [f"task {number}" for number in itertools.islice(self._numbers, count)]

    async def work_off(self, count: int) -> None:
        """Run ``count`` tasks through whole cycles, few at once."""
        upto = self.posted + count
        async with connections(self.nexus.url, CONNECTIONS) as load:
            while self.posted < upto:
                await self._post(load, min(FEW - await self._open(), upto - self.posted))
                await asyncio.sleep(_LOOK_EVERY_S)
        await self.nexus.until_done(PROJECT, self.posted)

    async def paced(self, seconds: float) -> list[float]:
        """Let tasks come in at an even pace; return the ms from each request to its handler."""
        titles = self.titles(int(seconds * PACE))
        async with connections(self.nexus.url, CONNECTIONS) as load:
            asked = await at_pace(lambda title: load.post(self.prepare(title)), titles, PACE)
        return await waits_ms(asked, self.agents)

    async def saturated(self, *, runs: int, seconds: float) -> list[Run]:
        """Keep ``BACKLOG`` tasks waiting and look how many are done in each of some periods.

        The crew is of no use afterwards: the backlog is left to it.
        """
        async with connections(self.nexus.url, CONNECTIONS) as load, asyncio.TaskGroup() as on:
            pressing = on.create_task(self._press(load))
            await asyncio.sleep(_WARM_UP_S)
            found = [await self._period(seconds) for _ in range(runs)]
            pressing.cancel()
        return found

    async def _press(self, load: Connections) -> None:
        while True:
            await self._post(load, BACKLOG - await self._open())
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _open(self) -> int:
        return self.posted - await self.nexus.done(PROJECT)

    async def _post(self, load: Connections, count: int) -> None:
        await load.flood([self.prepare(title) for title in self.titles(count)])

    async def _period(self, seconds: float) -> Run:
        before = await self._moment()
        await asyncio.sleep(seconds)
        after = await self._moment()
        done = after.done - before.done
        if not done:
            raise RuntimeError(f"not one task was done in {seconds} s")
        return Run(
            per_second=done / (after.seconds - before.seconds),
            server_ms=(after.server_cpu - before.server_cpu) / done * 1000,
            agents_ms=(after.agents_cpu - before.agents_cpu) / done * 1000,
        )

    async def _moment(self) -> _Moment:
        done = await self.nexus.done(PROJECT)
        return _Moment(
            seconds=time.perf_counter(),
            done=done,
            server_cpu=cpu_seconds(self.nexus.pid),
            agents_cpu=cpu_seconds(self.agents.pid),
        )


@contextlib.asynccontextmanager
async def crew(
    *, agents: int, concurrency: int, policy: str = "assign", note_starts: bool = False
) -> AsyncIterator[Crew]:
    """Start a Nexus and agents that are connected."""
    async with nexus() as server:
        await server.project(PROJECT, policy)
        staff = worker(
            "bench.workers.agents",
            agents=await server.agents(agents),
            concurrency=concurrency,
            note_starts=note_starts,
        )
        async with staff as staffed:
            yield Crew(nexus=server, agents=staffed)
