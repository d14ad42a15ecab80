"""Where the model's attempts go on and end: by their agent, by their lease, by their deadline."""

from typing import Any

from nexus.domain.errors import InvalidTransition, LeaseLost, NotFound
from oblivion.protocol import EventType, TaskStatus, TaskUpdate
from traces.model import events, sessions
from traces.model.state import Model, ModelTask

RELEASE_PAUSE_MS = 1_000


def update(model: Model, agent: str, session_id: str, wish: TaskUpdate) -> dict[str, Any]:
    """Carry out what the holder says about its attempt."""
    sessions.require_ready(model, agent, session_id)
    return {"acknowledged": True, "task": update_as_holder(model, agent, wish)}


def update_as_holder(model: Model, agent: str, wish: TaskUpdate) -> dict[str, Any]:
    """Carry out what an agent says, with or without a session."""
    task = _required(model, agent, wish)
    match wish.status:
        case TaskStatus.CLAIMED | TaskStatus.CANCELLED:
            raise InvalidTransition(wish.status)
        case TaskStatus.IN_PROGRESS | TaskStatus.BLOCKED_ON_HUMAN:
            task.status = wish.status
        case TaskStatus.FAILED:
            fail(model, task, pause=True, final=wish.retry is False)
        case TaskStatus.TODO:
            free(model, task, model.now + RELEASE_PAUSE_MS)
        case TaskStatus.DONE:
            finish(model, task, TaskStatus.DONE)
    return {"id": task.id, "status": task.status, "attempt": wish.attempt}


def _required(model: Model, agent: str, wish: TaskUpdate) -> ModelTask:
    task = model.tasks.get(wish.task_id)
    if task is None:
        raise NotFound(wish.task_id)
    if task.holder != agent:
        model.visible(agent, wish.task_id)
    if not task.held or (task.holder, task.attempt) != (agent, wish.attempt):
        raise LeaseLost(wish.task_id)
    return task


def start(model: Model, agent: str, task_id: str) -> None:
    """Move a claimed task of the agent to IN_PROGRESS; pass over any other."""
    task = model.tasks[task_id]
    if task.holder == agent and task.status is TaskStatus.CLAIMED:
        task.status = TaskStatus.IN_PROGRESS


def let_go(model: Model, task: ModelTask) -> None:
    """End the lease; whoever held it is idle from now on."""
    task.lease = task.deadline = None
    session = model.agents[task.holder].session if task.holder else None
    if session is not None:
        session.idle_since = model.now


def free(model: Model, task: ModelTask, not_before: int, slack: int = 0) -> None:
    """Have the task wait for its next attempt."""
    let_go(model, task)
    task.status, task.holder, task.claimed_at = TaskStatus.TODO, None, None
    task.not_before, task.slack = not_before, slack


def finish(model: Model, task: ModelTask, status: TaskStatus) -> None:
    """Let the task end; it still names who ended it."""
    let_go(model, task)
    task.status, task.finished_at = status, model.now


def fail(model: Model, task: ModelTask, *, pause: bool, final: bool = False) -> None:
    """End the attempt: 1 s, 2 s, 4 s ... of rest and a quarter by chance, or FAILED."""
    plain = min(1000 * 2**task.used, 60_000) if pause else 0
    task.used += 1
    if final or task.used >= task.max_attempts:
        finish(model, task, TaskStatus.FAILED)
    else:
        free(model, task, model.now + plain, plain // 4)


def expire(model: Model) -> int:
    """End what has run out: a lost agent's task waits at once, a late one rests first."""
    lost = [t for t in model.tasks.values() if t.held and (t.lease or 0) <= model.now]
    late = [
        t
        for t in model.tasks.values()
        if t.held and t not in lost and t.deadline is not None and t.deadline <= model.now
    ]
    for task in (*lost, *late):
        holder = task.holder or ""
        fail(model, task, pause=task in late)
        events.tell_of_attempt(model, holder, EventType.TASK_CANCELLED, task)
    return len(lost) + len(late)
