"""Where tasks are made, found, and moved by people."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import orjson
import sqlalchemy as sa
from pydantic import Field

from nexus.domain.errors import Conflict, InvalidTransition, NotFound
from nexus.domain.principal import Principal
from nexus.domain.tasks import check_person_move
from nexus.services import activity, attempts, dispatch, events, leases, projects, sessions, views
from nexus.services.command import Capabilities, Command, Edit, Line, Metadata, Ref, Text
from nexus.store.ids import new_id
from nexus.store.schema import tasks
from nexus.store.tx import Row, Tx
from nexus.telemetry import traces
from oblivion.protocol import (
    FINAL_STATUSES,
    HELD_STATUSES,
    CancelReason,
    Task,
    TaskStatus,
    TaskSummary,
    TaskUpdate,
)

_AVAILABLE = 200

Priority = Annotated[int, Field(strict=True, ge=1, le=4)]
"""1 urgent, 2 high, 3 normal, 4 low."""

Attempts = Annotated[int, Field(strict=True, ge=1, le=100)]
Timeout = Annotated[int, Field(strict=True, ge=1, le=7 * 24 * 3600)]
"""Seconds, at most a week."""


class CreateTask(Command):
    """A new unit of work; ``timeout_seconds`` bounds each attempt."""

    project_id: Ref
    title: Line
    description: Text = ""
    priority: Priority = 3
    required_capabilities: Capabilities = Field(default_factory=list)
    max_attempts: Attempts = 3
    timeout_seconds: Timeout | None = None
    metadata: Metadata = Field(default_factory=dict)


class EditTask(Edit):
    """What a person may change of a task that has not ended."""

    may_be_empty: ClassVar = frozenset({"timeout_seconds"})

    title: Line | None = None
    description: Text | None = None
    priority: Priority | None = None
    required_capabilities: Capabilities | None = None
    max_attempts: Attempts | None = None
    timeout_seconds: Timeout | None = None
    metadata: Metadata | None = None


class Reason(Command):
    """Why a person does something."""

    reason: Text | None = None


class SetStatus(Command):
    """A move of a task over HTTP, by its holder or by an admin."""

    status: TaskStatus
    result: Any = None
    error: Text | None = None
    message: Text | None = None


_FRESH: dict[str, Any] = {
    "status": TaskStatus.TODO,
    "source": "nexus",
    "attempt": 0,
    "attempts_used": 0,
}
"""Where a task stands that nobody has begun."""

_EMPTY: dict[str, Any] = dict.fromkeys(
    (
        *("source_id", "source_url", "slack_channel_id", "slack_thread_ts"),
        *("holder_agent_id", "claimed_at", "lease_expires_at", "deadline_at"),
        *("progress", "result", "error", "finished_at"),
    )
)
"""What such a task has not: shown, but left to the database, for which to be told takes time."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a task comes from: the service, and how that names and shows it."""

    source: str
    source_id: str
    source_url: str | None = None


def create(
    tx: Tx,
    caller: Principal,
    wish: CreateTask,
    origin: Origin | None = None,
    *,
    traceparent: str | None = None,
) -> Task:
    """Store a task; from then on it is never lost.

    ``traceparent`` is the trace that the caller wants it in; one that is none is passed over.

    Raises:
        NotFound: no such project in the caller's tenant.
        Conflict: the project is archived.
        Invalid: the task is too large to be sent to an agent.
    """
    project = projects.row(tx, caller.tenant_id, wish.project_id)
    if project["archived_at"] is not None:
        raise Conflict(f"project {project['name']} is archived; it takes no new tasks")
    stored = {
        **_FRESH,
        **wish.model_dump(),
        **({} if origin is None else vars(origin)),
        "id": new_id(),
        "tenant_id": caller.tenant_id,
        "project_id": project["id"],
        "group_id": project["group_id"],
        "not_before": tx.now,
        "created_at": tx.now,
        "updated_at": tx.now,
    }
    names = {"project_name": project["name"], "group_name": project["group_name"]}
    task = {**_EMPTY, **stored, **names}
    _refuse_oversize(task)
    stored["traceparent"] = traces.begin(traceparent, _told(stored))
    tx.insert(tasks, stored)
    activity.record(tx, caller.tenant_id, "task_created", task=task, by=caller.client_id)
    tx.wake(leases.DISPATCH)
    return views.task(task)


def _told(task: Row) -> dict[str, str]:
    return {"gen_ai.conversation.id": task["id"], "oblivion.task.source": task["source"]}


def _refuse_oversize(task: Row) -> None:
    said = len(task["title"]) + len(task["description"]) + len(orjson.dumps(task["metadata"]))
    if said > events.SURELY_FITS:
        events.refuse_oversize(views.assignment(task))


def find(
    tx: Tx, caller: Principal, task_id: str, *, by_source: bool = True, lock: bool = False
) -> Row:
    """Return a task that the caller may see, by its own id or the id its source gave it.

    With ``lock`` others wait to change it until the commit.

    Raises:
        NotFound: there is none; another tenant's or another group's tasks count as none.
    """
    query = views.select_tasks().where(tasks.c.tenant_id == caller.tenant_id)
    if caller.agent_id is not None:
        query = query.where(tasks.c.group_id.in_(leases.groups_of(caller.agent_id)))
    if lock:
        query = query.with_for_update(of=tasks)
    found = tx.one(query.where(tasks.c.id == task_id))
    if found is None and by_source:
        found = tx.one(query.where(tasks.c.source_id == task_id).limit(1))
    if found is None:
        raise NotFound(f"there is no task {task_id}")
    return found


def of_source(tx: Tx, tenant_id: str, source: str, source_id: str) -> Row | None:
    """Return the task that a service's thing has become."""
    named = (tasks.c.source == source) & (tasks.c.source_id == source_id)
    return tx.one(views.select_tasks().where(tasks.c.tenant_id == tenant_id, named))


def show(tx: Tx, caller: Principal, task_id: str, *, by_source: bool = True) -> Task:
    """Return a task that the caller may see."""
    return views.task(find(tx, caller, task_id, by_source=by_source))


def available(tx: Tx, agent_id: str) -> list[TaskSummary]:
    """Return what waits in the agent's groups and it could do, by priority, then age.

    At most 200.
    """
    mine = dispatch.waiting(tx).where(tasks.c.group_id.in_(leases.groups_of(agent_id)))
    fitting = dispatch.only_fitting(tx, mine, [sessions.capabilities(tx, agent_id)])
    return [views.summary(row) for row in tx.rows(fitting.limit(_AVAILABLE))]


def claimed(tx: Tx, agent_id: str) -> list[TaskSummary]:
    """Return the open tasks that the agent holds, by priority, then age."""
    query = views.select_tasks().where(leases.held_by(agent_id))
    rows = tx.rows(query.order_by(tasks.c.priority, tasks.c.created_at, tasks.c.id))
    return [views.summary(row) for row in rows]


class TaskFilter(Command):
    """Which tasks to list; ``cursor`` continues below the task with that id."""

    status: TaskStatus | None = None
    project_id: str | None = None
    agent_id: str | None = None
    priority: int | None = Field(default=None, ge=1, le=4)
    text: str | None = Field(default=None, max_length=200)
    """Stands in the title, in small letters or capitals, or is the source's id."""
    cursor: str | None = None
    limit: int = Field(default=50, ge=1, le=200)


def search(tx: Tx, tenant_id: str, wanted: TaskFilter) -> Sequence[Row]:
    """Return the tenant's tasks, newest first; one more than the limit when there are more."""
    query = views.select_tasks().where(tasks.c.tenant_id == tenant_id)
    if wanted.status is not None:
        query = query.where(tasks.c.status == wanted.status)
    if wanted.project_id is not None:
        query = query.where(tasks.c.project_id == wanted.project_id)
    if wanted.agent_id is not None:
        query = query.where(tasks.c.holder_agent_id == wanted.agent_id)
    if wanted.priority is not None:
        query = query.where(tasks.c.priority == wanted.priority)
    if wanted.text is not None:
        in_title = tasks.c.title.icontains(wanted.text, autoescape=True)
        query = query.where(in_title | (tasks.c.source_id == wanted.text))
    if wanted.cursor is not None:
        query = query.where(tasks.c.id < wanted.cursor)
    return tx.rows(query.order_by(tasks.c.id.desc()).limit(wanted.limit + 1))


def counts(tx: Tx, tenant_id: str, project_id: str | None = None) -> dict[TaskStatus, int]:
    """Return how many tasks stand where, of a tenant or one of its projects."""
    query = sa.select(tasks.c.status, sa.func.count().label("number")).where(
        tasks.c.tenant_id == tenant_id
    )
    if project_id is not None:
        query = query.where(tasks.c.project_id == project_id)
    found = {row["status"]: row["number"] for row in tx.rows(query.group_by(tasks.c.status))}
    return {status: found.get(status, 0) for status in TaskStatus}


def edit(tx: Tx, caller: Principal, task_id: str, wish: EditTask) -> Task:
    """Change a task's description, never where it stands.

    Raises:
        NotFound: no such task.
        Conflict: the task has ended.
    """
    task = find(tx, caller, task_id, lock=True)
    if task["status"] in FINAL_STATUSES:
        raise Conflict(f"the task has ended {task['status']}; it cannot be edited")
    changes = wish.changes()
    if not changes:
        return views.task(task)
    after = attempts.move(tx, task, changes)
    _refuse_oversize(after)
    activity.record(
        tx,
        caller.tenant_id,
        "task_edited",
        task=after,
        by=caller.client_id,
        fields=sorted(changes),
    )
    tx.wake(leases.DISPATCH)
    return views.task(after)


def set_status(tx: Tx, caller: Principal, task_id: str, wish: SetStatus) -> Task:
    """Move a task as an admin; whoever held it is told when it is taken away.

    Raises:
        NotFound: no such task.
        InvalidTransition: a person cannot move it there.
    """
    task = find(tx, caller, task_id, lock=True)
    check_person_move(TaskStatus(task["status"]), wish.status)
    if wish.status is TaskStatus.IN_PROGRESS and attempts.waits_for_approval(tx, task):
        raise InvalidTransition("a tool call of the task waits for approval; decide about that")
    after = attempts.move(tx, task, _person_values(tx, task, wish))
    taken_away = task["status"] in HELD_STATUSES and wish.status not in HELD_STATUSES
    if taken_away:
        attempts.tell_cancelled(tx, task, CancelReason.CANCELLED)
        attempts.free_slot(tx, task)
    activity.record(
        tx,
        caller.tenant_id,
        _VERBS.get(wish.status, "task_moved"),
        agent_id=task["holder_agent_id"],
        task=after,
        by=caller.client_id,
        status=wish.status,
        reason=wish.message or wish.error,
    )
    tx.wake(leases.DISPATCH)
    return views.task(after)


_VERBS = {
    TaskStatus.TODO: "task_retried",
    TaskStatus.CANCELLED: "task_cancelled",
    TaskStatus.DONE: "task_done",
    TaskStatus.FAILED: "task_failed",
}


def _person_values(tx: Tx, task: Row, wish: SetStatus) -> dict[str, Any]:
    values: dict[str, Any] = {"status": wish.status}
    if wish.status in HELD_STATUSES:
        return values | attempts.asking(task, asks=wish.status is TaskStatus.BLOCKED_ON_HUMAN)
    values |= {"lease_expires_at": None, "deadline_at": None}
    if wish.status is TaskStatus.TODO:
        return values | {
            "attempts_used": 0,
            "holder_agent_id": None,
            "claimed_at": None,
            "not_before": tx.now,
            "finished_at": None,
            "progress": None,
        }
    return values | {
        "finished_at": tx.now,
        "result": wish.result,
        "error": wish.error or (wish.message if wish.status is not TaskStatus.DONE else None),
    }


def cancel(tx: Tx, caller: Principal, task_id: str, wish: Reason) -> Task:
    """End a task for good; a running handler is cancelled."""
    return set_status(
        tx, caller, task_id, SetStatus(status=TaskStatus.CANCELLED, message=wish.reason)
    )


def retry(tx: Tx, caller: Principal, task_id: str) -> Task:
    """Give a task that failed or was cancelled a fresh set of attempts."""
    return set_status(tx, caller, task_id, SetStatus(status=TaskStatus.TODO))


def set_status_as_holder(tx: Tx, agent_id: str, task: Row, wish: SetStatus) -> Task:
    """Move a task as the agent that holds it, over HTTP, where the attempt is the current one."""
    update = TaskUpdate(
        task_id=task["id"], attempt=max(task["attempt"], 1), **wish.model_dump(exclude_unset=True)
    )
    attempts.update(tx, agent_id, update)
    return views.task(views.task_row(tx, task["id"]))
