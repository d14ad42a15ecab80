"""Where people stop agents: one by a ban, all of a tenant by its kill switch."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from nexus.domain.principal import Principal
from nexus.services import activity, agents, attempts, leases, revocations, sessions, views
from nexus.services.command import Command, Text
from nexus.store.schema import agents as agents_table
from nexus.store.schema import is_held, tasks, tenants
from nexus.store.schema import sessions as sessions_table
from nexus.store.tx import Tx
from oblivion.protocol import Timestamp, WireModel

_LATE_MS = 60_000
"""How long after a ban what was under way at its moment is looked for."""


_connected = sa.select(sessions_table.c.agent_id.label("id")).join_from(
    sessions_table, agents_table
)
_holding = sa.select(tasks.c.holder_agent_id.label("id")).join_from(
    tasks, agents_table, agents_table.c.id == tasks.c.holder_agent_id
)


class Reason(Command):
    """Why an agent is banned, or all are stopped; for people."""

    reason: Text | None = None


class Halt(WireModel):
    """Whether all agents of the tenant are stopped; what stopping them has done."""

    stopped: bool
    stopped_at: Timestamp | None = None
    sessions: int = 0
    tasks: int = 0


def ban(tx: Tx, caller: Principal, agent_id: str, reason: str | None = None) -> None:
    """Shut an agent out: session ended, tokens void, what it holds goes to others at once.

    Raises:
        NotFound: there is no such agent.
    """
    agent = agents.row(tx, caller.tenant_id, agent_id)
    _disable(tx, agent["id"], agent["disabled_at"] or tx.now)
    revocations.void_all(tx, agent["client_id"])
    _interrupt(tx, [agent["id"]], f"banned by {caller.client_id}")
    activity.record(
        tx,
        caller.tenant_id,
        "agent_banned",
        agent_id=agent["id"],
        reason=reason,
        by=caller.client_id,
    )


def unban(tx: Tx, caller: Principal, agent_id: str) -> None:
    """Let a banned agent in again; it needs new tokens.

    Raises:
        NotFound: there is no such agent.
    """
    agent = agents.row(tx, caller.tenant_id, agent_id)
    if agent["disabled_at"] is not None:
        _disable(tx, agent["id"], None)
        activity.record(
            tx, caller.tenant_id, "agent_unbanned", agent_id=agent["id"], by=caller.client_id
        )


def _disable(tx: Tx, agent_id: str, at: int | None) -> None:
    tx.update(agents_table, {"disabled_at": at, "updated_at": tx.now}, id=agent_id)


def stop_all(tx: Tx, caller: Principal, reason: str | None = None) -> Halt:
    """Stop every agent of the tenant until :func:`resume_all`; tasks wait, and nothing is lost.

    Sessions end, handlers are cancelled, no task is handed out and no agent let in.
    """
    before = _stopped_at(tx, caller.tenant_id, lock=True)
    stopped_at = tx.now if before is None else before
    tx.update(tenants, {"stopped_at": stopped_at}, id=caller.tenant_id)
    mine = agents_table.c.tenant_id == caller.tenant_id
    connected = _ids(tx, _connected.where(mine, sessions_table.c.closed_at.is_(None)))
    holding = _ids(tx, _holding.where(mine, is_held))
    shut_out = sorted({*connected, *holding})
    taken = _interrupt(tx, shut_out, f"stopped by {caller.client_id}")
    if before is None:
        activity.record(
            tx,
            caller.tenant_id,
            "agents_stopped",
            reason=reason,
            sessions=len(connected),
            tasks=taken,
            by=caller.client_id,
        )
    return Halt(
        stopped=True,
        stopped_at=views.moment(stopped_at),
        sessions=len(connected),
        tasks=taken,
    )


def resume_all(tx: Tx, caller: Principal) -> Halt:
    """Let the tenant's agents in again; they come back by themselves."""
    if _stopped_at(tx, caller.tenant_id, lock=True) is not None:
        tx.update(tenants, {"stopped_at": None}, id=caller.tenant_id)
        activity.record(tx, caller.tenant_id, "agents_resumed", by=caller.client_id)
        tx.wake(leases.DISPATCH)
    return Halt(stopped=False)


def state(tx: Tx, tenant_id: str) -> Halt:
    """Say whether the tenant's agents are stopped."""
    stopped_at = _stopped_at(tx, tenant_id)
    return Halt(stopped=stopped_at is not None, stopped_at=views.moment_or_none(stopped_at))


def late(tx: Tx, node_id: str) -> list[str]:
    """Return this node's agents that came in, or got a task, in the moment they were stopped.

    Where several nodes write at once, a connection may be let in by what was true a moment ago.
    """
    stopped = _ids(tx, sa.select(tenants.c.id).where(tenants.c.stopped_at.is_not(None)))
    just_now = agents_table.c.disabled_at > tx.now - _LATE_MS
    banned = _ids(tx, sa.select(agents_table.c.id).where(just_now))
    if not stopped and not banned:
        return []
    shut_out = agents_table.c.tenant_id.in_(stopped) | agents_table.c.id.in_(banned)
    here = (sessions_table.c.node_id == node_id) & sessions_table.c.closed_at.is_(None)
    late = {
        *_ids(tx, _connected.where(here, shut_out)),
        *_ids(tx, _holding.where(is_held, shut_out)),
    }
    return sorted(late)


def _ids(tx: Tx, query: sa.Select[Any]) -> list[str]:
    return [row["id"] for row in tx.rows(query)]


def interrupt(tx: Tx, agent_ids: Sequence[str]) -> int:
    """End the sessions of agents that are stopped, and take their tasks."""
    return _interrupt(tx, agent_ids, "stopped as it came in")


def _stopped_at(tx: Tx, tenant_id: str, *, lock: bool = False) -> int | None:
    found = sa.select(tenants.c.stopped_at).where(tenants.c.id == tenant_id)
    stopped_at: int | None = tx.scalar(
        # Not the key: whatever is written for the tenant meanwhile must not wait in a circle.
        found.with_for_update(key_share=True) if lock else found
    )
    return stopped_at


def _interrupt(tx: Tx, agent_ids: Sequence[str], reason: str) -> int:
    """End the agents' sessions and take their tasks; return how many tasks that were.

    All sessions are locked first, then all tasks, then the agents one by one: the order in which
    an agent's own commands lock them, so that nobody waits in a circle.
    """
    for agent_id in agent_ids:
        sessions.close_current(tx, agent_id, reason)
    held = tx.rows(
        views.select_tasks()
        .where(tasks.c.holder_agent_id.in_(agent_ids), is_held)
        .order_by(tasks.c.holder_agent_id, tasks.c.id)
        .with_for_update(of=tasks)
    )
    for task in held:
        attempts.take_away(tx, task, reason)
    return len(held)
