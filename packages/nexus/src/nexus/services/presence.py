"""Where nodes notice each other: who serves an agent now, and that for a while nobody could."""

from collections.abc import Sequence

import sqlalchemy as sa

from nexus.services import leases
from nexus.store.schema import agents, meta, sessions
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx

_KEY = "alive_at"
NOTE_EVERY_MS = 5_000
OUTAGE_MS = 20_000
"""No word of any node for this long means that no agent could be heard either."""

_ATTENDED = Statement(
    sa.select(sessions.c.agent_id, sessions.c.id, agents.c.event_seq)
    .join_from(sessions, agents)
    .where(sessions.c.node_id == sa.bindparam("node_id"), sessions.c.closed_at.is_(None))
)


def attended(tx: Tx, node_id: str) -> Sequence[Row]:
    """Return the open sessions of a node, each with the number of its agent's newest event."""
    return tx.rows(_ATTENDED, node_id=node_id)


def note(tx: Tx) -> int:
    """Note that a node is alive; return for how many milliseconds none was.

    While all nodes or the database were away, nobody could renew a lease, so every lease goes on
    for as long as that took. Call it before leases are ended for want of renewal.
    """
    newest = tx.one(meta.select().where(meta.c.key == _KEY).with_for_update())
    if newest is None:
        tx.insert(meta, {"key": _KEY, "value": str(tx.now)})
        return 0
    silent = tx.now - int(newest["value"])
    if silent < NOTE_EVERY_MS:
        return 0
    tx.update(meta, {"value": str(tx.now)}, key=_KEY)
    if silent < OUTAGE_MS:
        return 0
    leases.prolong_all(tx, silent)
    return silent
