"""The rivals: job queues that do the like, with the same load, on the same machine, in one run."""

import importlib
from collections.abc import Mapping
from dataclasses import replace
from statistics import median

from bench.effort import Effort
from bench.figures import Figure, Samples, oblivion, percentile
from bench.lean import BACKLOG, PACE, Staff, lean_crew
from bench.rivals.brokers import FSYNC, postgres, redis
from bench.rivals.trial import Contestant, Found, Paced, Saturated, trial

CONTESTANTS = (
    Contestant(who="saq, Redis", module="bench.rivals.on_saq", broker=redis),
    Contestant(who="saq, Redis fsync", module="bench.rivals.on_saq", broker=lambda: redis(*FSYNC)),
    Contestant(who="taskiq, Redis", module="bench.rivals.on_taskiq", broker=redis),
    Contestant(
        who="taskiq, Redis fsync", module="bench.rivals.on_taskiq", broker=lambda: redis(*FSYNC)
    ),
    Contestant(who="Celery, Redis", module="bench.rivals.on_celery", broker=redis),
    Contestant(
        who="Celery, Redis fsync", module="bench.rivals.on_celery", broker=lambda: redis(*FSYNC)
    ),
    Contestant(
        who="procrastinate, PostgreSQL", module="bench.rivals.on_procrastinate", broker=postgres
    ),
)


async def measure(effort: Effort) -> list[Figure]:
    """Give us and each rival the same load in turns, so that a slow minute strikes all alike."""
    turn = replace(effort, runs=1)
    ours, theirs = Found(), {one.who: Found() for one in CONTESTANTS}
    for _ in range(effort.runs):
        ours = ours.and_then(await _ours(turn))
        for one in CONTESTANTS:
            if not theirs[one.who].failure:
                theirs[one.who] = theirs[one.who].and_then(await trial(one, turn))
    return figures(ours, theirs)


def figures(ours: Found, theirs: Mapping[str, Found]) -> list[Figure]:
    """Return what was found; a rival that lost jobs, or has no figure, carries a remark."""
    return [
        Figure(
            name="rivals.throughput",
            what=f"empty jobs a second with {BACKLOG} waiting, results stored; ours are whole "
            "cycles with an Idempotency-Key each",
            unit="tasks/s",
            ours=oblivion(list(ours.saturated.rates)),
            rivals=tuple(
                Samples(who=who, values=one.saturated.rates, remark=one.saturated_remark)
                for who, one in theirs.items()
            ),
        ),
        *(_latency(percent, ours, theirs) for percent in (50, 99)),
        Figure(
            name="rivals.cpu",
            what="what all processes together compute for a task: server or worker, broker, load",
            unit="ms",
            ours=oblivion(_computed(ours)),
            rivals=tuple(
                Samples(who=who, values=tuple(_computed(one)), remark=one.saturated_remark)
                for who, one in theirs.items()
            ),
            notes=_computing({"Oblivion": ours, **theirs}),
        ),
    ]


def _latency(percent: int, ours: Found, theirs: Mapping[str, Found]) -> Figure:
    def values(one: Found) -> tuple[float, ...]:
        begun = (run.waits for run in one.paced if run.waits)
        return tuple(percentile(waits, percent / 100) for waits in begun)

    return Figure(
        name=f"rivals.latency_p{percent}",
        what=f"from request or enqueueing to the start of the job at {PACE} a second, p{percent}",
        unit="ms",
        ours=oblivion(list(values(ours))),
        rivals=tuple(
            Samples(who=who, values=values(one), remark=one.paced_remark)
            for who, one in theirs.items()
        ),
    )


def _computed(one: Found) -> list[float]:
    spent = one.saturated.cpu_ms
    return [sum(spent.values())] if spent else []


def _computing(all_: Mapping[str, Found]) -> dict[str, float]:
    return {
        f"{who}: {name} ms": spent
        for who, one in all_.items()
        for name, spent in one.saturated.cpu_ms.items()
    }


async def _ours(effort: Effort) -> Found:
    """Measure ourselves; of us, a lost task fails the measure."""
    async with lean_crew(Staff()) as ready:
        await ready.paced(seconds=effort.warm_up_seconds)
        waits = [await ready.paced(seconds=effort.paced_seconds) for _ in range(effort.runs)]
        found = await ready.saturated(runs=effort.runs, seconds=effort.saturated_seconds)
    return Found(
        paced=tuple(Paced(waits=one, enqueued=len(one)) for one in waits),
        saturated=Saturated(
            rates=tuple(period.per_second for period in found.periods),
            cpu_ms={
                "server": median(period.server_ms for period in found.periods),
                "load": median(period.load_ms for period in found.periods),
            },
        ),
    )


def settings() -> dict[str, str]:
    """Return how each rival is set up, in words."""
    return {one.who: importlib.import_module(one.module).SETTINGS for one in CONTESTANTS}
