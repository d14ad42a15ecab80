"""Where each call of an agent is translated into a command and its answer."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nexus.domain.errors import Conflict, NotFound
from nexus.domain.limits import Limits
from nexus.services import (
    attempts,
    calls,
    events,
    gaps,
    handover,
    leases,
    sessions,
    thoughts,
    threads,
    tool_calls,
    views,
)
from nexus.services.sessions import SessionRef
from nexus.store import Tx
from oblivion.protocol import (
    Acknowledged,
    AgentReady,
    AgentReadyAck,
    AgentStatus,
    ClaimResult,
    ClaimTask,
    EventAck,
    EventType,
    HeartbeatCall,
    PostMessage,
    StatusUpdate,
    TaskUpdate,
    Think,
    ToolAnswer,
    ToolRequest,
    WireModel,
    format_timestamp,
    wrap,
)

Answer = dict[str, Any]
OWED = "owed"
FIRST = "first"
"""Where the answer to ``agent_ready`` carries the gap to be told first, and the number of the first
event to be sent, if there is one; neither goes out."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """Who calls, under which envelope id, and what the parts have agreed on."""

    ref: SessionRef
    call_id: str | None
    limits: Limits
    acks: bool = True
    """Whether the caller acknowledges events; else it is told results in answers alone."""
    traceparent: str | None = None
    """The trace that the call belongs to, as W3C's Trace Context writes it."""
    sent: Mapping[int, int] = field(default_factory=dict)
    """When the events that it acknowledges were sent, by their ``seq``."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call's payload and what it does; the answer of a kept one is stored under its id."""

    payload: type[WireModel]
    act: Callable[[Tx, Context, Any], Answer]
    kept: bool = True


def carry_out(tx: Tx, call: Call, context: Context, payload: WireModel) -> Answer:
    """Carry out a call once, however often it is sent."""
    if not call.kept:
        return call.act(tx, context, payload)
    return calls.once(
        tx, context.ref.agent_id, context.call_id, lambda tx: call.act(tx, context, payload)
    )


def _agent_ready(tx: Tx, context: Context, wish: AgentReady) -> Answer:
    ack: AgentReadyAck = handover.agent_ready(tx, context.ref, wish, context.limits)
    gap = gaps.owed(tx, context.ref.agent_id, wish, ack)
    first = events.first_pending(tx, context.ref.agent_id)
    return {**ack.to_wire(), OWED: gap, FIRST: first}


def _heartbeat(tx: Tx, context: Context, wish: HeartbeatCall) -> Answer:
    handover.heartbeat(tx, context.ref, wish.active, context.limits)
    return pong(tx.now)


def pong(now: int) -> Answer:
    """Return the answer to a heartbeat; ``now`` in epoch milliseconds."""
    moment = views.moment(now)
    payload = {"pong": True, "serverTime": format_timestamp(moment)}
    return wrap(EventType.HEARTBEAT, payload, moment)


def _status_update(tx: Tx, context: Context, wish: StatusUpdate) -> Answer:
    sessions.set_status(tx, context.ref, wish.status, wish.message)
    if wish.status is AgentStatus.WORKING and wish.task_id is not None:
        attempts.start(tx, context.ref.agent_id, wish.task_id)
    return Acknowledged().to_wire()


def _claim_task(tx: Tx, context: Context, wish: ClaimTask) -> Answer:
    session = sessions.require_ready(tx, context.ref)
    try:
        result = leases.claim(
            tx,
            context.ref.agent_id,
            wish.task_id,
            max_concurrency=session["max_concurrency"],
            lease_ms=context.limits.lease_ms,
        )
    except (Conflict, NotFound) as refusal:
        result = ClaimResult(task_id=wish.task_id, success=False, error=refusal.message)
    return result.to_wire()


def _task_update(tx: Tx, context: Context, wish: TaskUpdate) -> Answer:
    sessions.require_ready(tx, context.ref)
    return attempts.update(tx, context.ref.agent_id, wish).to_wire()


def _post_message(tx: Tx, context: Context, wish: PostMessage) -> Answer:
    sessions.require_ready(tx, context.ref)
    agent_id = context.ref.agent_id
    return calls.once(
        tx,
        agent_id,
        _message_key(wish),
        lambda tx: threads.post_as_agent(tx, agent_id, wish).to_wire(),
    )


def _message_key(wish: PostMessage) -> str | None:
    """Return what names the message where an author sends it again in a new envelope.

    The words count in, so that an author who numbers carelessly loses none.
    """
    if wish.client_message_id is None:
        return None
    named = f"{wish.client_message_id}\n{wish.task_id}\n{wish.text}"
    return f"message:{hashlib.sha256(named.encode()).hexdigest()}"


def _think(tx: Tx, context: Context, wish: Think) -> Answer:
    sessions.require_ready(tx, context.ref)
    return thoughts.record(tx, context.ref.agent_id, wish).to_wire()


def _tool_request(tx: Tx, context: Context, wish: ToolRequest) -> Answer:
    accepted = tool_calls.receive(
        tx, context.ref, wish, by_event=context.acks, traceparent=context.traceparent
    )
    return accepted.to_wire()


def _tool_answer(tx: Tx, context: Context, said: ToolAnswer) -> Answer:
    return tool_calls.answer(tx, context.ref, said).to_wire()


def acknowledge(tx: Tx, acks: Sequence[tuple[Context, EventAck]]) -> None:
    """Carry out acknowledgements, of whichever agents."""
    for context, wish in acks:
        carry_out(tx, CALLS[EventType.EVENT_ACK], context, wish)


def _event_ack(tx: Tx, context: Context, wish: EventAck) -> Answer:
    events.acknowledge(tx, context.ref.agent_id, wish.seqs, context.sent)
    return Acknowledged().to_wire()


CALLS = {
    EventType.AGENT_READY: Call(payload=AgentReady, act=_agent_ready, kept=False),
    EventType.HEARTBEAT: Call(payload=HeartbeatCall, act=_heartbeat, kept=False),
    EventType.STATUS_UPDATE: Call(payload=StatusUpdate, act=_status_update, kept=False),
    EventType.CLAIM_TASK: Call(payload=ClaimTask, act=_claim_task),
    EventType.TASK_UPDATE: Call(payload=TaskUpdate, act=_task_update),
    EventType.POST_MESSAGE: Call(payload=PostMessage, act=_post_message),
    EventType.THINK: Call(payload=Think, act=_think),
    EventType.TOOL_REQUEST: Call(payload=ToolRequest, act=_tool_request),
    EventType.TOOL_ANSWER: Call(payload=ToolAnswer, act=_tool_answer),
    EventType.EVENT_ACK: Call(payload=EventAck, act=_event_ack, kept=False),
}
