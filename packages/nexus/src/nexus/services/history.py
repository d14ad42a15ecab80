"""Where the recent past becomes numbers: what was made, taken and done in each minute."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nexus.store.schema import activity, tasks
from nexus.store.tx import Row, Tx
from oblivion.protocol import TaskStatus

MINUTE_MS = 60_000
MOST_WAITS = 10_000
"""Of so many tasks, the newest, it is known how long they waited."""

_ENTER = frozenset({"task_created", "task_retrying", "task_retried", "task_released"})
_LEAVE = frozenset({"task_assigned"})
_END = frozenset({"task_cancelled", "task_done", "task_failed"})


@dataclass(frozen=True, kw_only=True)
class Minute:
    """One minute of a tenant; ``number`` counts minutes since 1970.

    ``queued`` is by how much more waits at its end than at its beginning. ``p50`` and ``p99`` are
    the milliseconds that tasks waited which were leased in it, if any were.
    """

    number: int
    created: int = 0
    done: int = 0
    queued: int = 0
    p50: int | None = None
    p99: int | None = None


def minutes(tx: Tx, tenant_id: str, first: int, last: int) -> list[Minute]:
    """Return the minutes from ``first`` to ``last``, both whole."""
    counted: dict[int, list[Row]] = {}
    for row in tx.rows(_happened(tenant_id, first, last)):
        counted.setdefault(row["number"], []).append(row)
    waited: dict[int, list[int]] = {}
    for row in tx.rows(_waits(tenant_id, first, last)):
        waited.setdefault(row["number"], []).append(row["waited"])
    return [
        _minute(number, counted.get(number, ()), sorted(waited.get(number, ())))
        for number in range(first, last + 1)
    ]


def _within(tenant_id: str, first: int, last: int) -> sa.ColumnElement[bool]:
    since, until = first * MINUTE_MS, (last + 1) * MINUTE_MS
    # So written that no planner takes the index by tenant, which leads through all of its time.
    mine = sa.func.coalesce(activity.c.tenant_id, "") == tenant_id
    return mine & (activity.c.at >= since) & (activity.c.at < until)


def _happened(tenant_id: str, first: int, last: int) -> sa.Select[Any]:
    number = (activity.c.at // MINUTE_MS).label("number")
    query = sa.select(
        number,
        activity.c.type,
        sa.func.count().label("all"),
        sa.func.count(activity.c.agent_id).label("by_agents"),
    )
    wanted = activity.c.type.in_(_ENTER | _LEAVE | _END)
    return query.where(_within(tenant_id, first, last), wanted).group_by(number, activity.c.type)


def _waits(tenant_id: str, first: int, last: int) -> sa.Select[Any]:
    """Return the query for how long tasks waited, of each its newest lease.

    A lease and its entry are of one transaction, and so of one moment.
    """
    leased = (tasks.c.id == activity.c.task_id) & (tasks.c.claimed_at == activity.c.at)
    query = sa.select(
        (activity.c.at // MINUTE_MS).label("number"),
        (tasks.c.claimed_at - tasks.c.not_before).label("waited"),
    ).join_from(activity, tasks, leased)
    query = query.where(
        _within(tenant_id, first, last),
        activity.c.type == "task_assigned",
        tasks.c.not_before <= tasks.c.claimed_at,
    )
    return query.order_by(activity.c.at.desc()).limit(MOST_WAITS)


def _minute(number: int, counted: Sequence[Row], waits: list[int]) -> Minute:
    numbers = {row["type"]: row["all"] for row in counted}
    queued = 0
    for row in counted:
        queued += row["all"] if row["type"] in _ENTER else 0
        queued -= row["all"] if row["type"] in _LEAVE else 0
        # What ends without an agent had waited.
        queued -= row["all"] - row["by_agents"] if row["type"] in _END else 0
    return Minute(
        number=number,
        created=numbers.get("task_created", 0),
        done=numbers.get("task_done", 0),
        queued=queued,
        p50=_percentile(waits, 50),
        p99=_percentile(waits, 99),
    )


def _percentile(ordered: list[int], percent: int) -> int | None:
    """Return the smallest value that so many of a hundred do not exceed."""
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def done_since(tx: Tx, tenant_id: str, since: int) -> int:
    """Return how many tasks were done since then."""
    done = (
        (tasks.c.tenant_id == tenant_id)
        & (tasks.c.status == TaskStatus.DONE)
        & (tasks.c.finished_at >= since)
    )
    number: int = tx.scalar(sa.select(sa.func.count()).select_from(tasks).where(done))
    return number
