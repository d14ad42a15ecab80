"""Where tool requests are taken in and answered; the gateway that runs tools plugs in here."""

from nexus.services import activity, agents, events
from nexus.services.sessions import SessionRef
from nexus.store.tx import Tx
from oblivion.protocol import EventType, ToolAccepted, ToolRequest, ToolResultPayload


def request(tx: Tx, ref: SessionRef, wish: ToolRequest) -> ToolAccepted:
    """Accept a request; its result follows as the durable event ``tool_result``."""
    result = run(tx, ref, wish)
    events.tell(tx, ref.agent_id, EventType.TOOL_RESULT, result, task_id=wish.task_id)
    return ToolAccepted()


def run(tx: Tx, ref: SessionRef, wish: ToolRequest) -> ToolResultPayload:
    """Return the result of a request: no tool is registered here, so it says which is unknown."""
    error = f"unknown tool {wish.tool!r}: no tool of that name is registered in this Nexus"
    activity.record(
        tx,
        agents.by_id(tx, ref.agent_id)["tenant_id"],
        "tool_refused",
        agent_id=ref.agent_id,
        tool=wish.tool,
        action=wish.action,
        error=error,
    )
    return ToolResultPayload(request_id=wish.request_id, success=False, error=error)
