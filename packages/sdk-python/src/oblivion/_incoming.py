"""Where events from Nexus are read: envelope and payload, or what is wrong with them. Pure."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from oblivion._json import as_object
from oblivion.protocol import (
    ContextUpdatePayload,
    Envelope,
    EventType,
    GapPayload,
    HeartbeatPayload,
    ServerDrainingPayload,
    SlackMessagePayload,
    SupersededPayload,
    TaskAssignedPayload,
    TaskAvailablePayload,
    TaskCancelledPayload,
    TaskClaimedPayload,
    ToolCallPayload,
    ToolResultPayload,
    ToolWaitingPayload,
    WakeUpPayload,
    WireModel,
)

_PAYLOADS: dict[str, type[WireModel]] = {
    EventType.TASK_ASSIGNED: TaskAssignedPayload,
    EventType.TASK_AVAILABLE: TaskAvailablePayload,
    EventType.TASK_CLAIMED: TaskClaimedPayload,
    EventType.TASK_CANCELLED: TaskCancelledPayload,
    EventType.CONTEXT_UPDATE: ContextUpdatePayload,
    EventType.SLACK_MESSAGE: SlackMessagePayload,
    EventType.WAKE_UP: WakeUpPayload,
    EventType.TOOL_RESULT: ToolResultPayload,
    EventType.TOOL_WAITING: ToolWaitingPayload,
    EventType.TOOL_CALL: ToolCallPayload,
    EventType.HEARTBEAT: HeartbeatPayload,
    EventType.SUPERSEDED: SupersededPayload,
    EventType.SERVER_DRAINING: ServerDrainingPayload,
    EventType.GAP: GapPayload,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One event: what identifies it, and its payload, or the problem with it.

    Both are absent for an event type that this SDK does not know. One that is ``withdrawn`` asks
    for nothing any more.
    """

    type: str
    id: str | None = None
    seq: int | None = None
    payload: WireModel | None = None
    problem: str | None = None
    withdrawn: bool = False
    traceparent: str | None = None


def read(event: str, data: Any) -> Incoming:
    """Read what came under the event name ``event``."""
    model = _PAYLOADS.get(event)
    try:
        envelope = Envelope.model_validate(data)
    except ValidationError as error:
        return _unreadable(event, data, f"no envelope: {_problem(error)}")
    found = Incoming(type=event, id=envelope.id, seq=envelope.seq)
    if model is None:
        return found
    try:
        payload = model.model_validate(envelope.payload)
    except ValidationError as error:
        return _unreadable(event, data, _problem(error))
    return Incoming(
        type=event,
        id=envelope.id,
        seq=envelope.seq,
        payload=payload,
        withdrawn=envelope.withdrawn is True,
        traceparent=envelope.traceparent,
    )


def _unreadable(event: str, data: Any, problem: str) -> Incoming:
    """Keep what identifies the event, so that it can be acknowledged and does not come again."""
    marks = as_object(data)
    event_id, seq = marks.get("id"), marks.get("seq")
    return Incoming(
        type=event,
        id=event_id if isinstance(event_id, str) else None,
        seq=seq if isinstance(seq, int) and not isinstance(seq, bool) and seq > 0 else None,
        problem=problem,
    )


def _problem(error: ValidationError) -> str:
    """Name the fields and what is wrong with them, without their values."""
    problems = error.errors(include_input=False, include_url=False)[:5]
    return "; ".join(f"{'.'.join(map(str, p['loc'])) or 'it'}: {p['msg']}" for p in problems)
