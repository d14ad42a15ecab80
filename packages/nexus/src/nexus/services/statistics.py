"""Where the numbers are taken that show a tenant or a project at a glance."""

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
    counts = tasks.counts(tx, tenant_id, project_id)
    return TaskCounts(
        todo=counts[TaskStatus.TODO],
        claimed=counts[TaskStatus.CLAIMED],
        in_progress=counts[TaskStatus.IN_PROGRESS],
        blocked=counts[TaskStatus.BLOCKED_ON_HUMAN],
        done=counts[TaskStatus.DONE],
        failed=counts[TaskStatus.FAILED],
        cancelled=counts[TaskStatus.CANCELLED],
    )


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
