"""Where waiting tasks are matched with free agents: leased to them, or offered."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from nexus.domain.routing import Candidate, Wanted, match
from nexus.services import leases, views
from nexus.services.sessions import ready_sessions
from nexus.store.schema import agents, group_members, groups, projects, tasks
from nexus.store.tx import Row, Tx
from oblivion.protocol import (
    HELD_STATUSES,
    DispatchPolicy,
    TaskAvailablePayload,
    TaskClaimedPayload,
    TaskStatus,
)

_PAGE = 200


def waiting(tx: Tx) -> sa.Select[Any]:
    """Return the query for tasks that can be handed out now, by priority, then age."""
    return (
        views.select_tasks()
        .where(
            tasks.c.status == TaskStatus.TODO,
            tasks.c.not_before <= tx.now,
            projects.c.archived_at.is_(None),
            groups.c.archived_at.is_(None),
        )
        .order_by(tasks.c.priority, tasks.c.created_at, tasks.c.id)
    )


def candidates(tx: Tx, node_id: str) -> list[Candidate]:
    """Return the agents with a ready session on this node, with their groups and load."""
    sessions = ready_sessions(tx, node_id)
    if not sessions:
        return []
    ids = [row["agent_id"] for row in sessions]
    memberships = tx.rows(
        group_members.select()
        .where(group_members.c.agent_id.in_(ids))
        .order_by(group_members.c.agent_id)
    )
    teams = {
        agent_id: frozenset(row["group_id"] for row in rows)
        for agent_id, rows in groupby(memberships, key=lambda row: row["agent_id"])
    }
    loads = leases.loads_of(tx, ids)
    return [_candidate(row, teams, loads) for row in sessions]


def _candidate(
    session: Row, teams: Mapping[str, frozenset[str]], loads: Mapping[str, int]
) -> Candidate:
    agent_id = session["agent_id"]
    return Candidate(
        agent_id=agent_id,
        groups=teams.get(agent_id, frozenset()),
        capabilities=frozenset(session["capabilities"]) | frozenset(session["agent_capabilities"]),
        load=loads.get(agent_id, 0),
        max_concurrency=session["max_concurrency"],
        idle_since=session["idle_since"],
    )


def _wanted(task: Row) -> Wanted:
    return Wanted(
        task_id=task["id"],
        group_id=task["group_id"],
        capabilities=frozenset(task["required_capabilities"]),
    )


def lease_next(tx: Tx, node_id: str, lease_ms: int) -> int:
    """Lease waiting tasks of ``assign`` projects to this node's free agents; return how many.

    Tasks go by priority, then age; a task that fits nobody here is passed over.
    """
    free = [candidate for candidate in candidates(tx, node_id) if candidate.has_room]
    granted = 0
    page = _first(tx, DispatchPolicy.ASSIGN, free)
    while page:
        pairs = list(match([_wanted(task) for task in page], free))
        by_id = {task["id"]: task for task in page}
        for task_id, agent_id in pairs:
            granted += leases.grant(tx, by_id[task_id], agent_id, lease_ms) is not None
        free = _after(free, pairs)
        more = pairs and len(page) == _PAGE
        page = _first(tx, DispatchPolicy.ASSIGN, free) if more else []
    return granted


def _first(tx: Tx, policy: DispatchPolicy, free: Sequence[Candidate]) -> Sequence[Row]:
    """Return the first waiting tasks of the free agents' groups that at least one could do.

    Where more tasks wait than a page holds, those that fit nobody are left out by the database,
    so that they never hide one that does.
    """
    if not free:
        return []
    teams = frozenset().union(*(candidate.groups for candidate in free))
    query = waiting(tx).where(projects.c.dispatch_policy == policy, tasks.c.group_id.in_(teams))
    page = tx.rows(query.limit(_PAGE))
    if len(page) < _PAGE:
        return page
    able = [candidate.capabilities for candidate in free]
    return tx.rows(only_fitting(tx, query, able).limit(_PAGE))


def only_fitting(tx: Tx, query: sa.Select[Any], able: Sequence[frozenset[str]]) -> sa.Select[Any]:
    """Narrow a query for tasks to those that at least one of these sets of capabilities covers."""
    wanted = query.with_only_columns(tasks.c.required_capabilities).order_by(None).distinct()
    fitting = [
        needed
        for needed in (row["required_capabilities"] for row in tx.rows(wanted))
        if any(capabilities.issuperset(needed) for capabilities in able)
    ]
    return query.where(tasks.c.required_capabilities.in_(fitting))


def _after(free: Sequence[Candidate], pairs: Sequence[tuple[str, str]]) -> list[Candidate]:
    taken = [agent_id for _, agent_id in pairs]
    left = []
    for candidate in free:
        for _ in range(taken.count(candidate.agent_id)):
            candidate = candidate.with_one_more()  # noqa: PLW2901 - the same agent, later
        if candidate.has_room:
            left.append(candidate)
    return left


def offers(tx: Tx, node_id: str) -> list[tuple[TaskAvailablePayload, frozenset[str]]]:
    """Return what waits in ``claim`` projects, each with this node's agents that could take it."""
    free = [candidate for candidate in candidates(tx, node_id) if candidate.has_room]
    page = _first(tx, DispatchPolicy.CLAIM, free)
    return [
        (views.offer(task), frozenset(c.agent_id for c in free if c.fits(_wanted(task))))
        for task in page
    ]


def claimed(tx: Tx, task_ids: Sequence[str]) -> list[TaskClaimedPayload]:
    """Return who holds which of these tasks; those that nobody holds are left out."""
    rows = tx.rows(
        sa.select(tasks, agents.c.name.label("agent_name"))
        .join_from(tasks, agents, agents.c.id == tasks.c.holder_agent_id)
        .where(tasks.c.id.in_(task_ids), tasks.c.status.in_(HELD_STATUSES))
    )
    return [
        TaskClaimedPayload(
            task_id=row["id"],
            project_id=row["project_id"],
            claimed_by_agent_id=row["holder_agent_id"],
            claimed_by_agent_name=row["agent_name"],
            claimed_at=views.moment_or_none(row["claimed_at"]),
        )
        for row in rows
    ]
