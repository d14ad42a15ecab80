"""Where an agent that is behind catches up: what it is sent late says when it is wanted no more."""

from collections.abc import Sequence

import sqlalchemy as sa

from nexus.domain.tool_calls import CallState
from nexus.services import events
from nexus.store.schema import is_held, tasks
from nexus.store.statement import Statement
from nexus.store.tool_tables import tool_calls
from nexus.store.tx import Row, Tx
from oblivion.protocol import EventType

_HELD = Statement(
    sa.select(tasks.c.id, tasks.c.attempt).where(
        tasks.c.holder_agent_id == sa.bindparam("agent_id"), is_held
    )
)
_ASKED = Statement(
    sa.select(tool_calls.c.id).where(
        tool_calls.c.provider_agent_id == sa.bindparam("agent_id"),
        tool_calls.c.state == CallState.RUNNING,
    )
)


def pending(tx: Tx, agent_id: str, *, after: int, limit: int) -> Sequence[Row]:
    """Return what ``events.pending`` does; what asks for work that is over is ``withdrawn``.

    An attempt that is over never comes back, so who reads this later errs to one side only: it
    may still begin what ends just now, and is told so by the ``task_cancelled`` that follows.
    """
    rows = events.pending(tx, agent_id, after=after, limit=limit)
    types = {row["type"] for row in rows}
    wanted: set[object] = set()
    if EventType.TASK_ASSIGNED in types:
        held = tx.rows(_HELD, agent_id=agent_id)
        wanted |= {(task["id"], task["attempt"]) for task in held}
    if EventType.TOOL_CALL in types:
        wanted |= {call["id"] for call in tx.rows(_ASKED, agent_id=agent_id)}
    return [{**row, "withdrawn": True} if _is_over(row, wanted) else row for row in rows]


def _is_over(event: Row, wanted: set[object]) -> bool:
    if event["type"] == EventType.TASK_ASSIGNED:
        return (event["task_id"], event["payload"].get("attempt")) not in wanted
    return event["type"] == EventType.TOOL_CALL and event["payload"].get("callId") not in wanted
