"""Whole cycles: how many a second at saturation, and how soon a handler begins."""

from statistics import median

from bench.crew import Crew, Run, crew
from bench.effort import Effort
from bench.figures import Aim, Figure, Samples, oblivion, percentile
from bench.load.echo import echoes_a_second
from bench.load.http import connections, request
from bench.load.pace import CONNECTIONS, PER_SECOND, at_pace, waits_ms
from bench.processes import Worker, worker

AGENTS = 5
CONCURRENCY = 20
_WARM_UP_S = 1.0


async def measure(effort: Effort) -> list[Figure]:
    """Measure latency, then throughput, and the same of what Nexus stands on."""
    async with crew(agents=AGENTS, concurrency=CONCURRENCY, note_starts=True) as ready:
        waits = await _waits(ready, effort)
        runs = await ready.saturated(runs=effort.runs, seconds=effort.saturated_seconds)
    async with worker("bench.rivals.bare_server") as server:
        echoes = await _echoes(server.answer, effort)
        relayed = await _relayed(server, effort)
    return [_throughput(runs, echoes), _latency(50, waits, relayed), _latency(99, waits, relayed)]


async def _waits(ready: Crew, effort: Effort) -> list[list[float]]:
    await ready.paced(_WARM_UP_S)
    return [await ready.paced(effort.paced_seconds) for _ in range(effort.runs)]


async def _echoes(url: str, effort: Effort) -> list[float]:
    async def once(count: int) -> float:
        return await echoes_a_second(url, count=count, clients=AGENTS, window=CONCURRENCY)

    await once(effort.echoes // 10)
    return [await once(effort.echoes) for _ in range(effort.runs)]


async def _relayed(server: Worker, effort: Effort) -> list[list[float]]:
    url = server.answer
    titles = [f"task {number}" for number in range(int(effort.paced_seconds * PER_SECOND))]

    def prepare(title: str) -> bytes:
        return request(url, "/relay", {"title": title})

    async with (
        worker("bench.rivals.bare_client", url=url, clients=AGENTS) as clients,
        connections(url, CONNECTIONS) as load,
    ):

        async def once(titles: list[str]) -> list[float]:
            return await waits_ms(await at_pace(load, prepare, titles), clients)

        await once(titles[: int(_WARM_UP_S * PER_SECOND)])
        return [await once(titles) for _ in range(effort.runs)]


def _throughput(runs: list[Run], echoes: list[float]) -> Figure:
    return Figure(
        name="cycle.throughput",
        what=f"whole cycles at saturation, {AGENTS} agents with {CONCURRENCY} slots each",
        unit="tasks/s",
        ours=oblivion([run.per_second for run in runs]),
        rival=Samples(who="acknowledged echo of bare Socket.IO", values=tuple(echoes)),
        aim=Aim(at_least=4_000),
        notes={
            "CPU of the server a task ms": median(run.server_ms for run in runs),
            "CPU of the agents a task ms": median(run.agents_ms for run in runs),
        },
    )


def _latency(percent: int, waits: list[list[float]], relayed: list[list[float]]) -> Figure:
    share = percent / 100
    return Figure(
        name=f"cycle.latency_p{percent}",
        what=f"from HTTP request to start of the handler at {PER_SECOND} tasks/s, p{percent}",
        unit="ms",
        ours=oblivion([percentile(one, share) for one in waits]),
        rival=Samples(
            who="bare relay: FastAPI to python-socketio, nothing stored",
            values=tuple(percentile(one, share) for one in relayed),
        ),
        aim=Aim(at_most={50: 2.0, 99: 6.0}[percent]),
        notes={"requests a run": len(waits[0])},
    )
