"""What it costs that people look: a first view, and 10 viewers of 1,000 agents at 50 events/s."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from bench.effort import Effort
from bench.figures import Aim, Figure, oblivion, percentile
from bench.load.http import connections
from bench.load.pace import at_pace, until
from bench.measures import crowd
from bench.nexus_process import Nexus, nexus
from bench.processes import Worker, cpu_seconds, memory_kib, worker
from bench.workers.agents import CREDENTIALS
from oblivion import ContextUpdatePayload, OblivionClient, TaskAssignedPayload

PROJECT = "talk"
PACE = 50
"""Messages a second, each an event of the feed."""

VIEWERS = 10
AGENTS = 1_000
_WITHIN_S = 60.0


@dataclass(kw_only=True)
class Talk:
    """A task whose agent hears what is written into its thread."""

    server: Nexus
    task_id: str
    heard: dict[str, int] = field(default_factory=dict)

    async def paced(self, seconds: float) -> list[float]:
        """Return in ms how long each message took from its request to the agent's handler."""
        self.heard.clear()
        texts = [f"message {number}" for number in range(int(seconds * PACE))]
        path = f"/observer/tasks/{self.task_id}/messages"
        said = await at_pace(lambda text: self.server.post(path, text=text), texts, PACE)
        async with asyncio.timeout(_WITHIN_S):
            await until(lambda: said.keys() <= self.heard.keys())
        return [(self.heard[text] - asked) / 1e6 for text, asked in said.items()]


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a stretch of the same messages took; ``cpu`` is the share of a core in percent."""

    waits: list[float]
    cpu: float
    memory_kib: float


async def measure(effort: Effort) -> list[Figure]:
    """Have people write to an agent among many, without and with others who look."""
    async with _stage() as (talk, viewers):
        first = await viewers.tell({"do": "enter"}, within=_WITHIN_S)
        again = [await viewers.tell({"do": "enter"}, within=_WITHIN_S) for _ in range(effort.runs)]
        await talk.paced(effort.warm_up_seconds)
        alone = await _load(talk, effort)
        await viewers.tell({"do": "open", "count": VIEWERS})
        await talk.paced(effort.warm_up_seconds)
        seen = await _load(talk, effort)
        fetched = await viewers.tell({"do": "close"}, within=_WITHIN_S)
    if not fetched:
        raise RuntimeError("no viewer has fetched anything")
    return [
        Figure(
            name="observer.first_view",
            what="the overview with its styles and scripts, over HTTP, nothing kept from before",
            unit="ms",
            ours=oblivion([one["ms"] for one in again]),
            aim=Aim(at_most=200),
            notes={"the very first ms": first["ms"], "KB": first["kb"], "files": first["parts"]},
        ),
        *_latencies(alone, seen),
        Figure(
            name="observer.cpu",
            what=f"share of a core that {VIEWERS} viewers add to the server, with {AGENTS:,} "
            f"agents and {PACE} events/s",
            unit="%",
            ours=oblivion([seen.cpu - alone.cpu]),
            notes={"without viewers %": alone.cpu, "page fetched ms p50": percentile(fetched, 0.5)},
        ),
        Figure(
            name="observer.memory",
            what=f"growth of the server's memory with {VIEWERS} viewers of that",
            unit="KiB",
            ours=oblivion([seen.memory_kib - alone.memory_kib]),
        ),
    ]


def _latencies(alone: Load, seen: Load) -> list[Figure]:
    return [
        Figure(
            name=f"observer.{name}_p{percent}",
            what=f"from the request of a person's message to the agent's handler, {words}, "
            f"p{percent}",
            unit="ms",
            ours=oblivion([percentile(load.waits, percent / 100)]),
        )
        for name, load, words in (
            ("unseen", alone, "nobody looking"),
            ("seen", seen, f"{VIEWERS} viewers looking"),
        )
        for percent in (50, 99)
    ]


async def _load(talk: Talk, effort: Effort) -> Load:
    pid = talk.server.pid
    cpu, began = cpu_seconds(pid), time.perf_counter()
    waits: list[float] = []
    for _ in range(effort.runs):
        waits += await talk.paced(effort.paced_seconds)
    share = (cpu_seconds(pid) - cpu) / (time.perf_counter() - began)
    return Load(waits=waits, cpu=share * 100, memory_kib=memory_kib(pid))


@contextlib.asynccontextmanager
async def _stage() -> AsyncIterator[tuple[Talk, Worker]]:
    async with nexus() as server:
        await server.project(PROJECT, "assign")
        (credentials,) = await server.agents(1)
        task = await server.post("/observer/tasks", projectId=PROJECT, title="Listen")
        talk = Talk(server=server, task_id=task["id"])
        async with _listener(credentials, talk), _crowd(server), _viewers(server) as viewers:
            yield talk, viewers


@contextlib.asynccontextmanager
async def _listener(credentials: dict[str, str], talk: Talk) -> AsyncIterator[None]:
    """Hold the task and note what is heard when, until the block ends."""
    url, client_id, secret = (credentials[name] for name in CREDENTIALS)
    client = OblivionClient(url, client_id, secret)
    holds, over = asyncio.Event(), asyncio.Event()

    @client.on_task_assigned
    async def work(_task: TaskAssignedPayload) -> None:
        holds.set()
        await over.wait()

    @client.on_context_update
    async def hear(message: ContextUpdatePayload) -> None:
        talk.heard[message.content] = time.monotonic_ns()

    async with client:
        await asyncio.wait_for(holds.wait(), _WITHIN_S)
        try:
            yield
        finally:
            over.set()


@contextlib.asynccontextmanager
async def _crowd(server: Nexus) -> AsyncIterator[None]:
    """Have many more agents connected, who idle."""
    async with connections(server.url, crowd.CONNECTIONS) as load:
        tokens = await crowd.tokens(server, load, AGENTS)
    told = {"url": server.url, "headers": dict(server.headers), "project": PROJECT}
    idle = worker("bench.workers.crowd", **told, tokens=tokens, connections=crowd.CONNECTIONS)
    async with idle as agents:
        await agents.tell({"do": "connect"}, within=_WITHIN_S)
        yield


@contextlib.asynccontextmanager
async def _viewers(server: Nexus) -> AsyncIterator[Worker]:
    async with worker("bench.workers.viewers", url=server.url, secret=server.secret) as viewers:
        yield viewers
