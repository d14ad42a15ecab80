"""Where calls of tools are kept: taken in, answered by agents, looked up; ``tool_runs`` moves them.

Whoever asks or answers only stores a row here, as quickly as any other call of an agent. All that
takes time or knows secrets happens later, at the hands of the tool gateway's runner.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nexus.domain.errors import Conflict, Invalid, NotFound
from nexus.domain.redaction import summary
from nexus.domain.tool_calls import (
    DEFAULT_TIMEOUT_MS,
    FINAL_STATES,
    GRACE_MS,
    LOOKED_AFTER,
    CallState,
    params_hash,
)
from nexus.domain.tool_policy import Usage
from nexus.services import events, leases, sessions, views
from nexus.services.resources import ToolCall
from nexus.services.sessions import SessionRef
from nexus.store.ids import new_id
from nexus.store.schema import agents, is_held, tasks
from nexus.store.statement import Statement
from nexus.store.tool_tables import tool_calls
from nexus.store.tx import Row, Tx
from oblivion.protocol import (
    HELD_STATUSES,
    Acknowledged,
    EventType,
    ToolAccepted,
    ToolAnswer,
    ToolCode,
    ToolRequest,
    ToolResultPayload,
    trace_of,
)

RUNNER = "tools"
"""The topic that is woken when a call is to be looked after."""

LONGEST_TIMEOUT_MS = 3600 * 1000
_LONGEST_NAME = 128
_ADOPT_AFTER_MS = 2_000
"""After so long, other nodes take a call up that its own has left lying."""

_KNOWN = Statement(
    tool_calls.select().where(
        tool_calls.c.agent_id == sa.bindparam("agent_id"),
        tool_calls.c.request_id == sa.bindparam("request_id"),
    )
)
_LOCKED = Statement(
    tool_calls.select().where(tool_calls.c.id == sa.bindparam("call_id")).with_for_update()
)


def topic(call_id: str) -> str:
    """Return the topic that is woken when a call has ended, or waits for a person."""
    return f"tool_call:{call_id}"


def receive(
    tx: Tx,
    ref: SessionRef,
    wish: ToolRequest,
    *,
    by_event: bool = True,
    traceparent: str | None = None,
) -> ToolAccepted:
    """Store a call; what comes of it follows as the event ``tool_result``.

    A request that came before, by its id, is the same call: if that has ended, its result is told
    once more. Without ``by_event`` the caller waits for it and is not told. ``traceparent`` is the
    trace that the caller wants it in; without one it is in its task's.

    Raises:
        NotReady: the session has not announced itself, or has ended.
        Invalid: a name is too long.
        Conflict: the id came before with another request.
        NotFound: no such task in the agent's groups.
    """
    session = sessions.require_ready(tx, ref)
    _refuse_long_names(wish)
    hashed = params_hash(wish.tool, wish.action, wish.params)
    before = tx.one(_KNOWN, agent_id=ref.agent_id, request_id=wish.request_id)
    if before is not None:
        return _again(tx, before, hashed)
    task = None if wish.task_id is None else leases.visible(tx, ref.agent_id, wish.task_id)
    timeout_ms = min(wish.timeout_ms or DEFAULT_TIMEOUT_MS, LONGEST_TIMEOUT_MS)
    call = {
        "id": new_id(),
        "tenant_id": session["tenant_id"],
        "agent_id": ref.agent_id,
        "request_id": wish.request_id,
        "task_id": wish.task_id,
        "attempt": None if task is None else _attempt(task, ref.agent_id),
        "tool": wish.tool,
        "action": wish.action,
        "params": wish.params,
        "params_hash": hashed,
        "state": CallState.RECEIVED,
        "due_at": tx.now + timeout_ms,
        "timeout_ms": timeout_ms,
        "waits": wish.waits,
        "by_event": by_event,
        "traceparent": trace_of(traceparent) or (task and task["traceparent"]),
        "node_id": session["node_id"],
        "created_at": tx.now,
    }
    tx.insert(tool_calls, call)
    tx.wake(RUNNER)
    return ToolAccepted(call_id=call["id"])


def _refuse_long_names(wish: ToolRequest) -> None:
    for name in ("request_id", "tool", "action"):
        if not 0 < len(getattr(wish, name)) <= _LONGEST_NAME:
            raise Invalid(f"{name} must be 1 to {_LONGEST_NAME} characters")


def _again(tx: Tx, before: Row, hashed: str) -> ToolAccepted:
    if before["params_hash"] != hashed:
        raise Conflict("this requestId came before with another request; take a new one")
    if before["state"] in FINAL_STATES and before["by_event"]:
        tell_result(tx, before)
    return ToolAccepted(call_id=before["id"])


def _attempt(task: Row, agent_id: str) -> int | None:
    """Return the attempt that the call is made in; None where the agent does not hold the task."""
    holds = task["holder_agent_id"] == agent_id and task["status"] in HELD_STATUSES
    return task["attempt"] if holds else None


def answer(tx: Tx, ref: SessionRef, said: ToolAnswer) -> Acknowledged:
    """Store what an agent answers to a call of a tool that it offers.

    Raises:
        NotReady: the session has not announced itself, or has ended.
        NotFound: this agent was not asked.
        Conflict: the call has ended meanwhile; nobody waits for the answer.
    """
    sessions.require_ready(tx, ref)
    call = tx.one(_LOCKED, call_id=said.call_id)
    if call is None or call["provider_agent_id"] != ref.agent_id:
        raise NotFound(f"there is no tool call {said.call_id} for this agent")
    if call["state"] != CallState.RUNNING:
        raise Conflict(f"the tool call {said.call_id} is {call['state']}; nobody waits for it")
    failed = None if said.success else said.error or "the tool gave no reason"
    answered = {
        "state": CallState.ANSWERED,
        "result": said.result if said.success else None,
        "error": failed,
        "code": None if said.success else ToolCode.TOOL_FAILED,
    }
    tx.update(tool_calls, answered, id=call["id"])
    tx.wake(RUNNER)
    return Acknowledged()


def locked(tx: Tx, call_id: str) -> Row | None:
    """Return a call, and keep others from moving it meanwhile."""
    return tx.one(_LOCKED, call_id=call_id)


def row(tx: Tx, tenant_id: str, call_id: str) -> Row:
    """Return one of the tenant's calls.

    Raises:
        NotFound: there is none.
    """
    mine = (tool_calls.c.tenant_id == tenant_id) & (tool_calls.c.id == call_id)
    found = tx.one(select().where(mine))
    if found is None:
        raise NotFound(f"there is no tool call {call_id}")
    return found


def select() -> sa.Select[Any]:
    """Return the query for calls with the name of the agent that asks, and the task's title."""
    names = agents.c.name.label("agent_name"), tasks.c.title.label("task_title")
    return (
        sa.select(tool_calls, *names)
        .join_from(tool_calls, agents, agents.c.id == tool_calls.c.agent_id)
        .outerjoin(tasks, tasks.c.id == tool_calls.c.task_id)
    )


def due(tx: Tx, node_id: str, limit: int = 100) -> list[str]:
    """Return the ids of calls that are to be looked after by a node, the oldest first."""
    at_hand = tool_calls.c.state.in_(LOOKED_AFTER) & (
        (tool_calls.c.node_id == node_id)
        | (tool_calls.c.state != CallState.RECEIVED)
        | (tool_calls.c.created_at < tx.now - _ADOPT_AFTER_MS)
    )
    waits = tool_calls.c.state == CallState.PENDING_APPROVAL
    late = (waits & (tool_calls.c.due_at <= tx.now)) | (
        (tool_calls.c.state == CallState.RUNNING) & (tool_calls.c.due_at < tx.now - GRACE_MS)
    )
    unwanted = waits & tool_calls.c.attempt.is_not(None) & ~is_wanted()
    query = sa.select(tool_calls.c.id).where(
        tool_calls.c.finished_at.is_(None), at_hand | late | unwanted
    )
    oldest = query.order_by(tool_calls.c.created_at, tool_calls.c.id).limit(limit)
    return [found["id"] for found in tx.rows(oldest)]


def is_wanted() -> sa.ColumnElement[bool]:
    """Return the condition for calls whose attempt at a task still goes on."""
    return sa.exists(
        sa.select(sa.literal(1)).where(
            tasks.c.id == tool_calls.c.task_id,
            tasks.c.attempt == tool_calls.c.attempt,
            tasks.c.holder_agent_id == tool_calls.c.agent_id,
            is_held,
        )
    )


def usage(tx: Tx, call: Row, rule_id: str) -> Usage:
    """Return what the agent of a call does and did under a rule, but for this call."""
    under = (
        (tool_calls.c.agent_id == call["agent_id"])
        & (tool_calls.c.rule_id == rule_id)
        & (tool_calls.c.id != call["id"])
    )
    lately = under & (tool_calls.c.started_at > tx.now - 60_000)
    at_work = under & tool_calls.c.state.in_((CallState.RUNNING, CallState.ANSWERED))
    return Usage(in_last_minute=_count(tx, lately), at_work=_count(tx, at_work))


def _count(tx: Tx, where: sa.ColumnElement[bool]) -> int:
    counted: int = tx.scalar(sa.select(sa.func.count()).select_from(tool_calls).where(where))
    return counted


def result(call: Row) -> ToolResultPayload:
    """Return what the agent is told of a call that has ended."""
    done = call["state"] == CallState.DONE
    return ToolResultPayload(
        request_id=call["request_id"],
        success=done,
        result=call["result"] if done else None,
        error=call["error"],
        code=call["code"],
        untrusted=done,
    )


def tell_result(tx: Tx, call: Row) -> None:
    """Tell the agent that asked."""
    events.tell(tx, call["agent_id"], EventType.TOOL_RESULT, result(call), events.of_call(call))


def answer_now(tx: Tx, call_id: str) -> ToolResultPayload | None:
    """Return what to tell a caller that cannot be told later; None while it is worth waiting."""
    call = tx.one(tool_calls.select().where(tool_calls.c.id == call_id))
    if call is None or call["state"] in FINAL_STATES:
        return None if call is None else result(call)
    if call["state"] != CallState.PENDING_APPROVAL:
        return None
    return ToolResultPayload(
        request_id=call["request_id"],
        success=False,
        error="the call waits for a person's approval; ask again with the same requestId later",
        code=ToolCode.PENDING_APPROVAL,
    )


def newest(
    tx: Tx, tenant_id: str, *, limit: int, cursor: str | None, state: CallState | None
) -> Sequence[Row]:
    """Return calls, newest first; one more than ``limit`` when there are more."""
    query = select().where(tool_calls.c.tenant_id == tenant_id)
    if state is not None:
        query = query.where(tool_calls.c.state == state)
    if cursor is not None:
        query = query.where(tool_calls.c.id < cursor)
    return tx.rows(query.order_by(tool_calls.c.id.desc()).limit(limit + 1))


def of_task(tx: Tx, task_id: str, *, limit: int) -> list[Row]:
    """Return the calls that were asked for at a task, oldest first; of more the newest."""
    mine = select().where(tool_calls.c.task_id == task_id)
    return list(tx.rows(mine.order_by(tool_calls.c.id.desc()).limit(limit)))[::-1]


def view(call: Row, *, exact: bool = False) -> ToolCall:
    """Return a call as HTTP shows it to people: in short, or exactly, as a decision needs it."""
    return ToolCall(
        id=call["id"],
        state=call["state"],
        tool=call["tool"],
        action=call["action"],
        params=call["params"] if exact else summary(call["params"]),
        params_hash=call["params_hash"],
        agent_id=call["agent_id"],
        agent_name=call["agent_name"],
        task_id=call["task_id"],
        task_title=call["task_title"],
        rule=call["rule"],
        decided_by=call["decided_by"],
        decided_at=views.moment_or_none(call["decided_at"]),
        reason=call["reason"],
        error=call["error"],
        code=call["code"],
        expires_at=_expiry(call),
        created_at=views.moment(call["created_at"]),
        started_at=views.moment_or_none(call["started_at"]),
        finished_at=views.moment_or_none(call["finished_at"]),
    )


def _expiry(call: Row) -> Any:
    pending = call["state"] == CallState.PENDING_APPROVAL
    return views.moment(call["due_at"]) if pending else None
