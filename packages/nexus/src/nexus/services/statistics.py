"""Where the numbers are taken that show a tenant or a project at a glance."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from nexus.services import agents, projects, tasks
from nexus.services.resources import AgentCounts, ProjectStats, Stats, TaskCounts
from nexus.store import schema
from nexus.store.tx import Tx
from oblivion.protocol import TaskStatus


def of_tenant(tx: Tx, tenant_id: str) -> Stats:
    """Return how many agents, tasks, open groups and open projects a tenant has."""
    total, online = agents.counts(tx, tenant_id)
    return Stats(
        agents=AgentCounts(total=total, online=online),
        tasks=of_tasks(tx, tenant_id),
        groups=_open(tx, schema.groups, tenant_id),
        projects=_open(tx, schema.projects, tenant_id),
    )


def of_project(tx: Tx, tenant_id: str, project_id: str) -> ProjectStats:
    """Return how far the tasks of one of the tenant's projects are.

    Raises:
        NotFound: there is no such project.
    """
    own_id = projects.row(tx, tenant_id, project_id)["id"]
    return ProjectStats(project_id=own_id, tasks=of_tasks(tx, tenant_id, own_id))


def of_tasks(tx: Tx, tenant_id: str, project_id: str | None = None) -> TaskCounts:
    """Return how many tasks stand where, in a tenant or in one of its projects."""
    return _counted(tasks.counts(tx, tenant_id, project_id))


def of_projects(tx: Tx, project_ids: Sequence[str]) -> dict[str, TaskCounts]:
    """Return how many tasks of each project stand where; for callers that know they are seen."""
    table = schema.tasks
    found: dict[str, dict[TaskStatus, int]] = {project_id: {} for project_id in project_ids}
    query = (
        sa.select(table.c.project_id, table.c.status, sa.func.count().label("number"))
        .where(table.c.project_id.in_(project_ids))
        .group_by(table.c.project_id, table.c.status)
    )
    for row in tx.rows(query):
        found[row["project_id"]][TaskStatus(row["status"])] = row["number"]
    return {project_id: _counted(counts) for project_id, counts in found.items()}


def _counted(counts: Mapping[TaskStatus, int]) -> TaskCounts:
    return TaskCounts(
        todo=counts.get(TaskStatus.TODO, 0),
        claimed=counts.get(TaskStatus.CLAIMED, 0),
        in_progress=counts.get(TaskStatus.IN_PROGRESS, 0),
        blocked=counts.get(TaskStatus.BLOCKED_ON_HUMAN, 0),
        done=counts.get(TaskStatus.DONE, 0),
        failed=counts.get(TaskStatus.FAILED, 0),
        cancelled=counts.get(TaskStatus.CANCELLED, 0),
    )


def of_groups(tx: Tx, group_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return how many agents and open projects each group has."""
    members, work = schema.group_members, schema.projects
    agents_in = _numbers(tx, members.c.group_id, members.c.group_id.in_(group_ids))
    of_them = work.c.group_id.in_(group_ids) & work.c.archived_at.is_(None)
    projects_in = _numbers(tx, work.c.group_id, of_them)
    return {id_: (agents_in.get(id_, 0), projects_in.get(id_, 0)) for id_ in group_ids}


def _numbers(tx: Tx, by: sa.Column[Any], where: sa.ColumnElement[bool]) -> dict[str, int]:
    query = sa.select(by.label("of"), sa.func.count().label("number")).where(where).group_by(by)
    return {row["of"]: row["number"] for row in tx.rows(query)}


def of_agents(tx: Tx, tenant_id: str) -> dict[str, int]:
    """Return how many of the connected agents say of themselves that they are what."""
    sessions = schema.sessions
    query = (
        sa.select(sessions.c.status, sa.func.count().label("number"))
        .join_from(sessions, schema.agents)
        .where(schema.agents.c.tenant_id == tenant_id, sessions.c.closed_at.is_(None))
        .group_by(sessions.c.status)
    )
    return {found["status"] or "connected": found["number"] for found in tx.rows(query)}


def _open(tx: Tx, table: sa.Table, tenant_id: str) -> int:
    mine = (table.c.tenant_id == tenant_id) & table.c.archived_at.is_(None)
    number: int = tx.scalar(sa.select(sa.func.count()).select_from(table).where(mine))
    return number
