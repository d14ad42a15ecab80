"""The claim policy: how many tasks a second are resolved when many agents race for each."""

from statistics import median

from bench.crew import Run, crew
from bench.effort import Effort
from bench.figures import Aim, Figure, Samples, oblivion

AGENTS = 20
CONCURRENCY = 5


async def measure(effort: Effort) -> list[Figure]:
    """Race for tasks; the rival is the same work assigned by Nexus, without a race."""
    raced = await _cycles("claim", effort)
    assigned = await _cycles("assign", effort)
    return [
        Figure(
            name="claim",
            what=f"tasks offered to {AGENTS} racing agents, claimed by one, ended and recorded",
            unit="tasks/s",
            ours=oblivion([run.per_second for run in raced]),
            rival=Samples(
                who="the same tasks and agents under the assign policy",
                values=tuple(run.per_second for run in assigned),
            ),
            aim=Aim(at_least=2_000),
            notes={
                "CPU of the server a task ms": median(run.server_ms for run in raced),
                "CPU of the agents a task ms": median(run.agents_ms for run in raced),
            },
        )
    ]


async def _cycles(policy: str, effort: Effort) -> list[Run]:
    async with crew(agents=AGENTS, concurrency=CONCURRENCY, policy=policy) as ready:
        return await ready.saturated(runs=effort.runs, seconds=effort.saturated_seconds)
