"""Where a node notices what others did: who serves an agent now, and what it was told."""

from collections.abc import Sequence

import sqlalchemy as sa

from nexus.store.schema import agents, sessions
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx

_ATTENDED = Statement(
    sa.select(sessions.c.agent_id, sessions.c.id, agents.c.event_seq)
    .join_from(sessions, agents)
    .where(sessions.c.node_id == sa.bindparam("node_id"), sessions.c.closed_at.is_(None))
)


def attended(tx: Tx, node_id: str) -> Sequence[Row]:
    """Return the open sessions of a node, each with the number of its agent's newest event."""
    return tx.rows(_ATTENDED, node_id=node_id)
