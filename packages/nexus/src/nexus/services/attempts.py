"""Where an attempt at a task goes on and ends: by its agent, by its lease, by its deadline."""

import random
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from nexus.domain.backoff import retry_delay_ms
from nexus.domain.errors import LeaseLost
from nexus.domain.tasks import AttemptEnd, check_holder_move, end_attempt
from nexus.domain.tool_calls import CallState
from nexus.services import activity, events, leases, progress, sessions, views
from nexus.store.schema import is_held, is_waiting, tasks
from nexus.store.statement import Statement
from nexus.store.tool_tables import tool_calls
from nexus.store.tx import Row, Tx
from oblivion.protocol import (
    FINAL_STATUSES,
    HELD_STATUSES,
    CancelReason,
    EventType,
    TaskCancelledPayload,
    TaskPosition,
    TaskStatus,
    TaskUpdate,
    TaskUpdateAck,
)

RELEASE_PAUSE_MS = 1_000
"""How long a task rests that was handed back, so that it does not go round in circles."""

_TASK = Statement(
    sa.select(
        *(tasks.c.id, tasks.c.tenant_id, tasks.c.project_id, tasks.c.title),
        *(tasks.c.status, tasks.c.attempt, tasks.c.attempts_used, tasks.c.max_attempts),
        *(tasks.c.holder_agent_id, tasks.c.claimed_at, tasks.c.asking_attempt),
    )
    .where(tasks.c.id == sa.bindparam("task_id"))
    .with_for_update()
)
"""What a holder's word is judged by; the rest of the row would take twice as long to read."""
_CLAIMED = Statement(
    views.select_tasks()
    .where(
        tasks.c.id == sa.bindparam("task_id"),
        tasks.c.holder_agent_id == sa.bindparam("agent_id"),
        tasks.c.status == TaskStatus.CLAIMED,
    )
    .with_for_update(of=tasks)
)
_ENDING = (
    views.select_tasks()
    .where(is_held)
    .order_by(tasks.c.holder_agent_id)
    .limit(sa.bindparam("limit"))
    .with_for_update(of=tasks, skip_locked=True)
)
_UNDECIDED = Statement(
    sa.select(tool_calls.c.id)
    .where(
        tool_calls.c.task_id == sa.bindparam("task_id"),
        tool_calls.c.attempt == sa.bindparam("attempt"),
        tool_calls.c.state == CallState.PENDING_APPROVAL,
        tool_calls.c.finished_at.is_(None),
    )
    .limit(1)
)
_EXPIRED = Statement(_ENDING.where(tasks.c.lease_expires_at <= sa.bindparam("now")))
_LATE = Statement(_ENDING.where(tasks.c.deadline_at <= sa.bindparam("now")))

_LET_GO = {"lease_expires_at": None, "deadline_at": None}
_NOUNS = {
    TaskStatus.TODO: "task_released",
    TaskStatus.IN_PROGRESS: "task_started",
    TaskStatus.BLOCKED_ON_HUMAN: "task_blocked",
    TaskStatus.DONE: "task_done",
}


def move(tx: Tx, task: Row, values: dict[str, Any]) -> Row:
    """Change a task that is still as it was read, and return it as it is now.

    Raises:
        LeaseLost: the attempt ended in between.
    """
    changes = {"updated_at": tx.now, **values}
    as_read = {name: task[name] for name in ("id", "attempt", "status")}
    if not tx.update(tasks, changes, **as_read):
        raise LeaseLost(f"task {task['id']} has moved on from attempt {task['attempt']}")
    return {**task, **changes}


def free_slot(tx: Tx, task: Row) -> None:
    """Note that the holder of ``task`` has let go of it, and have the next task looked for."""
    if task["holder_agent_id"] is not None:
        sessions.mark_idle(tx, task["holder_agent_id"])
    tx.wake(leases.DISPATCH)


def require_lease(tx: Tx, agent_id: str, task_id: str, attempt: int) -> Row:
    """Return the task if the agent holds exactly this attempt of it.

    Raises:
        NotFound: there is no such task in the agent's groups.
        LeaseLost: the attempt is over, or was never this agent's.
    """
    task = tx.one(_TASK, task_id=task_id)
    if task is None or task["holder_agent_id"] != agent_id:
        task = leases.visible(tx, agent_id, task_id)
    held = (
        task["holder_agent_id"] == agent_id
        and task["attempt"] == attempt
        and task["status"] in HELD_STATUSES
    )
    if not held:
        raise LeaseLost(
            f"attempt {attempt} of task {task_id} is over: the task is {task['status']} "
            f"in attempt {task['attempt']}"
        )
    return task


def update(tx: Tx, agent_id: str, wish: TaskUpdate) -> TaskUpdateAck:
    """Carry out what the holder of a task says about it.

    Raises:
        LeaseLost: the attempt is over.
        InvalidTransition: the task cannot go there.
    """
    task = require_lease(tx, agent_id, wish.task_id, wish.attempt)
    check_holder_move(TaskStatus(task["status"]), wish.status)
    if wish.status is TaskStatus.FAILED:
        error = wish.error or wish.message or "the agent gave no reason"
        after = fail(tx, task, error, final=wish.retry is False)
    elif wish.status in {TaskStatus.IN_PROGRESS, TaskStatus.BLOCKED_ON_HUMAN}:
        after = _go_on(tx, task, wish)
    else:
        after = _let_go(tx, task, wish)
    return TaskUpdateAck(
        task=TaskPosition(id=after["id"], status=after["status"], attempt=wish.attempt)
    )


def _go_on(tx: Tx, task: Row, wish: TaskUpdate) -> Row:
    asks = wish.status is TaskStatus.BLOCKED_ON_HUMAN
    status = _blocked_or_not(asks or waits_for_approval(tx, task))
    values: dict[str, Any] = {"status": status, **asking(task, asks=asks)}
    if wish.progress is not None:
        values["progress"] = wish.progress
    after = move(tx, task, values)
    shown = progress.show(tx, task, wish)
    moved = task["status"] != status
    activity.record(
        tx,
        task["tenant_id"],
        _NOUNS[status] if moved else "task_progress",
        agent_id=task["holder_agent_id"],
        task=task,
        progress=wish.progress,
        message=wish.message,
        **({"message_id": shown} if shown else {}),
    )
    return after


def asking(task: Row, *, asks: bool) -> dict[str, Any]:
    """Return how it is kept whether the holder of ``task`` waits for a person's word."""
    return {"asking_attempt": task["attempt"] if asks else None}


def waits_for_approval(tx: Tx, task: Row) -> bool:
    """Say whether a held task is blocked on a call that a person has not decided about yet."""
    if task["status"] != TaskStatus.BLOCKED_ON_HUMAN:
        return False
    return _has_undecided(tx, task)


def _has_undecided(tx: Tx, task: Row) -> bool:
    return tx.one(_UNDECIDED, task_id=task["id"], attempt=task["attempt"]) is not None


def _blocked_or_not(waits: bool) -> TaskStatus:
    return TaskStatus.BLOCKED_ON_HUMAN if waits else TaskStatus.IN_PROGRESS


def weigh(tx: Tx, task: Row, why: str | None = None) -> None:
    """Have a held task be BLOCKED_ON_HUMAN while its holder asks or a call of it is undecided.

    For when a call begins or ceases to wait; ``why`` is what is said where that blocks the task.
    """
    asks = task["asking_attempt"] == task["attempt"]
    status = _blocked_or_not(asks or _has_undecided(tx, task))
    if status == task["status"]:
        return
    after = move(tx, task, {"status": status})
    holder = task["holder_agent_id"]
    said = why if status is TaskStatus.BLOCKED_ON_HUMAN else None
    activity.record(
        tx, task["tenant_id"], _NOUNS[status], agent_id=holder, task=after, message=said
    )


def _let_go(tx: Tx, task: Row, wish: TaskUpdate) -> Row:
    values: dict[str, Any] = {"status": wish.status, **_LET_GO}
    if wish.status is TaskStatus.DONE:
        values |= {"result": wish.result, "error": None, "progress": 1.0, "finished_at": tx.now}
    else:
        values |= {
            "holder_agent_id": None,
            "claimed_at": None,
            "not_before": tx.now + RELEASE_PAUSE_MS,
        }
    after = move(tx, task, values)
    activity.record(
        tx,
        task["tenant_id"],
        _NOUNS[wish.status],
        agent_id=task["holder_agent_id"],
        task=task,
        message=wish.message,
    )
    free_slot(tx, task)
    return after


def start(tx: Tx, agent_id: str, task_id: str) -> None:
    """Move a task that the agent has claimed to IN_PROGRESS; pass over any other."""
    task = tx.one(_CLAIMED, task_id=task_id, agent_id=agent_id)
    if task is not None:
        resume(tx, task)


def resume(tx: Tx, task: Row) -> None:
    """Move a held task to IN_PROGRESS: it begins, or a person answered what it was blocked on.

    While a call of it waits for approval it stays blocked, whatever people say in its thread.
    """
    wish = TaskUpdate(task_id=task["id"], attempt=task["attempt"], status=TaskStatus.IN_PROGRESS)
    _go_on(tx, task, wish)


def fail(tx: Tx, task: Row, error: str, *, final: bool = False) -> Row:
    """End the attempt with ``error``; the task is tried again after a pause, or has failed.

    ``final`` says that another attempt could not do better.
    """
    delay = retry_delay_ms(task["attempts_used"], random.random())
    return _end(tx, task, error, delay, final=final)


def _end(tx: Tx, task: Row, error: str, delay_ms: int, *, final: bool = False) -> Row:
    end = end_attempt(
        attempts_used=task["attempts_used"],
        max_attempts=0 if final else task["max_attempts"],
        retry_delay_ms=delay_ms,
    )
    after = move(tx, task, {"status": end.status, "error": error, **_LET_GO, **_after_end(tx, end)})
    failed = end.status in FINAL_STATUSES
    activity.record(
        tx,
        task["tenant_id"],
        "task_failed" if failed else "task_retrying",
        agent_id=task["holder_agent_id"],
        task=task,
        error=error,
        attempt=task["attempt"],
    )
    free_slot(tx, task)
    return after


def _after_end(tx: Tx, end: AttemptEnd) -> dict[str, Any]:
    if end.status in FINAL_STATUSES:
        return {"attempts_used": end.attempts_used, "finished_at": tx.now}
    return {
        "attempts_used": end.attempts_used,
        "holder_agent_id": None,
        "claimed_at": None,
        "not_before": tx.now + end.retry_delay_ms,
    }


def tell_cancelled(tx: Tx, task: Row, reason: CancelReason) -> None:
    """Tell the holder of ``task`` that it holds it no more."""
    payload = TaskCancelledPayload(task_id=task["id"], attempt=task["attempt"], reason=reason)
    holder, about = task["holder_agent_id"], events.of_task(task)
    events.tell(tx, holder, EventType.TASK_CANCELLED, payload, about)


def lose(tx: Tx, task: Row, error: str) -> None:
    """Take a lost agent's lease away; the task goes to another one at once."""
    _end(tx, task, error, 0)
    tell_cancelled(tx, task, CancelReason.LEASE_LOST)


def take_away(tx: Tx, task: Row, reason: str) -> Row:
    """Take the lease from an agent that may not work now; another one gets it, no attempt is used.

    The agent is told to stop.
    """
    values = {"status": TaskStatus.TODO, **_LET_GO, "holder_agent_id": None, "claimed_at": None}
    after = move(tx, task, {**values, "not_before": tx.now})
    activity.record(
        tx,
        task["tenant_id"],
        _NOUNS[TaskStatus.TODO],
        agent_id=task["holder_agent_id"],
        task=task,
        message=reason,
    )
    free_slot(tx, task)
    tell_cancelled(tx, task, CancelReason.STOPPED)
    return after


def orphan(tx: Tx, task: Row) -> None:
    """End an attempt whose process is gone; the agent's new process knows nothing of it."""
    _end(tx, task, "the agent was restarted while it held the task", 0)


def end_pauses(tx: Tx) -> int:
    """Have every task that rests taken up now; return how many there are."""
    tx.wake(leases.DISPATCH)
    resting = is_waiting & (tasks.c.not_before > tx.now)
    return tx.change(tasks.update().where(resting).values(not_before=tx.now))


def expire(tx: Tx, limit: int = 100) -> int:
    """End the attempts whose lease or deadline has passed; return how many."""
    lost = {task["id"]: task for task in tx.rows(_EXPIRED, now=tx.now, limit=limit)}
    late = {task["id"]: task for task in tx.rows(_LATE, now=tx.now, limit=limit)}
    # By agent, in which order all who tell several agents lock them.
    for task in sorted((late | lost).values(), key=itemgetter("holder_agent_id")):
        if task["id"] in lost:
            lose(tx, task, "the agent was lost: its lease ran out")
        else:
            fail(tx, task, f"the attempt took longer than {task['timeout_seconds']} s")
            tell_cancelled(tx, task, CancelReason.DEADLINE)
    return len(late | lost)
