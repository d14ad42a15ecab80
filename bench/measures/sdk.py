"""What the SDK adds to an agent: computing for each event, memory for each client."""

import time
from statistics import median

from bench.effort import Effort
from bench.figures import Figure, oblivion
from bench.nexus_process import Nexus, nexus
from bench.processes import memory_kib, worker

CLIENTS = 100
_MIB = 1024


async def measure(effort: Effort) -> list[Figure]:
    """Hand events to an agent without a connection, then connect a hundred clients at once."""
    return [await _events(effort), *await _clients(effort)]


async def _events(effort: Effort) -> Figure:
    async with worker("bench.workers.sdk") as agent:
        await agent.tell({"count": effort.sdk_events})  # the first run warms up
        told = [await agent.tell({"count": effort.sdk_events}) for _ in range(effort.runs)]
    return Figure(
        name="sdk.event",
        what="computing of the SDK from an event that came in to the end of its empty handler",
        unit="µs",
        ours=oblivion([one["bare"] for one in told]),
        notes={
            "of which reading the payload µs": median(one["read"] for one in told),
            "with OpenTelemetry's API and no exporter µs": median(one["traced"] for one in told),
        },
    )


async def _clients(effort: Effort) -> list[Figure]:
    async with nexus() as server:
        alone = [await _connected(server, 1) for _ in range(effort.runs)]
        many = [await _connected(server, CLIENTS) for _ in range(effort.runs)]
    one_kib = median(kib for kib, _ in alone)
    return [
        Figure(
            name="sdk.client",
            what=f"memory of each further idle client in one process, of {CLIENTS}",
            unit="KiB",
            ours=oblivion([(kib - one_kib) / (CLIENTS - 1) for kib, _ in many]),
            notes={
                "process with one client MiB": one_kib / _MIB,
                f"process with {CLIENTS} clients MiB": median(kib for kib, _ in many) / _MIB,
            },
        ),
        Figure(
            name="sdk.clients",
            what=f"from the start of a process until its {CLIENTS} clients are connected",
            unit="s",
            ours=oblivion([seconds for _, seconds in many]),
            notes={"with one client s": median(seconds for _, seconds in alone)},
        ),
    ]


async def _connected(server: Nexus, count: int) -> tuple[float, float]:
    """Return the memory in KiB of a process with so many clients, and its seconds until then."""
    agents = await server.agents(count)
    began = time.perf_counter()
    given = {"agents": agents, "concurrency": 1, "note_starts": False}
    async with worker("bench.workers.agents", **given) as clients:
        seconds = time.perf_counter() - began
        return memory_kib(clients.pid), seconds
