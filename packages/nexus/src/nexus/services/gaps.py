"""Where it is kept which events an agent will never get, until it was told so."""

import sqlalchemy as sa

from nexus.domain.limits import Limits
from nexus.services import events, sessions
from nexus.services.sessions import SessionRef
from nexus.store.schema import agent_events, agents
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx
from oblivion.protocol import AgentReady, AgentReadyAck, GapPayload

_unheard = agent_events.c.acked_at.is_(None)
_TOO_OLD = Statement(
    sa.select(agent_events.c.agent_id, sa.func.max(agent_events.c.seq).label("last"))
    .where(_unheard, agent_events.c.created_at < sa.bindparam("since"))
    .group_by(agent_events.c.agent_id)
    .order_by(agent_events.c.agent_id)
)
_TOO_MANY = Statement(
    sa.select(agent_events.c.agent_id)
    .where(_unheard)
    .group_by(agent_events.c.agent_id)
    .having(sa.func.count() > sa.bindparam("most"))
    .order_by(agent_events.c.agent_id)
)
_mine = agent_events.c.agent_id == sa.bindparam("agent_id")
_NEWEST_TOO_MANY = Statement(
    sa.select(agent_events.c.seq)
    .where(_unheard, _mine)
    .order_by(agent_events.c.seq.desc())
    .offset(sa.bindparam("most"))
    .limit(1)
)
_FIRST = Statement(sa.select(sa.func.min(agent_events.c.seq)).where(_unheard, _mine))
_DROP = Statement(
    agent_events.delete().where(_unheard, _mine, agent_events.c.seq <= sa.bindparam("last"))
)
_GAP = Statement(
    sa.select(agents.c.gap_from, agents.c.gap_to).where(agents.c.id == sa.bindparam("agent_id"))
)
_HAS_GONE_ON = Statement(
    sa.select(agent_events.c.seq)
    .where(_mine, agent_events.c.seq > sa.bindparam("gap_to"), ~_unheard)
    .limit(1)
)


def drop_unheard(tx: Tx, limits: Limits) -> int:
    """Drop the events that wait for their agents too long, or in too great a number.

    What was dropped is announced to the agent as a gap; one that is connected begins anew.
    """
    too_old = tx.rows(_TOO_OLD, since=tx.now - limits.keep_unheard_ms)
    last = {row["agent_id"]: row["last"] for row in too_old}
    for row in tx.rows(_TOO_MANY, most=limits.most_unheard):
        seq = tx.scalar(_NEWEST_TOO_MANY, agent_id=row["agent_id"], most=limits.most_unheard)
        last[row["agent_id"]] = max(seq or 0, last.get(row["agent_id"], 0))
    return sum(_drop(tx, agent_id, last[agent_id]) for agent_id in sorted(last))


def _drop(tx: Tx, agent_id: str, last: int) -> int:
    session = sessions.current(tx, agent_id)
    if session is not None and session["closed_at"] is None:
        ref = SessionRef(agent_id=agent_id, session_id=session["id"])
        sessions.close_session(tx, ref, "it left its events unacknowledged")
    gap, first = _gap(tx, agent_id), tx.scalar(_FIRST, agent_id=agent_id)
    if first is None or first > last:
        return 0  # the agent has acknowledged them just now
    begins = first if gap is None else min(first, gap["gap_from"])
    tx.update(agents, {"gap_from": begins, "gap_to": last}, id=agent_id)
    return tx.change(_DROP, agent_id=agent_id, last=last)


def owed(tx: Tx, agent_id: str, ready: AgentReady, ack: AgentReadyAck) -> GapPayload | None:
    """Return the gap that an agent must be told of before it is sent anything.

    Either its history is another one, or events were dropped. The latter is told at each
    ``agent_ready`` until the agent has shown that it went on.
    """
    reset = ready.epoch is not None and not ack.resumed
    if reset or ready.last_seq > ack.head_seq:  # the latter after a restored backup
        first = events.first_pending(tx, agent_id)
        settled = ack.head_seq if first is None else first - 1
        return GapPayload(epoch=ack.epoch, from_seq=1, to_seq=settled)
    gap = _gap(tx, agent_id)
    if gap is None:
        return None
    last = gap["gap_to"]
    if ready.last_seq >= last or tx.one(_HAS_GONE_ON, agent_id=agent_id, gap_to=last):
        tx.update(agents, {"gap_from": None, "gap_to": None}, id=agent_id)
        return None
    begins = max(gap["gap_from"], ready.last_seq + 1)
    return GapPayload(epoch=ack.epoch, from_seq=begins, to_seq=last)


def _gap(tx: Tx, agent_id: str) -> Row | None:
    gap = tx.one(_GAP, agent_id=agent_id)
    return None if gap is None or gap["gap_to"] is None else gap
