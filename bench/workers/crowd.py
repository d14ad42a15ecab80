"""Where thousands of lean agents run in one process: they connect, idle, and come back."""

import asyncio
import itertools
import random
import time
from typing import Any

import uvloop
from picows import WSError

from bench.load.agents import Agent, Ledger
from bench.load.http import Connections, connections, request
from bench.load.pace import until
from bench.load.press import Press
from bench.workers.talk import options, orders, say

BEAT_S = 30.0
_TICK_S = 0.1
_AT_ONCE = 200
"""How many agents connect at once in an orderly start."""
_RETRY_S = 0.25
_WITHIN_S = 240.0


class Crowd:
    """Agents of one Nexus that keep their connection alive, whatever happens to it."""

    def __init__(self, told: dict[str, Any], posts: Connections) -> None:
        self._url = told["url"]
        numbers = itertools.count()
        self._press = Press(posts, lambda: _task(told, next(numbers)))
        self._ledger = Ledger(done=self._press.ended)
        self._agents = [Agent(token, self._ledger) for token in told["tokens"]]
        self._keeping: list[asyncio.Task[None]] = []

    async def connect(self) -> float:
        """Connect all agents; return the seconds until Nexus counts all as ready."""
        began = time.perf_counter()
        turns = asyncio.Semaphore(_AT_ONCE)

        async def enter(agent: Agent) -> None:
            async with turns:
                await agent.connect(self._url)

        await asyncio.gather(*(enter(agent) for agent in self._agents))
        took = time.perf_counter() - began
        self._keeping = [asyncio.create_task(self._beat())]
        self._keeping += [asyncio.create_task(self._keep(agent)) for agent in self._agents]
        return took

    async def press(self, *, backlog: int) -> int:
        """Keep so many tasks open from now on; return how many are done."""
        self._press.hold(backlog)
        return self._press.done

    async def cut(self) -> int:
        """Return how many agents were cut off, once all are."""
        async with asyncio.timeout(_WITHIN_S):
            await until(lambda: not any(agent.connected for agent in self._agents))
        return len(self._agents)

    async def back(self) -> int:
        """Return the monotonic time in nanoseconds at which the last agent is ready."""
        async with asyncio.timeout(_WITHIN_S):
            await asyncio.gather(*(agent.ready.wait() for agent in self._agents))
        return time.monotonic_ns()

    async def account(self) -> dict[str, Any]:
        """Stop posting, wait until no accepted task is open, and tell what happened."""
        self._press.hold(0)
        lost = False
        try:
            await self._press.emptied(_WITHIN_S)
        except TimeoutError:
            lost = True
        return {
            "lost": len(self._press.accepted) if lost else 0,
            "posted": self._press.posted,
            "done": self._press.done,
            "holes": self._ledger.holes,
            "refusals": (self._ledger.refusals + self._press.refusals)[:5],
        }

    async def _keep(self, agent: Agent) -> None:
        """Connect again whenever the connection is lost."""
        while True:
            await agent.lost.wait()
            try:
                await agent.connect(self._url)
            except (OSError, TimeoutError, WSError):
                await asyncio.sleep(_RETRY_S * random.uniform(0.5, 1.5))

    async def _beat(self) -> None:
        turns = itertools.cycle(self._agents)
        due = 0.0
        while True:
            due += len(self._agents) * _TICK_S / BEAT_S
            for agent in itertools.islice(turns, int(due)):
                agent.beat()
            due -= int(due)
            await asyncio.sleep(_TICK_S)


def _task(told: dict[str, Any], number: int) -> bytes:
    body = {"projectId": told["project"], "title": f"task {number}"}
    return request(told["url"], "/observer/tasks", body, **told["headers"])


async def main(told: dict[str, Any]) -> None:
    """Make the crowd, then do what the benchmark says."""
    async with connections(told["url"], told["connections"]) as posts:
        crowd = Crowd(told, posts)
        say("ready")
        async for order in orders():
            say(await getattr(crowd, order.pop("do"))(**order))


if __name__ == "__main__":
    uvloop.run(main(options()))
