"""Where the model's people move tasks and speak."""

from collections.abc import Collection

from nexus.domain.errors import Conflict, InvalidTransition
from nexus.services.tasks import EditTask, SetStatus
from oblivion.protocol import HELD_STATUSES, EventType, TaskStatus
from traces.model import attempts, events
from traces.model.state import Model, ModelTask


def set_status(model: Model, task: ModelTask, wish: SetStatus) -> None:
    """Move a task as a person; whoever held it is told when it is taken away."""
    _refuse_move(task, wish.status)
    if wish.status in HELD_STATUSES:
        task.status = wish.status
        return
    holder = task.holder if task.held else None
    if holder is not None:
        attempts.let_go(model, task)
    task.lease = task.deadline = None
    task.status, task.finished_at = wish.status, model.now
    if wish.status is TaskStatus.TODO:
        task.holder = task.claimed_at = task.finished_at = None
        task.used, task.not_before = 0, model.now
    if holder is not None:
        events.tell_of_attempt(model, holder, EventType.TASK_CANCELLED, task)


def _refuse_move(task: ModelTask, wanted: TaskStatus) -> None:
    if task.final and (wanted is not TaskStatus.TODO or task.status is TaskStatus.DONE):
        raise InvalidTransition("ended")
    if wanted is TaskStatus.CLAIMED:
        raise InvalidTransition("only agents claim")
    if wanted in HELD_STATUSES and not task.held:
        raise InvalidTransition("nobody holds it")


def edit(task: ModelTask, wish: EditTask) -> None:
    """Change what a task is, as long as it has not ended."""
    if task.final:
        raise Conflict("ended")
    task.priority = wish.priority or task.priority
    task.max_attempts = wish.max_attempts or task.max_attempts
    task.needs = frozenset(wish.required_capabilities or ())
    task.timeout = wish.timeout_seconds


def correct(model: Model, author: str, task: ModelTask) -> bool:
    """Change what is said already: the holder is told, nothing goes on, nobody is woken."""
    if task.held and task.holder is not None and task.holder != author:
        events.tell(model, task.holder, EventType.CONTEXT_UPDATE, task)
    return True


def post(model: Model, author: str | None, task: ModelTask, mentions: Collection[str]) -> None:
    """Say something in a task's thread; without an author it is a person who does."""
    if author is None and task.status is TaskStatus.BLOCKED_ON_HUMAN:
        task.status = TaskStatus.IN_PROGRESS
    if task.held and task.holder is not None and task.holder != author:
        events.tell(model, task.holder, EventType.CONTEXT_UPDATE, task)
    for agent in model.agents.values():
        called = agent.name in mentions or ("nexus" in mentions and agent.id == task.holder)
        if called and task.group in agent.groups and agent.id != author:
            events.tell(model, agent.id, EventType.WAKE_UP, task)
