"""Where leases live: granted, claimed, renewed; ended they are in ``attempts``."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nexus.domain.errors import AlreadyClaimed, Conflict, NoFreeSlot, NotFound
from nexus.services import activity, events, sessions, views
from nexus.store.schema import group_members, is_held, is_waiting, tasks
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx
from oblivion.protocol import (
    HELD_STATUSES,
    ActiveTask,
    ClaimResult,
    EventType,
    TaskStatus,
)

DISPATCH = "dispatch"
"""The topic that is woken when a task waits or a slot is free."""

OFFERS = "offers"
"""The topic that is woken when there is something to tell agents that claim."""

_GRANTED = (
    "status",
    "holder_agent_id",
    "attempt",
    "claimed_at",
    "lease_expires_at",
    "deadline_at",
    "progress",
    "updated_at",
)


def held_by(agent_id: str) -> sa.ColumnElement[bool]:
    """Return the condition for tasks whose lease the agent holds."""
    return (tasks.c.holder_agent_id == agent_id) & is_held


_GRANT = Statement(
    tasks.update()
    .where(
        tasks.c.id == sa.bindparam("task"), tasks.c.attempt == sa.bindparam("before"), is_waiting
    )
    .values({name: sa.bindparam(name) for name in _GRANTED})
)
_LOAD = Statement(
    sa.select(sa.func.count()).where(tasks.c.holder_agent_id == sa.bindparam("agent_id"), is_held)
)
_RENEW = Statement(
    tasks.update()
    .where(
        tasks.c.id == sa.bindparam("task"),
        tasks.c.attempt == sa.bindparam("held_attempt"),
        tasks.c.holder_agent_id == sa.bindparam("agent_id"),
        is_held,
    )
    .values(lease_expires_at=sa.bindparam("until"))
)
_RENEW_SINCE = Statement(
    tasks.update()
    .where(
        tasks.c.holder_agent_id == sa.bindparam("agent_id"),
        tasks.c.claimed_at >= sa.bindparam("since"),
        is_held,
    )
    .values(lease_expires_at=sa.bindparam("until"))
)
_VISIBLE = Statement(
    views.select_tasks()
    .join(group_members, group_members.c.group_id == tasks.c.group_id)
    .where(
        tasks.c.id == sa.bindparam("task_id"),
        group_members.c.agent_id == sa.bindparam("agent_id"),
    )
    .with_for_update(of=tasks)
)


def grant(tx: Tx, task: Row, agent_id: str, lease_ms: int) -> Row | None:
    """Give the agent the lease of a waiting task; None if somebody was faster.

    The next ``attempt`` fences off whatever an earlier holder still says.
    """
    lease = _lease(tx, task, agent_id, lease_ms)
    if not tx.change(_GRANT, **lease, **_fence(task)):
        return None
    leased = {**task, **lease}
    _tell_assigned(tx, [leased])
    return leased


def grant_locked(tx: Tx, pairs: Sequence[tuple[Row, str]], lease_ms: int) -> None:
    """Give agents the leases of waiting tasks that nobody else can change before the commit."""
    leases = [_lease(tx, task, agent_id, lease_ms) for task, agent_id in pairs]
    fenced = [{**lease, **_fence(task)} for lease, (task, _) in zip(leases, pairs, strict=True)]
    if tx.change_all(_GRANT, fenced) != len(pairs):
        raise RuntimeError("a task was leased by others while it was locked")
    _tell_assigned(tx, [{**task, **lease} for lease, (task, _) in zip(leases, pairs, strict=True)])


def _fence(task: Row) -> dict[str, Any]:
    return {"task": task["id"], "before": task["attempt"]}


def _lease(tx: Tx, task: Row, agent_id: str, lease_ms: int) -> dict[str, Any]:
    timeout = task["timeout_seconds"]
    return {
        "status": TaskStatus.CLAIMED,
        "holder_agent_id": agent_id,
        "attempt": task["attempt"] + 1,
        "claimed_at": tx.now,
        "lease_expires_at": tx.now + lease_ms,
        "deadline_at": None if timeout is None else tx.now + timeout * 1000,
        "progress": None,
        "updated_at": tx.now,
    }


def _tell_assigned(tx: Tx, leased: Sequence[Row]) -> None:
    told = [
        (task["holder_agent_id"], views.assignment(task), events.of_task(task)) for task in leased
    ]
    events.tell_all(tx, EventType.TASK_ASSIGNED, told)
    for task in leased:
        activity.record(
            tx,
            task["tenant_id"],
            "task_assigned",
            agent_id=task["holder_agent_id"],
            task=task,
            attempt=task["attempt"],
        )


def claim(
    tx: Tx, agent_id: str, task_id: str, *, max_concurrency: int | None, lease_ms: int
) -> ClaimResult:
    """Give the agent the lease it asks for, under either policy.

    ``max_concurrency`` is the session's limit; a caller without a session has none. A claim of
    what the agent already holds succeeds again.

    Raises:
        NotFound: no such task in the agent's groups.
        AlreadyClaimed: somebody else holds it, or it has ended.
        Conflict: its project is archived, or the agent lacks a capability that it requires.
        NoFreeSlot: the agent holds all it may.
    """
    task = visible(tx, agent_id, task_id)
    if task["holder_agent_id"] == agent_id and task["status"] in HELD_STATUSES:
        return _won(task)
    if task["status"] != TaskStatus.TODO:
        raise AlreadyClaimed(f"task {task_id} is {task['status']}; it cannot be claimed")
    _refuse_unfit(tx, agent_id, task)
    load = tx.scalar(_LOAD, agent_id=agent_id)
    if max_concurrency is not None and load >= max_concurrency:
        raise NoFreeSlot(f"this agent already holds {load} task(s), as many as it announced")
    leased = grant(tx, task, agent_id, lease_ms)
    if leased is None:
        raise AlreadyClaimed(f"task {task_id} was claimed by another agent")
    tx.wake(OFFERS)
    return _won(leased)


def _refuse_unfit(tx: Tx, agent_id: str, task: Row) -> None:
    if not is_open(task):
        raise Conflict(f"project {task['project_name']} is archived; its tasks cannot be claimed")
    required = set(task["required_capabilities"])
    missing = required and required - sessions.capabilities(tx, agent_id)
    if missing:
        raise Conflict(f"task {task['id']} requires {', '.join(sorted(missing))}")


def is_open(task: Row) -> bool:
    """Say whether neither the task's project nor its group is archived."""
    return task["project_archived_at"] is None and task["group_archived_at"] is None


def _won(task: Row) -> ClaimResult:
    return ClaimResult(
        task_id=task["id"],
        success=True,
        claimed_at=views.moment_or_none(task["claimed_at"]),
        attempt=task["attempt"],
    )


def groups_of(agent_id: str) -> sa.Select[Any]:
    """Return the query for the ids of the groups that an agent is a member of."""
    return sa.select(group_members.c.group_id).where(group_members.c.agent_id == agent_id)


def visible(tx: Tx, agent_id: str, task_id: str) -> Row:
    """Return a task of the agent's groups.

    Raises:
        NotFound: there is none.
    """
    task = tx.one(_VISIBLE, task_id=task_id, agent_id=agent_id)
    if task is None:
        raise NotFound(f"there is no task {task_id} in this agent's groups")
    return task


def renew(tx: Tx, agent_id: str, active: Sequence[ActiveTask], lease_ms: int) -> int:
    """Prolong the leases that the agent says it works on."""
    until = tx.now + lease_ms
    return sum(
        tx.change(
            _RENEW, task=task.task_id, held_attempt=task.attempt, agent_id=agent_id, until=until
        )
        for task in active
    )


def renew_since(tx: Tx, agent_id: str, since: int, lease_ms: int) -> int:
    """Prolong the leases granted since then: what an agent works on that does not say.

    Those of an earlier connection may belong to a process that is gone.
    """
    return tx.change(_RENEW_SINCE, agent_id=agent_id, since=since, until=tx.now + lease_ms)


def renew_all(tx: Tx, lease_ms: int) -> int:
    """Have every lease, and every deadline, begin anew."""
    now = sa.literal(tx.now, sa.BigInteger)
    is_timed = is_held & tasks.c.deadline_at.is_not(None) & tasks.c.timeout_seconds.is_not(None)
    later = now + sa.cast(tasks.c.timeout_seconds, sa.BigInteger) * 1000
    tx.change(tasks.update().where(is_timed).values(deadline_at=later))
    return tx.change(tasks.update().where(is_held).values(lease_expires_at=tx.now + lease_ms))


def set_back(tx: Tx, by_ms: int) -> None:
    """Have leases granted before the clock was set back be as old as they were."""
    later = is_held & (tasks.c.claimed_at > tx.now)
    tx.change(tasks.update().where(later).values(claimed_at=tasks.c.claimed_at - by_ms))


def kept(tx: Tx, agent_id: str, task_ids: Sequence[str]) -> set[tuple[str, int]]:
    """Return which attempts at these tasks the agent holds, or has itself brought to an end."""
    if not task_ids:
        return set()
    statuses = HELD_STATUSES | {TaskStatus.DONE, TaskStatus.FAILED}
    rows = tx.rows(
        sa.select(tasks.c.id, tasks.c.attempt).where(
            tasks.c.id.in_(task_ids),
            tasks.c.holder_agent_id == agent_id,
            tasks.c.status.in_(statuses),
        )
    )
    return {(row["id"], row["attempt"]) for row in rows}
