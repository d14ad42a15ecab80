"""Where people decide about calls of tools: asked for, approved or denied once, bound to the call.

An approval is a call that is ``pending_approval``; its id is the call's. What is approved is the
hash of exactly this call, which is looked at again before the call is made.
"""

from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa

from nexus.domain.errors import Conflict, NotFound
from nexus.domain.tool_calls import CallState, params_hash
from nexus.domain.tool_policy import KnownRule
from nexus.services import activity, attempts, events, tool_calls, views
from nexus.services.command import Command, Text
from nexus.store.schema import is_held, tasks
from nexus.store.statement import Statement
from nexus.store.tool_tables import tool_calls as table
from nexus.store.tx import Row, Tx
from oblivion.protocol import EventType, ToolWaitingPayload

_HELD = Statement(
    views.select_tasks()
    .where(
        tasks.c.id == sa.bindparam("task_id"),
        tasks.c.attempt == sa.bindparam("attempt"),
        tasks.c.holder_agent_id == sa.bindparam("agent_id"),
        is_held,
    )
    .with_for_update(of=tasks)
)


class Approve(Command):
    """A person approves a call; with ``params_hash`` only if that is still the call it saw."""

    reason: Text | None = None
    params_hash: str | None = None


class Deny(Command):
    """A person denies a call; the agent is told the reason."""

    reason: Text | None = None


def ask(tx: Tx, call: Row, rule: KnownRule) -> None:
    """Have a call wait for a person, at most as long as its rule says; its task shows that."""
    waits_ms = rule.rule.approval_seconds * 1000
    until = tx.now + waits_ms
    asked = {"state": CallState.PENDING_APPROVAL, "due_at": until, "rule": rule.label}
    tx.update(table, asked, id=call["id"])
    weigh(tx, call)
    if call["waits"] and call["by_event"]:
        told = ToolWaitingPayload(
            request_id=call["request_id"],
            approval_id=call["id"],
            expires_in_ms=waits_ms,
            expires_at=views.moment(tx.now) + timedelta(milliseconds=waits_ms),
        )
        events.tell(tx, call["agent_id"], EventType.TOOL_WAITING, told, events.of_call(call))
    _record(tx, call, "approval_requested", rule=rule.label, expires_at=until)
    tx.wake(tool_calls.topic(call["id"]))


def decide(
    tx: Tx, caller_name: str, approval_id: str, approve: bool, reason: str | None = None
) -> Row:
    """Let a person decide, once, about a call that waits; ``caller_name`` is kept with it.

    Who may decide, the caller has to see to. The call is made, or its agent told, right after.

    Raises:
        NotFound: there is no such call.
        Conflict: it does not wait for a decision (any more).
    """
    call = tool_calls.locked(tx, approval_id)
    if call is None:
        raise NotFound(f"there is no approval {approval_id}")
    if call["state"] != CallState.PENDING_APPROVAL:
        raise Conflict(_why_not(call))
    if call["due_at"] <= tx.now:
        raise Conflict("the time for a decision is over; the call was given up")
    hashed = params_hash(call["tool"], call["action"], call["params"]) if approve else None
    decided = {
        "state": CallState.DECIDED,
        "approved_hash": hashed,
        "decided_by": caller_name,
        "decided_at": tx.now,
        "reason": reason,
        "due_at": tx.now + call["timeout_ms"],
    }
    tx.update(table, decided, id=call["id"])
    weigh(tx, call)
    _record(tx, call, "approval_decided", approved=approve, by=caller_name, reason=reason)
    tx.wake(tool_calls.RUNNER)
    return {**call, **decided}


def _why_not(call: Row) -> str:
    if call["decided_by"] is None:
        return f"the call is {call['state']}; it does not wait for a decision"
    done = "denied" if call["approved_hash"] is None else "approved"
    return f"{call['decided_by']} has {done} the call already"


def decide_of(
    tx: Tx, tenant_id: str, caller_name: str, approval_id: str, wish: Approve | Deny
) -> Row:
    """Let a person of a tenant decide; see :func:`decide`.

    Raises:
        NotFound: the tenant has no such call.
        Conflict: it does not wait any more, or is not the one that the person saw.
    """
    call = tool_calls.row(tx, tenant_id, approval_id)
    seen = wish.params_hash if isinstance(wish, Approve) else None
    if seen not in {None, call["params_hash"]}:
        raise Conflict("this is not the call that you saw: its paramsHash differs")
    decide(tx, caller_name, approval_id, isinstance(wish, Approve), wish.reason)
    return tool_calls.row(tx, tenant_id, approval_id)


def pending(tx: Tx, tenant_id: str, *, limit: int, cursor: str | None) -> Sequence[Row]:
    """Return the calls that wait for a person, the oldest first; one more if there are more."""
    waiting = (table.c.tenant_id == tenant_id) & (table.c.state == CallState.PENDING_APPROVAL)
    query = tool_calls.select().where(waiting)
    if cursor is not None:
        query = query.where(table.c.id > cursor)
    return tx.rows(query.order_by(table.c.id).limit(limit + 1))


def count_pending(tx: Tx, tenant_id: str) -> int:
    """Return how many calls wait for a person."""
    waiting = (table.c.tenant_id == tenant_id) & (table.c.state == CallState.PENDING_APPROVAL)
    # With its constant written out, the partial index of open calls serves it.
    is_open = table.c.finished_at.is_(None)
    number: int = tx.scalar(sa.select(sa.func.count()).select_from(table).where(waiting, is_open))
    return number


def weigh(tx: Tx, call: Row) -> None:
    """Have the task that a call is made for wait for a person, or go on, by all that it waits for.

    For when the call has begun to wait for approval, or waits no more.
    """
    if call["attempt"] is None:
        return
    # Kept from others: of two decisions at once, one has to see that nothing waits any more.
    task = tx.one(
        _HELD, task_id=call["task_id"], attempt=call["attempt"], agent_id=call["agent_id"]
    )
    if task is not None:
        attempts.weigh(tx, task, f"{call['tool']}.{call['action']} waits for approval")


def task_of(tx: Tx, call: Row) -> Row | None:
    """Return the task that a call was made for, if it was, and is still there."""
    if call["task_id"] is None:
        return None
    return tx.one(views.select_tasks().where(tasks.c.id == call["task_id"]))


def _record(tx: Tx, call: Row, kind: str, **more: object) -> None:
    activity.record(
        tx,
        call["tenant_id"],
        kind,
        agent_id=call["agent_id"],
        task=task_of(tx, call),
        approval_id=call["id"],
        tool=call["tool"],
        action=call["action"],
        params_hash=call["params_hash"],
        **more,
    )
