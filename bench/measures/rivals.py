"""The rivals: job queues that do the like, with the same load, on the same machine, in one run."""

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.effort import Effort
from bench.figures import Figure, Samples, oblivion, percentile
from bench.lean import BACKLOG, CONNECTIONS, PACE, Staff, lean_crew
from bench.processes import Worker, cpu_seconds, worker
from bench.rivals.brokers import FSYNC, Broker, postgres, redis
from bench.rivals.tally import Tally

_WARM_UP_S = 1.0
_SLACK_S = 180.0


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A rival with its broker."""

    who: str
    library: str
    broker: Callable[[], AbstractAsyncContextManager[Broker]]


CONTESTANTS = (
    Contestant(who="saq, Redis", library="saq", broker=redis),
    Contestant(who="saq, Redis fsync", library="saq", broker=lambda: redis(*FSYNC)),
    Contestant(who="taskiq, Redis", library="taskiq", broker=redis),
    Contestant(who="taskiq, Redis fsync", library="taskiq", broker=lambda: redis(*FSYNC)),
    Contestant(who="Celery, Redis", library="celery", broker=redis),
    Contestant(who="Celery, Redis fsync", library="celery", broker=lambda: redis(*FSYNC)),
    Contestant(who="procrastinate, PostgreSQL", library="procrastinate", broker=postgres),
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a contestant did.

    Attributes:
        rates: jobs a second, one value a run.
        waits: ms from enqueueing to the start of the job, for each run.
        cpu_ms: what each of its processes computed for a job.
    """

    rates: tuple[float, ...]
    waits: list[list[float]]
    cpu_ms: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class _Setup:
    """A contestant's processes, ready."""

    broker: Broker
    consumer: Worker
    producer: Worker
    tally: Tally

    async def paced(self, seconds: float) -> list[float]:
        order = {"do": "pace", "seconds": seconds, "per_second": PACE}
        asked: dict[str, int] = await self.producer.tell(order, within=seconds + _SLACK_S)
        started: dict[str, int] = {}
        async with asyncio.timeout(_SLACK_S):
            while not asked.keys() <= started.keys():
                started |= await self.consumer.tell("what began?")
                await asyncio.sleep(0.05)
        return [(started[title] - asked[title]) / 1e6 for title in asked]

    async def saturated(self, runs: int, seconds: float) -> tuple[list[float], dict[str, float]]:
        whole = _WARM_UP_S + runs * seconds + _WARM_UP_S
        order = {"do": "saturate", "backlog": BACKLOG, "clients": CONNECTIONS, "seconds": whole}
        async with asyncio.TaskGroup() as group:
            pressing = group.create_task(self.producer.tell(order, within=whole + _SLACK_S))
            await asyncio.sleep(_WARM_UP_S)
            cpu, first = self._cpu(), self.tally.value
            rates = [await self._rate(seconds) for _ in range(runs)]
            cpu_then, last = self._cpu(), self.tally.value
        if last == first:
            raise RuntimeError("not one job was done")
        await self._audit(pressing.result()["posted"])
        return rates, {name: (cpu_then[name] - cpu[name]) / (last - first) * 1000 for name in cpu}

    async def _rate(self, seconds: float) -> float:
        loop = asyncio.get_running_loop()
        before, began = self.tally.value, loop.time()
        await asyncio.sleep(seconds)
        return (self.tally.value - before) / (loop.time() - began)

    def _cpu(self) -> dict[str, float]:
        pids = {
            "broker": self.broker.pid,
            "worker": self.consumer.pid,
            "load": self.producer.pid,
        }
        return {name: cpu_seconds(pid) for name, pid in pids.items()}

    async def _audit(self, posted: int) -> None:
        stored = await self.producer.tell({"do": "stored"})
        if stored != posted:
            raise RuntimeError(f"{posted} jobs were enqueued, {stored} results are stored")


async def measure(effort: Effort) -> list[Figure]:
    """Give us and each rival the same load, one after the other."""
    ours = await _ours(effort)
    theirs = {one.who: await _theirs(one, effort) for one in CONTESTANTS}
    return [
        Figure(
            name="rivals.throughput",
            what=f"empty jobs a second with {BACKLOG} waiting, results stored; ours are whole "
            "cycles with an Idempotency-Key each",
            unit="tasks/s",
            ours=oblivion(list(ours.rates)),
            rivals=tuple(Samples(who=who, values=one.rates) for who, one in theirs.items()),
        ),
        *(_latency(percent, ours, theirs) for percent in (50, 99)),
        Figure(
            name="rivals.cpu",
            what="what all processes together compute for a task: server or worker, broker, load",
            unit="ms",
            ours=oblivion([sum(ours.cpu_ms.values())]),
            rivals=tuple(
                Samples(who=who, values=(sum(one.cpu_ms.values()),)) for who, one in theirs.items()
            ),
            notes=_computing({"Oblivion": ours, **theirs}),
        ),
    ]


def _latency(percent: int, ours: Found, theirs: dict[str, Found]) -> Figure:
    def values(one: Found) -> tuple[float, ...]:
        return tuple(percentile(waits, percent / 100) for waits in one.waits)

    return Figure(
        name=f"rivals.latency_p{percent}",
        what=f"from request or enqueueing to the start of the job at {PACE} a second, p{percent}",
        unit="ms",
        ours=oblivion(list(values(ours))),
        rivals=tuple(Samples(who=who, values=values(one)) for who, one in theirs.items()),
    )


def _computing(all_: dict[str, Found]) -> dict[str, float]:
    return {
        f"{who}: {name} ms": spent
        for who, one in all_.items()
        for name, spent in one.cpu_ms.items()
    }


async def _ours(effort: Effort) -> Found:
    async with lean_crew(Staff()) as ready:
        await ready.paced(seconds=_WARM_UP_S)
        waits = [await ready.paced(seconds=effort.paced_seconds) for _ in range(effort.runs)]
        found = await ready.saturated(runs=effort.runs, seconds=effort.saturated_seconds)
    rates = tuple(period.per_second for period in found.periods)
    return Found(
        rates=rates,
        waits=waits,
        cpu_ms={
            "server": median(period.server_ms for period in found.periods),
            "load": median(period.load_ms for period in found.periods),
        },
    )


async def _theirs(contestant: Contestant, effort: Effort) -> Found:
    async with _setup(contestant) as ready:
        await ready.paced(_WARM_UP_S)
        waits = [await ready.paced(effort.paced_seconds) for _ in range(effort.runs)]
        rates, cpu_ms = await ready.saturated(effort.runs, effort.saturated_seconds)
    return Found(rates=tuple(rates), waits=waits, cpu_ms=cpu_ms)


@contextlib.asynccontextmanager
async def _setup(contestant: Contestant) -> AsyncIterator[_Setup]:
    with TemporaryDirectory(prefix="bench-rival-") as folder:
        path = Path(folder) / "tally"
        tally = Tally(path)
        async with contestant.broker() as broker:
            told = {"library": contestant.library, "url": broker.url, "tally": str(path)}
            async with (
                worker("bench.rivals.consumer", **told) as consumer,
                worker("bench.rivals.producer", **told) as producer,
            ):
                yield _Setup(broker=broker, consumer=consumer, producer=producer, tally=tally)


def settings() -> dict[str, str]:
    """Return how each rival is set up, in words."""
    modules = {
        one.who: importlib.import_module(f"bench.rivals.on_{one.library}") for one in CONTESTANTS
    }
    return {who: module.SETTINGS for who, module in modules.items()}
