"""Where waiting tasks are matched with free agents: leased to them, or offered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import merge
from itertools import islice
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

_FEW = 8
_MORE = 8
"""How many agents are looked at first, and how many times as many next, should those not do."""
_ALL = 2**31 - 1


def _ready(load: sa.ColumnElement[int], source: sa.FromClause) -> sa.Select[Any]:
    """Return the query for a group's agents that can work, their sessions and they from there."""
    member = sa.exists().where(
        group_members.c.agent_id == sessions.c.agent_id,
        group_members.c.group_id == sa.bindparam("group_id"),
    )
    return (
        sa.select(
            sessions.c.agent_id,
            sessions.c.capabilities,
            agents.c.capabilities.label("agent_capabilities"),
            sessions.c.max_concurrency,
            sessions.c.idle_since,
            load.label("load"),
        )
        .select_from(source)
        .where(
            sessions.c.ready,
            sessions.c.accepts_tasks,
            sessions.c.closed_at.is_(None),
            agents.c.approval_status == ApprovalStatus.APPROVED,
            agents.c.disabled_at.is_(None),
            member,
        )
        .limit(sa.bindparam("most"))
    )


_by_holder = (
    sa.select(tasks.c.holder_agent_id.label("agent_id"), sa.func.count().label("load"))
    .where(is_held, tasks.c.holder_agent_id.is_not(None))
    .group_by(tasks.c.holder_agent_id)
    .subquery()
)
_idle = (
    _ready(sa.literal(0), sessions.join(agents))
    .where(
        sessions.c.node_id == sa.bindparam("node_id"),
        sessions.c.agent_id.not_in(sa.select(_by_holder.c.agent_id)),
    )
    .order_by(sessions.c.idle_since, sessions.c.agent_id)
)
_busy = (
    _ready(
        _by_holder.c.load,
        _by_holder.join(sessions, sessions.c.agent_id == _by_holder.c.agent_id).join(
            agents, agents.c.id == _by_holder.c.agent_id
        ),
    )
    .where(
        # No plain column: SQLite is to begin with the few that hold a task, not with the node.
        sessions.c.node_id.concat("") == sa.bindparam("node_id"),
        _by_holder.c.load < sessions.c.max_concurrency,
    )
    .order_by(_by_holder.c.load, sessions.c.idle_since, sessions.c.agent_id)
)


def _locked(query: sa.Select[Any]) -> sa.Select[Any]:
    """Lock the agents, too, whose numbers of events go up: so who leases waits for nobody."""
    return query.with_for_update(of=[sessions, agents], key_share=True, skip_locked=True)


_WITH_ROOM = (Statement(_idle), Statement(_busy))
_WITH_ROOM_LOCKED = (Statement(_locked(_idle)), Statement(_locked(_busy)))

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


@dataclass(frozen=True, kw_only=True)
class _Free:
    """Agents with room, and whether that is all of them."""

    agents: list[Candidate]
    whole: bool

    @property
    def room(self) -> int:
        """How many tasks they can take together."""
        return sum(candidate.room for candidate in self.agents)


def _free(
    tx: Tx, node_id: str, projects_with_work: Iterable[Row], most: int, *, lock: bool = False
) -> _Free:
    """Return the agents of these projects that have room and a ready session on this node.

    Of each group those that come first by load, then by how long they have been idle, at least
    ``most``: so who hands out as many tasks, or fewer, that anybody can do needs to see no others.
    """
    found: dict[str, Candidate] = {}
    whole = True
    for group_id in dict.fromkeys(project["group_id"] for project in projects_with_work):
        for statement in _WITH_ROOM_LOCKED if lock else _WITH_ROOM:
            rows = tx.rows(statement, node_id=node_id, group_id=group_id, most=most)
            whole = whole and len(rows) < most
            for row in rows:
                known = found.get(row["agent_id"])
                teams = known.groups if known is not None else frozenset[str]()
                found[row["agent_id"]] = _candidate(row, teams | {group_id})
    return _Free(agents=list(found.values()), whole=whole)


def _candidate(found: Row, teams: frozenset[str]) -> Candidate:
    return Candidate(
        agent_id=found["agent_id"],
        groups=teams,
        capabilities=frozenset(found["capabilities"]) | frozenset(found["agent_capabilities"]),
        load=found["load"],
        max_concurrency=found["max_concurrency"],
        idle_since=found["idle_since"],
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
    to be claimed, who offers them is woken. What it costs depends on how many tasks wait, not on
    how many agents are there: a few agents are looked at, and more only where those will not do.
    """
    with_work = tx.rows(_WITH_WORK, now=tx.now)
    if _of_policy(with_work, DispatchPolicy.CLAIM):
        tx.wake(leases.OFFERS)
    granted, most = 0, _FEW
    while hiring := _of_policy(with_work, DispatchPolicy.ASSIGN):
        free = _free(tx, node_id, hiring, most, lock=True)
        count = _lease_to(tx, free.agents, hiring, lease_ms)
        granted += count
        if free.whole and count in {0, free.room}:
            break
        most *= _MORE
        with_work = tx.rows(_WITH_WORK, now=tx.now)
    return granted


def _lease_to(
    tx: Tx, free: Sequence[Candidate], projects_with_work: Sequence[Row], lease_ms: int
) -> int:
    page = {task["id"]: task for task in _first(tx, projects_with_work, free, lock=True)}
    pairs = list(match([_wanted(task) for task in page.values()], free))
    leases.grant_locked(tx, [(page[task], agent) for task, agent in pairs], lease_ms)
    return len(pairs)


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
    found = _free(tx, node_id, projects_with_work, _ALL)
    free = found.agents
    page = _first(tx, projects_with_work, free, min(_PAGE, passed + _SPARE + found.room))

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
