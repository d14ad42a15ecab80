"""Where rows become what the wire shows."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from nexus.domain.errors import NotFound
from nexus.store.schema import groups, projects, tasks
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx
from oblivion.protocol import Task, TaskAssignedPayload, TaskAvailablePayload, TaskSummary

TASK_COLUMNS = (
    tasks,
    projects.c.name.label("project_name"),
    projects.c.dispatch_policy,
    projects.c.archived_at.label("project_archived_at"),
    groups.c.name.label("group_name"),
    groups.c.archived_at.label("group_archived_at"),
)


@lru_cache(maxsize=4096)
def moment(milliseconds: int) -> datetime:
    """Return epoch milliseconds as a UTC datetime."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def milliseconds(moment: datetime) -> int:
    """Return a datetime that knows its zone as epoch milliseconds."""
    return round(moment.timestamp() * 1000)


def moment_or_none(milliseconds: int | None) -> datetime | None:
    """Return epoch milliseconds as a UTC datetime; None stays None."""
    return None if milliseconds is None else moment(milliseconds)


def select_tasks() -> sa.Select[Any]:
    """Return the query for task rows with the names of their project and group."""
    return (
        sa.select(*TASK_COLUMNS)
        .join_from(tasks, projects)
        .join(groups, groups.c.id == tasks.c.group_id)
    )


_TASK = Statement(
    select_tasks().where(tasks.c.id == sa.bindparam("task_id")).with_for_update(of=tasks)
)


def task_row(tx: Tx, task_id: str) -> Row:
    """Return one task row, whatever its tenant, and keep others from changing it meanwhile.

    For callers that already know that it may be seen.

    Raises:
        NotFound: there is none.
    """
    row = tx.one(_TASK, task_id=task_id)
    if row is None:
        raise NotFound(f"there is no task {task_id}")
    return row


def _shared(row: Row) -> dict[str, Any]:
    return {
        "title": row["title"],
        "description": row["description"],
        "priority": row["priority"],
        "project_id": row["project_id"],
        "project_name": row["project_name"],
        "group_id": row["group_id"],
        "group_name": row["group_name"],
        "clickup_task_id": row["source_id"] if row["source"] == "clickup" else None,
        "created_at": moment(row["created_at"]),
    }


def _detailed(row: Row) -> dict[str, Any]:
    return _shared(row) | {
        "required_capabilities": row["required_capabilities"],
        "source": row["source"],
        "source_url": row["source_url"],
        "slack_channel_id": row["slack_channel_id"],
        "slack_thread_ts": row["slack_thread_ts"],
        "metadata": row["metadata"],
    }


def task(row: Row) -> Task:
    """Return a task as HTTP shows it."""
    return Task(
        id=row["id"],
        status=row["status"],
        claimed_by_agent_id=row["holder_agent_id"],
        claimed_at=moment_or_none(row["claimed_at"]),
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        lease_expires_at=moment_or_none(row["lease_expires_at"]),
        progress=row["progress"],
        result=row["result"],
        error=row["error"],
        updated_at=moment(row["updated_at"]),
        **_detailed(row),
    )


def summary(row: Row) -> TaskSummary:
    """Return a task as the lists for agents show it."""
    return TaskSummary(task_id=row["id"], **_shared(row))


def offer(row: Row) -> TaskAvailablePayload:
    """Return a waiting task as it is offered to agents."""
    return TaskAvailablePayload(task_id=row["id"], **_detailed(row))


def assignment(row: Row) -> TaskAssignedPayload:
    """Return a leased task as its new holder is told of it."""
    return TaskAssignedPayload(
        task_id=row["id"],
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        lease_expires_at=moment_or_none(row["lease_expires_at"]),
        deadline=moment_or_none(row["deadline_at"]),
        assigned_at=moment_or_none(row["claimed_at"]),
        last_error=row["error"],
        **_detailed(row),
    )
