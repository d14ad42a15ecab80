"""Where a rival is tried out: its processes are started, driven, and held to what they accepted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import TracebackException

from bench.effort import Effort
from bench.lean import BACKLOG, CONNECTIONS, PACE
from bench.processes import ENDED, Worker, cpu_seconds, worker
from bench.rivals.brokers import Broker
from bench.rivals.tally import Tally

_SLACK_S = 60.0
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A rival with its broker.

    Attributes:
        module: where its ``open_rival`` is.
    """

    who: str
    module: str
    broker: Callable[[], AbstractAsyncContextManager[Broker]]


@dataclass(frozen=True, kw_only=True)
class Paced:
    """Jobs at an even pace: ms from enqueueing to the start of each that began in time."""

    waits: list[float]
    enqueued: int


@dataclass(frozen=True, kw_only=True)
class Saturated:
    """Jobs at saturation.

    Attributes:
        rates: jobs a second, one value a run.
        cpu_ms: what each of the processes computed for a job.
        kept: of the jobs enqueued in the whole trial, those that ended with their result stored.
    """

    rates: tuple[float, ...] = ()
    cpu_ms: dict[str, float] = field(default_factory=dict)
    enqueued: int = 0
    kept: int = 0

    def and_then(self, later: "Saturated") -> "Saturated":
        """Return this and what came later as one."""
        runs = len(self.rates), len(later.rates)
        return Saturated(
            rates=self.rates + later.rates,
            cpu_ms={
                name: (self.cpu_ms.get(name, 0.0) * runs[0] + spent * runs[1]) / sum(runs)
                for name, spent in later.cpu_ms.items()
            },
            enqueued=self.enqueued + later.enqueued,
            kept=self.kept + later.kept,
        )


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a contestant did, as far as it came.

    Attributes:
        failure: why it came no further; empty when it did all.
    """

    paced: tuple[Paced, ...] = ()
    saturated: Saturated = field(default_factory=Saturated)
    failure: str = ""

    def and_then(self, later: "Found") -> "Found":
        """Return this and what came later as one; who fails once has no figure of what failed."""
        paced = self.paced + later.paced
        if later.failure:
            return replace(later, paced=paced)
        return Found(paced=paced, saturated=self.saturated.and_then(later.saturated))

    @property
    def paced_remark(self) -> str:
        """What is to be said of its latency beside the numbers; empty when all went well."""
        enqueued = sum(one.enqueued for one in self.paced)
        began = sum(len(one.waits) for one in self.paced)
        return _remark(began, enqueued, self.failure)

    @property
    def saturated_remark(self) -> str:
        """The same of its throughput."""
        return _remark(self.saturated.kept, self.saturated.enqueued, self.failure)


def _remark(kept: int, enqueued: int, failure: str) -> str:
    if not enqueued:
        return f"no figure: {failure}"
    return f"lost {enqueued - kept:,} of {enqueued:,} jobs" if kept < enqueued else ""


async def trial(contestant: Contestant, effort: Effort) -> Found:
    """Try a rival out. One that fails or loses jobs is found to; it never fails the benchmark."""
    found = Found()
    try:
        async with _stage(contestant, effort) as stage:
            await stage.paced(effort.warm_up_seconds)
            paced = [await stage.paced(effort.paced_seconds) for _ in range(effort.runs)]
            found = replace(found, paced=tuple(paced))
            saturated = await stage.saturated()
            found = replace(found, saturated=saturated)
    except Exception as error:  # noqa: BLE001 - others' faults, which the results state
        TracebackException.from_exception(error, max_group_width=1).print()
        found = replace(found, failure=_reason(error))
    return found


def _reason(error: BaseException) -> str:
    """Return an error in one line: of a group, the first that it stands for."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    first_line = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """A contestant's processes, ready."""

    broker: Broker
    consumer: Worker
    producer: Worker
    tally: Tally
    effort: Effort

    async def paced(self, seconds: float) -> Paced:
        order = {"do": "pace", "seconds": seconds, "per_second": PACE}
        asked: dict[str, int] = await self.producer.tell(order, within=seconds + _SLACK_S)
        started: dict[str, int] = {}
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.effort.patience
        while not asked.keys() <= started.keys() and loop.time() < deadline:
            await asyncio.sleep(_LOOK_EVERY_S)
            started |= await self.consumer.tell("what began?")
        began = asked.keys() & started.keys()
        waits = [(started[title] - asked[title]) / 1e6 for title in began]
        return Paced(waits=waits, enqueued=len(asked))

    async def saturated(self) -> Saturated:
        warm_up, patience = self.effort.warm_up_seconds, self.effort.patience
        runs, seconds = self.effort.runs, self.effort.saturated_seconds
        whole = warm_up + runs * seconds + warm_up
        order = {
            "do": "saturate",
            "backlog": BACKLOG,
            "clients": CONNECTIONS,
            "seconds": whole,
            "patience": patience,
        }
        async with asyncio.TaskGroup() as group:
            pressing = group.create_task(
                self.producer.tell(order, within=whole + 2 * patience + _SLACK_S)
            )
            await asyncio.sleep(warm_up)
            cpu, first = self._cpu(), self.tally.value
            rates = [await self._rate(seconds) for _ in range(runs)]
            cpu_then, last = self._cpu(), self.tally.value
        self._check()
        if last == first:
            raise RuntimeError("not one job was done")
        told = pressing.result()
        return Saturated(
            rates=tuple(rates),
            cpu_ms={name: (cpu_then[name] - cpu[name]) / (last - first) * 1000 for name in cpu},
            enqueued=told["posted"],
            kept=min(told["done"], told["stored"]),
        )

    async def _rate(self, seconds: float) -> float:
        loop = asyncio.get_running_loop()
        before, began = self.tally.value, loop.time()
        await asyncio.sleep(seconds)
        return (self.tally.value - before) / (loop.time() - began)

    def _check(self) -> None:
        if self.consumer.has_ended or self.producer.has_ended:
            raise RuntimeError(ENDED)

    def _cpu(self) -> dict[str, float]:
        self._check()
        pids = {
            "broker": self.broker.pid,
            "worker": self.consumer.pid,
            "load": self.producer.pid,
        }
        return {name: cpu_seconds(pid) for name, pid in pids.items()}


@contextlib.asynccontextmanager
async def _stage(contestant: Contestant, effort: Effort) -> AsyncIterator[_Stage]:
    with TemporaryDirectory(prefix="bench-rival-") as folder:
        path = Path(folder) / "tally"
        tally = Tally(path)
        async with contestant.broker() as broker:
            told = {"module": contestant.module, "url": broker.url, "tally": str(path)}
            async with (
                worker("bench.rivals.consumer", **told) as consumer,
                worker("bench.rivals.producer", **told) as producer,
            ):
                yield _Stage(
                    broker=broker,
                    consumer=consumer,
                    producer=producer,
                    tally=tally,
                    effort=effort,
                )
