"""Thousands of agents: what each takes, how fast they connect, and how they survive a kill -9."""

import asyncio
import contextlib
import json
import resource
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from bench.effort import Effort
from bench.figures import Aim, Figure, oblivion
from bench.load.http import Connections, connections, request
from bench.nexus_process import GROUP, Nexus, nexus
from bench.processes import Worker, cpu_seconds, memory_kib, worker

PROJECT = "work"
CONNECTIONS = 32
_BACKLOG = 64
_UNDER_WAY_S = 2.0
_WITHIN_S = 300.0
_OTHER_FILES = 500


async def measure(effort: Effort) -> list[Figure]:
    """Connect a crowd, let it idle, then kill Nexus under it while tasks come in."""
    effort = replace(effort, crowd=min(effort.crowd, room()))
    async with ready(effort.crowd) as (server, agents):
        return [*await _idle(server, agents, effort), *await _storm(server, agents, effort)]


def room() -> int:
    """Return for how many connections a process may open files, once it may as many as it can."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # those that are started inherit it
    return most - _OTHER_FILES


@contextlib.asynccontextmanager
async def ready(count: int) -> AsyncIterator[tuple[Nexus, Worker]]:
    """Start a Nexus and a process with agents that hold their tokens."""
    async with nexus() as server:
        await server.project(PROJECT, "assign")
        async with connections(server.url, CONNECTIONS) as load:
            given = await tokens(server, load, count)
        # Afresh, so that no memory which making them left free hides what connections take.
        await server.server.stop()
        await server.server.start()
        crowd = worker(
            "bench.workers.crowd",
            url=server.url,
            headers=dict(server.headers),
            project=PROJECT,
            tokens=given,
            connections=CONNECTIONS,
        )
        async with crowd as agents:
            yield server, agents


async def tokens(server: Nexus, load: Connections, count: int) -> list[str]:
    """Make agents and return a token of each."""
    names = [f"agent-{number}" for number in range(count)]
    made = await load.flood(
        request(
            server.url,
            "/observer/agents",
            {"name": name, "clientId": name, "groupIds": [GROUP]},
            **server.headers,
        )
        for name in names
    )
    secrets = (json.loads(body)["clientSecret"] for body in made)
    given = await load.flood(
        request(server.url, "/auth/token", {"client_id": name, "client_secret": secret})
        for name, secret in zip(names, secrets, strict=True)
    )
    return [json.loads(body)["access_token"] for body in given]


async def _idle(server: Nexus, agents: Worker, effort: Effort) -> list[Figure]:
    before, spent = memory_kib(server.pid), cpu_seconds(server.pid)
    seconds = await agents.tell({"do": "connect"}, within=_WITHIN_S)
    each = (memory_kib(server.pid) - before) / effort.crowd
    connecting = cpu_seconds(server.pid) - spent
    cpu, began = cpu_seconds(server.pid), time.perf_counter()
    await asyncio.sleep(effort.idle_seconds)
    share = (cpu_seconds(server.pid) - cpu) / (time.perf_counter() - began)
    return [
        Figure(
            name="idle.connects",
            what=f"connections of {effort.crowd:,} agents, from the first handshake until Nexus "
            "counts the last as ready; tokens already in hand",
            unit="agents/s",
            ours=oblivion([effort.crowd / seconds]),
            aim=Aim(at_least=2_000),
            notes={"CPU of the server an agent ms": connecting / effort.crowd * 1000},
        ),
        Figure(
            name="idle.memory",
            what=f"growth of the server's memory with each of {effort.crowd:,} connected agents",
            unit="KiB/agent",
            ours=oblivion([each]),
            aim=Aim(at_most=16),
        ),
        Figure(
            name="idle.cpu",
            what=f"share of a core that {effort.crowd:,} idle agents take of the server, each "
            f"with a heartbeat every 30 s, over {effort.idle_seconds:.0f} s",
            unit="%",
            ours=oblivion([share * 100]),
            aim=Aim(at_most=2.0 * effort.crowd / 10_000),
        ),
    ]


async def _storm(server: Nexus, agents: Worker, effort: Effort) -> list[Figure]:
    await agents.tell({"do": "press", "backlog": _BACKLOG})
    await asyncio.sleep(_UNDER_WAY_S)
    killed = time.monotonic()
    await server.server.kill()
    await agents.tell({"do": "cut"}, within=_WITHIN_S)
    await server.server.start()
    live = time.monotonic()
    spent = cpu_seconds(server.pid)
    back = await agents.tell({"do": "back"}, within=_WITHIN_S)
    spent = cpu_seconds(server.pid) - spent
    found = await agents.tell({"do": "account"}, within=_WITHIN_S)
    lost = found["lost"] + found["holes"]
    _check(found, await server.done(PROJECT))
    return [
        Figure(
            name="storm.back",
            what=f"from a kill -9 under load until all of {effort.crowd:,} agents are ready "
            "again, the start of the server included",
            unit="s",
            ours=oblivion([back / 1e9 - killed]),
            aim=Aim(at_most=30),
            notes={
                "start of the server s": live - killed,
                "CPU of the server an agent ms": spent / effort.crowd * 1000,
                "tasks done in all": found["done"],
            },
        ),
        Figure(
            name="storm.lost",
            what="accepted tasks that did not end, and events that an agent missed, after that",
            unit="lost",
            ours=oblivion([lost]),
            aim=Aim(at_most=0),
        ),
    ]


def _check(found: dict[str, Any], recorded: int) -> None:
    if found["refusals"] or recorded < found["done"] or not found["done"]:
        raise RuntimeError(f"{recorded} tasks are recorded as DONE; the load says {found}")
