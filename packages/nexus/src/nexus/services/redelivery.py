"""Where an agent that is behind catches up: what it is sent late says when it holds no more."""

from collections.abc import Sequence

import sqlalchemy as sa

from nexus.services import events
from nexus.store.schema import is_held, tasks
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx
from oblivion.protocol import EventType

_HELD = Statement(
    sa.select(tasks.c.id, tasks.c.attempt).where(
        tasks.c.holder_agent_id == sa.bindparam("agent_id"), is_held
    )
)


def pending(tx: Tx, agent_id: str, *, after: int, limit: int) -> Sequence[Row]:
    """Return what ``events.pending`` does; an assignment whose attempt is over is ``withdrawn``.

    An attempt that is over never comes back, so who reads this later errs to one side only: it
    may still begin what ends just now, and is told so by the ``task_cancelled`` that follows.
    """
    rows = events.pending(tx, agent_id, after=after, limit=limit)
    if all(row["type"] != EventType.TASK_ASSIGNED for row in rows):
        return rows
    held = {(task["id"], task["attempt"]) for task in tx.rows(_HELD, agent_id=agent_id)}
    return [{**row, "withdrawn": True} if _is_over(row, held) else row for row in rows]


def _is_over(event: Row, held: set[tuple[str, int]]) -> bool:
    attempt = event["task_id"], event["payload"].get("attempt")
    return event["type"] == EventType.TASK_ASSIGNED and attempt not in held
