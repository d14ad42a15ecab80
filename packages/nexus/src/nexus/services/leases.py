"""Where leases live: granted, claimed, renewed; ended they are in ``attempts``."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from nexus.domain.errors import AlreadyClaimed, Conflict, NoFreeSlot, NotFound
from nexus.services import activity, events, sessions, views
from nexus.store.schema import group_members, tasks
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


def held_by(agent_id: str) -> sa.ColumnElement[bool]:
    """Return the condition for tasks whose lease the agent holds."""
    return sa.and_(tasks.c.holder_agent_id == agent_id, tasks.c.status.in_(HELD_STATUSES))


def grant(tx: Tx, task: Row, agent_id: str, lease_ms: int) -> Row | None:
    """Give the agent the lease of a waiting task; None if somebody was faster.

    The next ``attempt`` fences off whatever an earlier holder still says.
    """
    timeout = task["timeout_seconds"]
    changed = tx.change(
        tasks.update()
        .where(tasks.c.id == task["id"], tasks.c.status == TaskStatus.TODO)
        .values(
            status=TaskStatus.CLAIMED,
            holder_agent_id=agent_id,
            attempt=tasks.c.attempt + 1,
            claimed_at=tx.now,
            lease_expires_at=tx.now + lease_ms,
            deadline_at=None if timeout is None else tx.now + timeout * 1000,
            progress=None,
            updated_at=tx.now,
        )
    )
    if not changed:
        return None
    leased = views.task_row(tx, task["id"])
    assignment = views.assignment(leased)
    events.tell(tx, agent_id, EventType.TASK_ASSIGNED, assignment, task_id=task["id"])
    activity.record(
        tx,
        task["tenant_id"],
        "task_assigned",
        agent_id=agent_id,
        task=leased,
        attempt=leased["attempt"],
    )
    return leased


def loads_of(tx: Tx, agent_ids: Iterable[str]) -> dict[str, int]:
    """Return how many leases each agent holds; agents without any are left out."""
    rows = tx.rows(
        sa.select(tasks.c.holder_agent_id, sa.func.count().label("load"))
        .where(tasks.c.holder_agent_id.in_(agent_ids), tasks.c.status.in_(HELD_STATUSES))
        .group_by(tasks.c.holder_agent_id)
    )
    return {row["holder_agent_id"]: row["load"] for row in rows}


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
    load = loads_of(tx, [agent_id]).get(agent_id, 0)
    if max_concurrency is not None and load >= max_concurrency:
        raise NoFreeSlot(f"this agent already holds {load} task(s), as many as it announced")
    leased = grant(tx, task, agent_id, lease_ms)
    if leased is None:
        raise AlreadyClaimed(f"task {task_id} was claimed by another agent")
    tx.wake(DISPATCH)
    return _won(leased)


def _refuse_unfit(tx: Tx, agent_id: str, task: Row) -> None:
    if not is_open(task):
        raise Conflict(f"project {task['project_name']} is archived; its tasks cannot be claimed")
    missing = set(task["required_capabilities"]) - sessions.capabilities(tx, agent_id)
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
    mine = tasks.c.group_id.in_(groups_of(agent_id))
    task = tx.one(views.select_tasks().where(tasks.c.id == task_id, mine))
    if task is None:
        raise NotFound(f"there is no task {task_id} in this agent's groups")
    return task


def renew(tx: Tx, agent_id: str, active: Sequence[ActiveTask], lease_ms: int) -> int:
    """Prolong the leases that the agent says it works on."""
    named = [(task.task_id, task.attempt) for task in active]
    which = sa.tuple_(tasks.c.id, tasks.c.attempt).in_(named)
    return _prolong(tx, held_by(agent_id) & which, lease_ms)


def renew_since(tx: Tx, agent_id: str, since: int, lease_ms: int) -> int:
    """Prolong the leases granted since then: what an agent works on that does not say.

    Those of an earlier connection may belong to a process that is gone.
    """
    return _prolong(tx, held_by(agent_id) & (tasks.c.claimed_at >= since), lease_ms)


def renew_all(tx: Tx, lease_ms: int) -> int:
    """Prolong every lease there is."""
    return _prolong(tx, tasks.c.status.in_(HELD_STATUSES), lease_ms)


def _prolong(tx: Tx, held: sa.ColumnElement[bool], lease_ms: int) -> int:
    return tx.change(tasks.update().where(held).values(lease_expires_at=tx.now + lease_ms))


def kept(tx: Tx, agent_id: str, task_ids: Sequence[str]) -> set[tuple[str, int]]:
    """Return which attempts at these tasks the agent holds, or has itself brought to an end."""
    statuses = HELD_STATUSES | {TaskStatus.DONE, TaskStatus.FAILED}
    rows = tx.rows(
        sa.select(tasks.c.id, tasks.c.attempt).where(
            tasks.c.id.in_(task_ids),
            tasks.c.holder_agent_id == agent_id,
            tasks.c.status.in_(statuses),
        )
    )
    return {(row["id"], row["attempt"]) for row in rows}
