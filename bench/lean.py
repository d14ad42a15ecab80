"""Where a Nexus and the process with all of its load stand ready, and whole cycles are driven.

A cycle: HTTP in, stored with fsync, pushed to an agent, acknowledged, completed, recorded.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from bench.nexus_process import Nexus, nexus
from bench.processes import Worker, worker

PROJECT = "work"
BACKLOG = 500
"""Tasks that wait or run at saturation; enough that no slot is ever free for want of work."""
CONNECTIONS = 64
PACE = 50
"""Tasks a second that a busy team brings, at which no queue forms."""
_SLACK_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Staff:
    """The agents of a lean crew and their project.

    Attributes:
        keyed: whether each task is posted with an Idempotency-Key.
    """

    agents: int = 5
    concurrency: int = 20
    policy: str = "assign"
    keyed: bool = True


@dataclass(frozen=True, kw_only=True)
class Period:
    """Cycles at saturation: how many a second, and the computing that each took."""

    per_second: float
    server_ms: float
    load_ms: float


@dataclass(frozen=True, kw_only=True)
class Saturation:
    """What was seen at saturation, and how many claims each task took."""

    periods: list[Period]
    claims_a_task: float


@dataclass(frozen=True, kw_only=True)
class LeanCrew:
    """A Nexus and its load."""

    nexus: Nexus
    load: Worker

    async def paced(self, *, seconds: float) -> list[float]:
        """Let tasks come in at ``PACE``; return the ms from each request to its handler."""
        order = {"do": "pace", "seconds": seconds, "per_second": PACE}
        waits: list[float] = await self.load.tell(order, within=seconds + _SLACK_S)
        return waits

    async def saturated(self, *, runs: int, seconds: float) -> Saturation:
        """Keep ``BACKLOG`` tasks waiting and look how many are done in each of some periods.

        Raises:
            RuntimeError: Nexus refused something, or counts other tasks as DONE than the load.
        """
        order = {"do": "saturate", "backlog": BACKLOG, "runs": runs, "seconds": seconds}
        found = await self.load.tell(order, within=runs * seconds + _SLACK_S)
        await self._audit(found)
        return Saturation(
            periods=[_period(one) for one in found["periods"]],
            claims_a_task=found["claims"] / found["done"],
        )

    async def _audit(self, found: dict[str, Any]) -> None:
        recorded = await self.nexus.done(PROJECT)
        if found["refusals"] or found["holes"] or recorded < found["done"]:
            told = {name: value for name, value in found.items() if name != "periods"}
            raise RuntimeError(f"{recorded} tasks are recorded as DONE; the load says {told}")


def _period(found: dict[str, float]) -> Period:
    tasks = found["tasks"]
    if not tasks:
        raise RuntimeError(f"not one task was done in {found['seconds']:.1f} s")
    return Period(
        per_second=tasks / found["seconds"],
        server_ms=found["server"] / tasks * 1000,
        load_ms=found["load"] / tasks * 1000,
    )


@contextlib.asynccontextmanager
async def lean_crew(staff: Staff) -> AsyncIterator[LeanCrew]:
    """Start a Nexus and a process with lean agents, which are connected."""
    async with nexus() as server:
        await server.project(PROJECT, staff.policy)
        agents = await server.agents(staff.agents)
        tokens = await asyncio.gather(*(server.token(agent) for agent in agents))
        load = worker(
            "bench.workers.lean",
            url=server.url,
            pid=server.pid,
            headers=dict(server.headers),
            project=PROJECT,
            tokens=tokens,
            concurrency=staff.concurrency,
            keyed=staff.keyed,
            connections=CONNECTIONS,
        )
        async with load as loaded:
            yield LeanCrew(nexus=server, load=loaded)
