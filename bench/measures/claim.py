"""The claim policy: how many tasks a second are resolved when many agents race for each."""

from dataclasses import replace
from statistics import median

from bench.effort import Effort
from bench.figures import Aim, Figure, Samples, oblivion
from bench.lean import Saturation, Staff, lean_crew

RACING = Staff(agents=20, concurrency=5, policy="claim")


async def measure(effort: Effort) -> list[Figure]:
    """Race for tasks; the rival is the same work assigned by Nexus, without a race."""
    raced = await _cycles(RACING, effort)
    assigned = await _cycles(replace(RACING, policy="assign"), effort)
    return [
        Figure(
            name="claim",
            what=f"tasks offered to {RACING.agents} racing agents, claimed by one, ended and "
            "recorded",
            unit="tasks/s",
            ours=oblivion([period.per_second for period in raced.periods]),
            rivals=(
                Samples(
                    who="the same tasks and agents under the assign policy",
                    values=tuple(period.per_second for period in assigned.periods),
                ),
            ),
            aim=Aim(at_least=2_000),
            notes={
                "claims a task": raced.claims_a_task,
                "CPU of the server a task ms": median(one.server_ms for one in raced.periods),
                "CPU of the load a task ms": median(one.load_ms for one in raced.periods),
            },
        )
    ]


async def _cycles(staff: Staff, effort: Effort) -> Saturation:
    async with lean_crew(staff) as ready:
        return await ready.saturated(runs=effort.runs, seconds=effort.saturated_seconds)
