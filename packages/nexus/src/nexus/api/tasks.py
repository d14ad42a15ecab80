"""Where agents reach tasks and their threads over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from nexus.api.answers import answer
from nexus.api.bodies import JsonRoute
from nexus.api.door import AgentDoor, OpenDoor, SpeakerDoor
from nexus.api.paging import Limit
from nexus.domain.principal import Principal
from nexus.services import leases, sessions, tasks, threads
from nexus.services.tasks import SetStatus
from nexus.services.threads import Reply
from nexus.store.tx import Tx
from oblivion.protocol import ClaimResult, Task, TaskSummary, ThreadPage, ThreadReplyAck

router = APIRouter(prefix="/tasks", tags=["tasks"], route_class=JsonRoute)

After = Annotated[
    str,
    Query(alias="cursor", pattern=r"^\d{1,18}$", description="`nextCursor` of the page before"),
]


@router.get("/available", response_model=list[TaskSummary])
async def list_available(door: AgentDoor) -> Response:
    """List what waits in the agent's groups, by priority, then age; at most 200."""
    return answer(await door.read(lambda tx, caller: tasks.available(tx, caller.require_agent())))


@router.get("/claimed", response_model=list[TaskSummary])
async def list_claimed(door: AgentDoor) -> Response:
    """List the open tasks that the agent holds, by priority, then age."""
    return answer(await door.read(lambda tx, caller: tasks.claimed(tx, caller.require_agent())))


@router.get("/by-id/{task_id}", response_model=Task)
async def show_task_by_id(door: OpenDoor, task_id: str) -> Response:
    """Show a task by its own id alone."""
    return answer(
        await door.read(lambda tx, caller: tasks.show(tx, caller, task_id, by_source=False))
    )


@router.get("/{task_id}", response_model=Task)
async def show_task(door: OpenDoor, task_id: str) -> Response:
    """Show a task by its own id or the id that its source gave it."""
    return answer(await door.read(lambda tx, caller: tasks.show(tx, caller, task_id)))


@router.post("/{task_id}/claim", response_model=ClaimResult)
async def claim_task(door: AgentDoor, task_id: str) -> Response:
    """Take the lease of a waiting task; 409 when somebody has it or the agent has no free slot."""
    lease_ms = door.platform.limits.lease_ms
    return await door.post(lambda tx, caller: _claim(tx, caller, task_id, lease_ms))


def _claim(tx: Tx, caller: Principal, task_id: str, lease_ms: int) -> ClaimResult:
    agent_id = caller.require_agent()
    own_id = tasks.find(tx, caller, task_id)["id"]
    slots = sessions.slots(tx, agent_id)
    return leases.claim(tx, agent_id, own_id, max_concurrency=slots, lease_ms=lease_ms)


@router.patch("/{task_id}/status", response_model=Task)
async def set_status(door: SpeakerDoor, task_id: str, wish: SetStatus) -> Response:
    """Move a task, as the agent that holds it or as an admin."""
    return answer(await door.write(lambda tx, caller: _set_status(tx, caller, task_id, wish)))


def _set_status(tx: Tx, caller: Principal, task_id: str, wish: SetStatus) -> Task:
    if caller.agent_id is None:
        return tasks.set_status(tx, caller, task_id, wish)
    task = tasks.find(tx, caller, task_id)
    return tasks.set_status_as_holder(tx, caller.agent_id, task, wish)


@router.post("/{task_id}/slack-reply", response_model=ThreadReplyAck)
async def reply_in_thread(door: SpeakerDoor, task_id: str, wish: Reply) -> Response:
    """Say something in the task's thread, with or without Slack."""
    return await door.post(lambda tx, caller: threads.reply(tx, caller, task_id, wish))


@router.get("/{task_id}/slack-thread", response_model=ThreadPage)
async def show_thread(
    door: OpenDoor, task_id: str, limit: Limit = 50, after: After = "0"
) -> Response:
    """Show the task's thread, oldest message first."""

    def read(tx: Tx, caller: Principal) -> ThreadPage:
        own_id = tasks.find(tx, caller, task_id)["id"]
        return threads.page(tx, own_id, limit=limit, after=int(after))

    return answer(await door.read(read))
