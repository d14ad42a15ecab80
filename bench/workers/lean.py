"""Where lean agents and those who post tasks run, in one process: all the load of a Nexus."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import uvloop

from bench.load.agents import Agent, Ledger
from bench.load.http import Connections, connections, request
from bench.load.pace import at_pace, until
from bench.load.press import Press
from bench.processes import cpu_seconds
from bench.workers.talk import options, orders, say

_WARM_UP_S = 1.0
_ENDED_WITHIN_S = 60.0


class Load:
    """The agents of one Nexus, and posts to it."""

    def __init__(self, told: dict[str, Any], posts: Connections) -> None:
        self._told = told
        self._posts = posts
        self._numbers = itertools.count()
        self._starts: dict[str, int] = {}
        self._press = Press(posts, lambda: self._prepare(f"task {next(self._numbers)}"))
        self._ledger = Ledger(started=self._started, done=self._press.ended)
        self._agents = [
            Agent(token, self._ledger, concurrency=told["concurrency"]) for token in told["tokens"]
        ]

    async def connect(self) -> None:
        """Connect all agents."""
        await asyncio.gather(*(agent.connect(self._told["url"]) for agent in self._agents))

    async def saturate(self, *, backlog: int, runs: int, seconds: float) -> dict[str, Any]:
        """Keep tasks waiting and look in periods how many are done; end with none open."""
        self._press.hold(backlog)
        await asyncio.sleep(_WARM_UP_S)
        periods = [await self._period(seconds) for _ in range(runs)]
        self._press.hold(0)
        await self._press.emptied(_ENDED_WITHIN_S)
        return {"periods": periods, **self._account()}

    async def pace(self, *, seconds: float, per_second: int) -> list[float]:
        """Post tasks at an even pace; return the ms from each request to its handler."""
        titles = [f"paced {next(self._numbers)}" for _ in range(int(seconds * per_second))]
        self._starts.clear()
        asked = await at_pace(self._post, titles, per_second)
        async with asyncio.timeout(_ENDED_WITHIN_S):
            await until(lambda: asked.keys() <= self._starts.keys())
        return [(self._starts[title] - asked[title]) / 1e6 for title in titles]

    async def _post(self, title: str) -> None:
        await self._posts.post(self._prepare(title))

    def _started(self, title: str) -> None:
        if title.startswith("paced"):
            self._starts[title] = time.monotonic_ns()

    async def _period(self, seconds: float) -> dict[str, float]:
        done, began, cpu, own = self._reading()
        await asyncio.sleep(seconds)
        done_then, ended, cpu_then, own_then = self._reading()
        return {
            "tasks": done_then - done,
            "seconds": ended - began,
            "server": cpu_then - cpu,
            "load": own_then - own,
        }

    def _reading(self) -> tuple[int, float, float, float]:
        server = cpu_seconds(self._told["pid"])
        return self._press.done, time.perf_counter(), server, time.process_time()

    def _account(self) -> dict[str, Any]:
        ledger = self._ledger
        return {
            "posted": self._press.posted,
            "done": self._press.done,
            "claims": ledger.claims,
            "lostClaims": ledger.lost_claims,
            "holes": ledger.holes,
            "refusals": (ledger.refusals + self._press.refusals)[:5],
        }

    def _prepare(self, title: str) -> bytes:
        """Return the request that makes a task."""
        body = {"projectId": self._told["project"], "title": title}
        headers = dict(self._told["headers"])
        if self._told["keyed"]:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        return request(self._told["url"], "/observer/tasks", body, **headers)


async def main(told: dict[str, Any]) -> None:
    """Connect all agents, then do what the benchmark says."""
    async with connections(told["url"], told["connections"]) as posts:
        load = Load(told, posts)
        await load.connect()
        say("ready")
        deeds: Mapping[str, Callable[..., Awaitable[Any]]] = {
            "saturate": load.saturate,
            "pace": load.pace,
        }
        async for order in orders():
            say(await deeds[order.pop("do")](**order))


if __name__ == "__main__":
    uvloop.run(main(options()))
