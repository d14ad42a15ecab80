"""Where the sessions of agents live: opened, announced, kept alive, closed."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from nexus.domain.errors import NotReady
from nexus.services import activity
from nexus.store.ids import new_id
from nexus.store.schema import agents, sessions
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx
from oblivion.protocol import AgentReady, AgentStatus

_OF_AGENT = sa.select(sessions, agents.c.tenant_id).join_from(sessions, agents)
_CURRENT = Statement(_OF_AGENT.where(sessions.c.agent_id == sa.bindparam("agent_id")))
_LOCKED = Statement(
    sa.select(
        *(sessions.c.id, sessions.c.connected_at, sessions.c.closed_at, sessions.c.ready),
        *(sessions.c.node_id, sessions.c.max_concurrency, sessions.c.instance_id),
        *(sessions.c.status, sessions.c.status_message, agents.c.tenant_id),
    )
    .join_from(sessions, agents)
    .where(sessions.c.agent_id == sa.bindparam("agent_id"))
    .with_for_update(of=sessions)
)
"""What each call of an agent is judged by; the rest of the row would take longer to read."""
_AGENT = Statement(agents.select().where(agents.c.id == sa.bindparam("agent_id")))
_update_open = sessions.update().where(
    sessions.c.agent_id == sa.bindparam("of_agent"),
    sessions.c.id == sa.bindparam("session"),
    sessions.c.closed_at.is_(None),
)
_CLOSE = Statement(_update_open.values(closed_at=sa.bindparam("now"), ready=False))
_SEEN = Statement(_update_open.values(last_seen_at=sa.bindparam("now")))

_MARK_IDLE = Statement(
    sessions.update()
    .where(
        sessions.c.agent_id
        == sa.select(sessions.c.agent_id)
        .where(sessions.c.agent_id == sa.bindparam("idle"))
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(idle_since=sa.bindparam("now"))
)


def topic(agent_id: str) -> str:
    """Return the topic that is woken when an agent's session was replaced or closed."""
    return f"session:{agent_id}"


@dataclass(frozen=True, kw_only=True)
class SessionRef:
    """Which session speaks: the agent's, and whether it is still the newest."""

    agent_id: str
    session_id: str


def open_session(tx: Tx, agent_id: str, node_id: str, *, token_id: str | None = None) -> SessionRef:
    """Make a new session the agent's only one; an older one finds itself superseded.

    ``token_id`` names the token that it was opened with: who revokes that ends the session, too.
    """
    session_id = new_id()
    fresh = {
        "id": session_id,
        "node_id": node_id,
        "connected_at": tx.now,
        "last_seen_at": tx.now,
        "closed_at": None,
        "ready": False,
        "accepts_tasks": False,
        "status": None,
        "status_message": None,
        "idle_since": tx.now,
        "token_id": token_id,
    }
    if not tx.update(sessions, fresh, agent_id=agent_id):
        tx.insert(sessions, {"agent_id": agent_id, "capabilities": [], **fresh})
    tx.wake(topic(agent_id))
    return SessionRef(agent_id=agent_id, session_id=session_id)


def current(tx: Tx, agent_id: str) -> Row | None:
    """Return the agent's newest session, open or closed, with its tenant."""
    return tx.one(_CURRENT, agent_id=agent_id)


def require_open(tx: Tx, ref: SessionRef) -> Row:
    """Return the session's row; until the commit, other commands of the agent wait.

    Raises:
        NotReady: the session was closed or superseded.
    """
    row = tx.one(_LOCKED, agent_id=ref.agent_id)
    if row is None or row["id"] != ref.session_id or row["closed_at"] is not None:
        raise NotReady("this session has ended; connect again")
    return row


def slots(tx: Tx, agent_id: str) -> int | None:
    """Return how many tasks a connected agent may hold; None for one that is not connected.

    Until the commit, other commands of the agent wait, so that none takes the same slot.
    """
    row = tx.one(_LOCKED, agent_id=agent_id)
    if row is None or row["closed_at"] is not None:
        return None
    most: int = row["max_concurrency"]
    return most


def require_ready(tx: Tx, ref: SessionRef) -> Row:
    """Return the session's row once it has announced itself.

    Raises:
        NotReady: the session has not sent ``agent_ready``, or has ended.
    """
    row = require_open(tx, ref)
    if not row["ready"]:
        raise NotReady("send agent_ready first")
    return row


def announce(tx: Tx, ref: SessionRef, ready: AgentReady) -> Row:
    """Store what the agent announced and return the session as it was before."""
    before = require_open(tx, ref)
    announced = {
        "ready": True,
        "accepts_tasks": ready.accepts_tasks,
        "acks": ready.acks,
        "max_concurrency": ready.max_concurrency,
        "instance_id": ready.instance_id,
        "version": ready.version,
        "sdk": ready.sdk,
        "capabilities": list(ready.capabilities),
        "last_seen_at": tx.now,
    }
    tx.update(sessions, announced, agent_id=ref.agent_id)
    if not before["ready"]:
        activity.record(tx, before["tenant_id"], "agent_connected", agent_id=ref.agent_id)
    return before


def _agent(tx: Tx, agent_id: str) -> Row:
    row = tx.one(_AGENT, agent_id=agent_id)
    if row is None:
        raise NotReady("this agent no longer exists")
    return row


def touch(tx: Tx, ref: SessionRef) -> Row:
    """Note a sign of life."""
    row = require_ready(tx, ref)
    tx.update(sessions, {"last_seen_at": tx.now}, agent_id=ref.agent_id)
    return row


def seen(tx: Tx, refs: Sequence[SessionRef]) -> None:
    """Note signs of life that asked for nothing else; what has ended stays so."""
    tx.change_all(
        _SEEN,
        [{"of_agent": ref.agent_id, "session": ref.session_id, "now": tx.now} for ref in refs],
    )


def set_status(tx: Tx, ref: SessionRef, status: AgentStatus, message: str | None) -> None:
    """Store what the agent says about itself."""
    before = require_ready(tx, ref)
    said = {"status": status, "status_message": message, "last_seen_at": tx.now}
    tx.update(sessions, said, agent_id=ref.agent_id)
    if (before["status"], before["status_message"]) != (status, message):
        activity.record(
            tx,
            before["tenant_id"],
            "agent_status",
            agent_id=ref.agent_id,
            status=status,
            message=message,
        )


def mark_idle(tx: Tx, agent_id: str) -> None:
    """Note that the agent let go of a task just now.

    A session that is locked is passed over: whoever ends a lease from elsewhere holds the task
    that the agent's own command may wait for, so it must not wait for the agent's session.
    """
    tx.change(_MARK_IDLE, idle=agent_id, now=tx.now)


def close_session(tx: Tx, ref: SessionRef, reason: str) -> bool:
    """Close the session unless a newer one took its place; its leases go on for now."""
    changed = tx.change(_CLOSE, of_agent=ref.agent_id, session=ref.session_id, now=tx.now)
    if changed:
        agent = _agent(tx, ref.agent_id)
        activity.record(
            tx, agent["tenant_id"], "agent_disconnected", agent_id=ref.agent_id, reason=reason
        )
        tx.wake(topic(ref.agent_id))
    return bool(changed)


def close_current(tx: Tx, agent_id: str, reason: str) -> bool:
    """Close the agent's session if it has an open one."""
    row = current(tx, agent_id)
    if row is None or row["closed_at"] is not None:
        return False
    return close_session(tx, SessionRef(agent_id=agent_id, session_id=row["id"]), reason)


def close_silent(tx: Tx, offline_after_ms: int) -> list[str]:
    """Close the sessions whose agents were not heard of for too long; return their agents' ids."""
    silent = tx.rows(
        sessions.select()
        .where(sessions.c.closed_at.is_(None), sessions.c.last_seen_at < tx.now - offline_after_ms)
        .with_for_update(skip_locked=True)  # who is just speaking is not silent
    )
    for row in silent:
        ref = SessionRef(agent_id=row["agent_id"], session_id=row["id"])
        close_session(tx, ref, "no heartbeat")
    return [row["agent_id"] for row in silent]


def hear_all(tx: Tx) -> None:
    """Have every open session count as heard of just now."""
    tx.change(sessions.update().where(sessions.c.closed_at.is_(None)).values(last_seen_at=tx.now))


def set_back(tx: Tx, by_ms: int) -> None:
    """Have sessions opened before the clock was set back begin as long ago as they did."""
    later = sessions.c.connected_at > tx.now
    tx.change(sessions.update().where(later).values(connected_at=sessions.c.connected_at - by_ms))


def close_all(tx: Tx, reason: str) -> None:
    """Close every open session: what a single node does when it starts."""
    for row in tx.rows(sessions.select().where(sessions.c.closed_at.is_(None))):
        close_session(tx, SessionRef(agent_id=row["agent_id"], session_id=row["id"]), reason)


def capabilities(tx: Tx, agent_id: str) -> frozenset[str]:
    """Return what an agent can do: what its profile says and what its session announced."""
    announced = current(tx, agent_id)
    return frozenset(_agent(tx, agent_id)["capabilities"]) | frozenset(
        announced["capabilities"] if announced is not None else ()
    )
