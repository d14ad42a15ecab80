"""Where waiting tasks are matched with free agents: leased to them, or offered."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from nexus.domain.offers import Waiting
from nexus.domain.routing import Candidate, Wanted, match
from nexus.services import leases, views
from nexus.store.schema import (
    agents,
    group_members,
    groups,
    is_held,
    is_waiting,
    projects,
    sessions,
    tasks,
)
from nexus.store.statement import Some, Statement
from nexus.store.tx import Row, Tx
from oblivion.protocol import (
    ApprovalStatus,
    DispatchPolicy,
    TaskAvailablePayload,
    TaskClaimedPayload,
)

_PAGE = 200
"""How many waiting tasks of a project are looked at in one go."""

_URGENCY = itemgetter("priority", "created_at", "id")

_SPARE = 8
"""How many more tasks are offered than there is room for."""

_ready = (
    sa.select(
        sessions,
        agents.c.capabilities.label("agent_capabilities"),
        group_members.c.group_id,
    )
    .join_from(sessions, agents)
    .join(group_members, group_members.c.agent_id == sessions.c.agent_id)
    .where(
        sessions.c.node_id == sa.bindparam("node_id"),
        sessions.c.closed_at.is_(None),
        sessions.c.ready,
        sessions.c.accepts_tasks,
        agents.c.approval_status == ApprovalStatus.APPROVED,
        agents.c.disabled_at.is_(None),
    )
    .order_by(sessions.c.agent_id)
)
_CANDIDATES = Statement(_ready)
# With the agents, whose numbers of events go up: so who leases never waits for anybody.
_CANDIDATES_LOCKED = Statement(
    _ready.with_for_update(of=[sessions, agents], key_share=True, skip_locked=True)
)

_LOADS = Statement(
    sa.select(tasks.c.holder_agent_id, sa.func.count().label("load"))
    .join_from(tasks, sessions, sessions.c.agent_id == tasks.c.holder_agent_id)
    .where(sessions.c.node_id == sa.bindparam("node_id"), is_held)
    .group_by(tasks.c.holder_agent_id)
)

_due = is_waiting & (tasks.c.not_before <= sa.bindparam("now"))

_WITH_WORK = Statement(
    sa.select(projects.c.id, projects.c.group_id, projects.c.dispatch_policy)
    .join_from(projects, groups)
    .where(
        projects.c.archived_at.is_(None),
        groups.c.archived_at.is_(None),
        sa.exists().where(tasks.c.project_id == projects.c.id, _due),
    )
    .order_by(projects.c.id)
)

_next = (
    views.select_tasks()
    .where(tasks.c.project_id == sa.bindparam("project"), _due)
    .order_by(tasks.c.priority, tasks.c.created_at, tasks.c.id)
)
_NEXT_BRIEFLY = Statement(
    sa.select(
        tasks.c.id,
        tasks.c.group_id,
        tasks.c.priority,
        tasks.c.created_at,
        tasks.c.required_capabilities,
    )
    .where(tasks.c.project_id == sa.bindparam("project"), _due)
    .order_by(tasks.c.priority, tasks.c.created_at, tasks.c.id)
    .limit(sa.bindparam("most"))
)
_NEXT_LOCKED = Statement(
    _next.limit(sa.bindparam("most")).with_for_update(of=tasks, skip_locked=True)
)
_DESCRIBED = Some(views.select_tasks(), tasks.c.id)
_CLAIMED = Some(
    sa.select(
        tasks.c.id,
        tasks.c.project_id,
        tasks.c.holder_agent_id,
        tasks.c.claimed_at,
        agents.c.name.label("agent_name"),
    )
    .join_from(tasks, agents, agents.c.id == tasks.c.holder_agent_id)
    .where(is_held),
    tasks.c.id,
)


def waiting(tx: Tx) -> sa.Select[Any]:
    """Return the query for tasks that can be handed out now, by priority, then age."""
    return (
        views.select_tasks()
        .where(
            is_waiting,
            tasks.c.not_before <= tx.now,
            projects.c.archived_at.is_(None),
            groups.c.archived_at.is_(None),
        )
        .order_by(tasks.c.priority, tasks.c.created_at, tasks.c.id)
    )


def _free(tx: Tx, node_id: str, *, lock: bool) -> list[Candidate]:
    """Return the agents with a ready session on this node that have room, with their groups."""
    ready = tx.rows(_CANDIDATES_LOCKED if lock else _CANDIDATES, node_id=node_id)
    loads = {row["holder_agent_id"]: row["load"] for row in tx.rows(_LOADS, node_id=node_id)}
    found = []
    for agent_id, memberships in groupby(ready, key=itemgetter("agent_id")):
        rows = list(memberships)
        load = loads.get(agent_id, 0)
        if load < rows[0]["max_concurrency"]:
            found.append(_candidate(rows[0], frozenset(row["group_id"] for row in rows), load))
    return found


def _candidate(session: Row, teams: frozenset[str], load: int) -> Candidate:
    return Candidate(
        agent_id=session["agent_id"],
        groups=teams,
        capabilities=frozenset(session["capabilities"]) | frozenset(session["agent_capabilities"]),
        load=load,
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

    Tasks go by priority, then age; a task that fits nobody here is passed over. Where tasks wait
    to be claimed, who offers them is woken.
    """
    with_work = tx.rows(_WITH_WORK, now=tx.now)
    if _of_policy(with_work, DispatchPolicy.CLAIM):
        tx.wake(leases.OFFERS)
    projects_with_work = _of_policy(with_work, DispatchPolicy.ASSIGN)
    free = _free(tx, node_id, lock=True) if projects_with_work else []
    granted = 0
    while free:
        page = _first(tx, projects_with_work, free, lock=True)
        pairs = list(match([_wanted(task) for task in page], free))
        by_id = {task["id"]: task for task in page}
        leases.grant_locked(tx, [(by_id[task], agent) for task, agent in pairs], lease_ms)
        granted += len(pairs)
        free = _after(free, pairs) if pairs else []
    return granted


def _of_policy(found: Sequence[Row], policy: DispatchPolicy) -> list[Row]:
    return [project for project in found if project["dispatch_policy"] == policy]


def _first(
    tx: Tx,
    projects_with_work: Sequence[Row],
    free: Sequence[Candidate],
    most: int = _PAGE,
    *,
    lock: bool = False,
) -> list[Row]:
    """Return the first waiting tasks, at most ``most``, that one of the free agents could do."""
    teams = frozenset().union(*(candidate.groups for candidate in free))
    pages = [
        _first_of(tx, project, free, most, lock=lock)
        for project in projects_with_work
        if project["group_id"] in teams
    ]
    found = list(islice(merge(*pages, key=_URGENCY), most))
    return _not_overtaking(found, pages, free) if lock and len(pages) > 1 else found


def _not_overtaking(
    found: Sequence[Row], pages: Sequence[Sequence[Row]], free: Sequence[Candidate]
) -> list[Row]:
    """Leave out what may be overtaking: a full page hides what comes after its last task."""
    last = [
        _URGENCY(page[-1])
        for page in pages
        if page and len(page) >= _most(free, page[0]["group_id"])
    ]
    return [task for task in found if not last or _URGENCY(task) <= min(last)]


def _most(free: Sequence[Candidate], group_id: str) -> int:
    """Return how many tasks a group's free agents have room for, as far as a page goes."""
    return min(_PAGE, sum(candidate.room for candidate in free if group_id in candidate.groups))


def _first_of(
    tx: Tx, project: Row, free: Sequence[Candidate], most: int, *, lock: bool
) -> Sequence[Row]:
    """Return the first waiting tasks of a project.

    Where more tasks wait than a page holds, those that fit nobody are left out by the database,
    so that they never hide one that does.
    """
    team = [candidate for candidate in free if project["group_id"] in candidate.groups]
    most = _most(free, project["group_id"]) if lock else most
    page = tx.rows(
        _NEXT_LOCKED if lock else _NEXT_BRIEFLY, project=project["id"], now=tx.now, most=most
    )
    if len(page) < most or any(c.fits(_wanted(task)) for task in page for c in team):
        return page
    query = waiting(tx).where(tasks.c.project_id == project["id"])
    able = [candidate.capabilities for candidate in team]
    return tx.rows(only_fitting(tx, query, able).limit(most))


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


@dataclass(frozen=True, kw_only=True)
class Market:
    """What waits in ``claim`` projects, in order of urgency, and this node's agents with room."""

    waiting: Sequence[Waiting] = ()
    free: Sequence[Candidate] = ()


def market(tx: Tx, node_id: str, passed: int = 0) -> Market:
    """Return what waits to be claimed, each with this node's agents that could take it.

    That is as many tasks as there is room for, and a few, beside ``passed`` that nobody wants.
    """
    projects_with_work = _of_policy(tx.rows(_WITH_WORK, now=tx.now), DispatchPolicy.CLAIM)
    free = _free(tx, node_id, lock=False) if projects_with_work else []
    most = min(_PAGE, passed + _SPARE + sum(candidate.room for candidate in free))
    page = _first(tx, projects_with_work, free, most) if free else []

    @cache
    def able(group_id: str, capabilities: frozenset[str]) -> frozenset[str]:
        wanted = Wanted(task_id="", group_id=group_id, capabilities=capabilities)
        return frozenset(candidate.agent_id for candidate in free if candidate.fits(wanted))

    waiting = [
        Waiting(
            task_id=task["id"],
            priority=task["priority"],
            agents=able(task["group_id"], frozenset(task["required_capabilities"])),
        )
        for task in page
    ]
    return Market(waiting=waiting, free=free)


def described(tx: Tx, task_ids: Sequence[str]) -> list[TaskAvailablePayload]:
    """Return what agents are told of these tasks when they are offered."""
    return [views.offer(task) for task in _DESCRIBED.rows(tx, task_ids)]


def claimed(tx: Tx, task_ids: Sequence[str]) -> list[TaskClaimedPayload]:
    """Return who holds which of these tasks; those that nobody holds are left out."""
    rows = _CLAIMED.rows(tx, task_ids)
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
