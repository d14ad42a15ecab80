"""Memory: what many tasks leave behind in server and agent, and what an idle agent takes."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.crew import crew
from bench.effort import Effort
from bench.figures import Figure, Samples, oblivion
from bench.nexus_process import Nexus, nexus
from bench.processes import memory_kib, worker

CONCURRENCY = 5
_SERVER = "server"
_AGENT = "agent"
_MIB = 1024


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """Resident memory of a process in KiB, after few tasks and after many."""

    few: float
    many: float


async def measure(effort: Effort) -> list[Figure]:
    """Read the memory of a demo-size setup before and after many tasks, then of idle clients."""
    # Side by side: memory does not depend on how fast it goes.
    runs = await asyncio.gather(*(_readings(effort) for _ in range(effort.runs)))
    figures = [_growth(process, runs, effort) for process in (_SERVER, _AGENT)]
    return [*figures, await _idle(effort)]


async def _readings(effort: Effort) -> dict[str, _Reading]:
    async with crew(agents=1, concurrency=CONCURRENCY) as ready:
        pids = {_SERVER: ready.nexus.pid, _AGENT: ready.agents.pid}
        await ready.work_off(effort.warm_tasks)
        few = {process: memory_kib(pid) for process, pid in pids.items()}
        await ready.work_off(effort.more_tasks)
        return {
            process: _Reading(few=few[process], many=memory_kib(pid))
            for process, pid in pids.items()
        }


def _growth(process: str, runs: Sequence[dict[str, _Reading]], effort: Effort) -> Figure:
    readings = [run[process] for run in runs]
    grown = [(reading.many - reading.few) / effort.more_tasks for reading in readings]
    few, many = effort.warm_tasks, effort.warm_tasks + effort.more_tasks
    return Figure(
        name=f"memory.{process}",
        what=f"growth of the {process}'s memory a task, from {few} tasks to {many}",
        unit="KiB/task",
        ours=oblivion(grown),
        notes={
            f"after {few} tasks MiB": _middle_mib(reading.few for reading in readings),
            f"after {many} tasks MiB": _middle_mib(reading.many for reading in readings),
        },
    )


def _middle_mib(values: Iterable[float]) -> float:
    return median(values) / _MIB


async def _idle(effort: Effort) -> Figure:
    runs = range(effort.runs)
    async with nexus() as server, worker("bench.rivals.bare_server") as bare:
        ours = await asyncio.gather(*(_sdk_client(server) for _ in runs))
        theirs = await asyncio.gather(*(_bare_client(bare.answer) for _ in runs))
    return Figure(
        name="memory.idle_client",
        what="memory of a process with one connected, idle SDK client",
        unit="MiB",
        ours=oblivion(ours),
        rivals=(
            Samples(who="a process with one bare python-socketio client", values=tuple(theirs)),
        ),
    )


async def _sdk_client(server: Nexus) -> float:
    agents = await server.agents(1)
    options = {"agents": agents, "concurrency": 1, "note_starts": False}
    async with worker("bench.workers.agents", **options) as client:
        return memory_kib(client.pid) / _MIB


async def _bare_client(url: str) -> float:
    async with worker("bench.rivals.bare_client", url=url) as client:
        return memory_kib(client.pid) / _MIB
