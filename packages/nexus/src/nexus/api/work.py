"""Where people make, find, change, cancel and retry tasks over HTTP, and speak in their threads."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from nexus.api.answers import answer
from nexus.api.bodies import JsonRoute
from nexus.api.door import AdminDoor, ViewerDoor
from nexus.api.paging import Page, page_of
from nexus.domain.principal import Principal
from nexus.services import agents, projects, statistics, tasks, threads, views
from nexus.services.resources import TaskCounts
from nexus.services.tasks import CreateTask, EditTask, Reason, TaskFilter
from nexus.services.threads import Say
from nexus.store.tx import Tx
from oblivion.protocol import Task, ThreadReplyAck

router = APIRouter(prefix="/observer/tasks", tags=["tasks of people"], route_class=JsonRoute)

Filter = Annotated[TaskFilter, Query()]


class TaskPage(Page[Task]):
    """Tasks, and how many stand where in the whole tenant."""

    counts: TaskCounts


@router.post("", status_code=201, response_model=Task)
async def create_task(door: AdminDoor, wish: CreateTask) -> Response:
    """Make a task; once this is answered it is never lost."""
    return await door.post(
        lambda tx, caller: tasks.create(tx, caller, wish, traceparent=door.traceparent),
        status=201,
        location="/tasks/{id}",
    )


@router.get("", response_model=TaskPage)
async def list_tasks(door: ViewerDoor, wanted: Filter) -> Response:
    """List tasks, newest first, with how many stand where."""
    return answer(await door.read(lambda tx, caller: _list(tx, caller, wanted)))


def _list(tx: Tx, caller: Principal, wanted: TaskFilter) -> TaskPage:
    rows = tasks.search(tx, caller.tenant_id, _resolved(tx, caller, wanted))
    page = page_of(rows, wanted.limit, lambda shown: [views.task(row) for row in shown])
    counts = statistics.of_tasks(tx, caller.tenant_id)
    return TaskPage(items=page.items, next_cursor=page.next_cursor, counts=counts)


def _resolved(tx: Tx, caller: Principal, wanted: TaskFilter) -> TaskFilter:
    """Put ids in the place of slugs and client ids."""
    ids = {}
    if wanted.project_id is not None:
        ids["project_id"] = projects.row(tx, caller.tenant_id, wanted.project_id)["id"]
    if wanted.agent_id is not None:
        ids["agent_id"] = agents.row(tx, caller.tenant_id, wanted.agent_id)["id"]
    return wanted.model_copy(update=ids)


@router.patch("/{task_id}", response_model=Task)
async def edit_task(door: AdminDoor, task_id: str, wish: EditTask) -> Response:
    """Change what a task says, never where it stands."""
    return answer(await door.write(lambda tx, caller: tasks.edit(tx, caller, task_id, wish)))


@router.post("/{task_id}/cancel", response_model=Task)
async def cancel_task(door: AdminDoor, task_id: str, wish: Reason | None = None) -> Response:
    """End a task for good; a running handler is cancelled."""
    return await door.post(lambda tx, caller: tasks.cancel(tx, caller, task_id, wish or Reason()))


@router.post("/{task_id}/retry", response_model=Task)
async def retry_task(door: AdminDoor, task_id: str) -> Response:
    """Give a task that failed or was cancelled a fresh set of attempts."""
    return await door.post(lambda tx, caller: tasks.retry(tx, caller, task_id))


@router.post("/{task_id}/messages", status_code=201, response_model=ThreadReplyAck)
async def speak(door: AdminDoor, task_id: str, wish: Say) -> Response:
    """Speak in a task's thread as a person; its agent hears it, a blocked task goes on."""
    return await door.post(
        lambda tx, caller: threads.say(tx, caller, task_id, wish),
        status=201,
    )
