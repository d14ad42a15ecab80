"""Where one task is shown: how it stands, what was said about it, and its whole life to scale."""

from dataclasses import dataclass

from starlette.responses import Response

from nexus.domain.principal import Principal
from nexus.domain.tool_calls import CallState
from nexus.observer.feed import Sentence, sentences
from nexus.observer.task_pages import names_of
from nexus.observer.timeline import Timeline, draw
from nexus.observer.visit import Visit
from nexus.services import activity, events, tasks, threads, tool_calls, views
from nexus.services.resources import ToolCall
from nexus.store.tx import Row, Tx
from oblivion.protocol import FINAL_STATUSES, EventType, Task, ThreadMessage

_MESSAGES = 500
_ENTRIES = 500
_CALLS = 100
_HOLDERS = 5
_STEPS = {
    EventType.TASK_ASSIGNED: (("assignment_sent", "sent_at"), ("assignment_heard", "acked_at")),
    EventType.CONTEXT_UPDATE: (("message_heard", "acked_at"),),
}
"""What is shown of an event's way to its agent, and where it is kept when that was."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A task with all that happened to it."""

    task: Task
    holder: str | None
    timeout_seconds: int | None
    messages: list[ThreadMessage]
    has_more: bool
    timeline: Timeline
    entries: list[Sentence]
    calls: list[ToolCall]
    waiting: list[ToolCall]

    @property
    def has_ended(self) -> bool:
        """Whether nothing moves it but a person."""
        return self.task.status in FINAL_STATUSES


async def page(visit: Visit) -> Response:
    """Show a task, by its own id or its source's."""
    task_id = visit.names["task_id"]
    shown = await visit.read(lambda tx, caller: _shown(tx, caller, task_id))
    return visit.page("task.html", shown=shown)


def _shown(tx: Tx, caller: Principal, task_id: str) -> Shown:
    row = tasks.find(tx, caller, task_id)
    thread = threads.page(tx, row["id"], limit=_MESSAGES, after=0)
    calls = tool_calls.of_task(tx, row["id"], limit=_CALLS)
    entries = _trace(tx, row["id"])
    return Shown(
        task=views.task(row),
        holder=names_of(tx, [row]).get(row["holder_agent_id"]),
        timeout_seconds=row["timeout_seconds"],
        messages=thread.messages,
        has_more=thread.has_more,
        timeline=draw(entries, row["created_at"], tx.now, calls),
        entries=sentences(tx, entries),
        calls=[tool_calls.view(call) for call in calls],
        waiting=[
            tool_calls.view(call, exact=caller.is_admin)
            for call in calls
            if call["state"] == CallState.PENDING_APPROVAL
        ],
    )


def _trace(tx: Tx, task_id: str) -> list[Row]:
    """Return what happened to a task, and when agents were sent word of it and had it."""
    happened = activity.of_task(tx, task_id, limit=_ENTRIES)
    holders = {one["agent_id"] for one in happened if one["type"] == "task_assigned"}
    steps = [
        {"at": event[moment], "type": step, "agent_id": event["agent_id"]}
        for agent_id in sorted(holders)[:_HOLDERS]
        for event in events.heard(tx, agent_id, task_id)
        for step, moment in _STEPS.get(event["type"], ())
        if event[moment] is not None
    ]
    told = [
        {"id": -number, "task_id": task_id, "data": {}, **step}
        for number, step in enumerate(steps, start=1)
    ]
    return sorted([*happened, *told], key=lambda one: int(one["at"]))
