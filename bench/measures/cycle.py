"""Whole cycles: how many a second at saturation, and how soon a handler begins."""

from collections.abc import Sequence
from statistics import median

from bench.crew import Run, crew
from bench.effort import Effort
from bench.figures import Aim, Figure, oblivion, percentile
from bench.lean import PACE, Period, Staff, lean_crew

KEYED = Staff()
UNKEYED = Staff(keyed=False)
_WARM_UP_S = 1.0


async def measure(effort: Effort) -> list[Figure]:
    """Measure with lean agents, with and without keys, and with agents of the SDK."""
    return [*await _lean(effort), await _unkeyed(effort), *await _sdk(effort)]


async def _lean(effort: Effort) -> list[Figure]:
    async with lean_crew(KEYED) as ready:
        await ready.paced(seconds=_WARM_UP_S)
        waits = [await ready.paced(seconds=effort.paced_seconds) for _ in range(effort.runs)]
        found = await ready.saturated(runs=effort.runs, seconds=effort.saturated_seconds)
    return [
        Figure(
            name="cycle.throughput",
            what=f"whole cycles at saturation, {_agents(KEYED)}, each POST with its own "
            "Idempotency-Key",
            unit="tasks/s",
            ours=oblivion([period.per_second for period in found.periods]),
            aim=Aim(at_least=4_000),
            notes=_computing(found.periods),
        ),
        *(latency("cycle.latency", waits, percent) for percent in (50, 99)),
    ]


async def _unkeyed(effort: Effort) -> Figure:
    async with lean_crew(UNKEYED) as ready:
        found = await ready.saturated(runs=effort.runs, seconds=effort.saturated_seconds)
    return Figure(
        name="cycle.unkeyed",
        what="the same without an Idempotency-Key",
        unit="tasks/s",
        ours=oblivion([period.per_second for period in found.periods]),
        notes=_computing(found.periods),
    )


async def _sdk(effort: Effort) -> list[Figure]:
    """Measure what users get: the agents are those of the SDK, in a process of their own."""
    agents, slots = KEYED.agents, KEYED.concurrency
    async with crew(agents=agents, concurrency=slots, note_starts=True) as ready:
        await ready.paced(_WARM_UP_S)
        waits = [await ready.paced(effort.paced_seconds) for _ in range(effort.runs)]
        runs = await ready.saturated(runs=effort.runs, seconds=effort.saturated_seconds)
    return [_sdk_throughput(runs), *(latency("cycle.sdk_latency", waits, p) for p in (50, 99))]


def _sdk_throughput(runs: Sequence[Run]) -> Figure:
    return Figure(
        name="cycle.sdk",
        what=f"the same with SDK agents in a process of their own, {_agents(KEYED)}",
        unit="tasks/s",
        ours=oblivion([run.per_second for run in runs]),
        notes={
            "CPU of the server a task ms": median(run.server_ms for run in runs),
            "CPU of the agents a task ms": median(run.agents_ms for run in runs),
        },
    )


def latency(name: str, waits: Sequence[Sequence[float]], percent: int) -> Figure:
    """Return a percentile of the times from request to handler, in ms, with a value a run."""
    return Figure(
        name=f"{name}_p{percent}",
        what=f"from HTTP request to start of the handler at {PACE} tasks/s, p{percent}",
        unit="ms",
        ours=oblivion([percentile(one, percent / 100) for one in waits]),
        aim=Aim(at_most={50: 2.0, 99: 6.0}[percent]),
        notes={"requests a run": len(waits[0])},
    )


def _computing(periods: Sequence[Period]) -> dict[str, float]:
    return {
        "CPU of the server a task ms": median(period.server_ms for period in periods),
        "CPU of the load a task ms": median(period.load_ms for period in periods),
    }


def _agents(staff: Staff) -> str:
    return f"{staff.agents} agents with {staff.concurrency} slots each"
