"""Where admins decide which of the agents that asked may join."""

from collections.abc import Collection, Sequence
from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from nexus.domain.errors import Conflict, NexusError
from nexus.domain.principal import Principal
from nexus.domain.registration import MAY_BE_APPROVED, MAY_BE_REJECTED
from nexus.services import activity, agents, groups
from nexus.services.command import Command, Ref, Text
from nexus.services.resources import Agent, Decision, Decisions, PendingCount
from nexus.store.schema import agents as all_agents
from nexus.store.schema import registrations
from nexus.store.tx import Row, Tx
from oblivion.protocol import ApprovalStatus, CallError

MOST_AT_ONCE = 100

_PENDING = all_agents.c.approval_status == sa.literal_column(f"'{ApprovalStatus.PENDING}'")
"""With its constant written out, so that the partial index serves it."""


class Approve(Command):
    """Several agents are let in at once, each by its id or client id."""

    agent_ids: Annotated[list[Ref], Field(min_length=1, max_length=MOST_AT_ONCE)]


class Reject(Command):
    """An agent is not let in."""

    reason: Text | None = None


def pending(tx: Tx, tenant_id: str, *, limit: int, cursor: str | None) -> Sequence[Row]:
    """Return the agents that wait, oldest first; one more than ``limit`` when there are more."""
    query = all_agents.select().where(all_agents.c.tenant_id == tenant_id, _PENDING)
    if cursor is not None:
        query = query.where(all_agents.c.id > cursor)
    return tx.rows(query.order_by(all_agents.c.id).limit(limit + 1))


def count_pending(tx: Tx, tenant_id: str) -> PendingCount:
    """Return how many agents wait."""
    mine = all_agents.c.tenant_id == tenant_id
    counted = sa.select(sa.func.count()).select_from(all_agents).where(mine, _PENDING)
    return PendingCount(count=tx.scalar(counted))


def approve(tx: Tx, caller: Principal, agent_id: str) -> Agent:
    """Let an agent in: it joins the group that it asked to join, and may connect.

    Raises:
        NotFound: there is no such agent.
        Conflict: it is approved already.
    """
    agent = agents.row(tx, caller.tenant_id, agent_id)
    if not _decide(tx, caller, agent, ApprovalStatus.APPROVED, MAY_BE_APPROVED):
        raise Conflict(f"the agent {agent['client_id']} is approved already")
    joined = agents.wished_groups(tx, [agent["id"]]).get(agent["id"])
    if joined is not None:
        groups.join(tx, joined.id, agent["id"])
    activity.record(
        tx,
        caller.tenant_id,
        "agent_approved",
        agent_id=agent["id"],
        name=agent["name"],
        group=None if joined is None else joined.name,
        by=caller.client_id,
    )
    return agents.show(tx, caller.tenant_id, agent["id"])


def approve_all(tx: Tx, caller: Principal, wish: Approve) -> Decisions:
    """Let several agents in; each is answered on its own, and a refused one stops no other."""
    return Decisions(items=[_approved(tx, caller, name) for name in dict.fromkeys(wish.agent_ids)])


def _approved(tx: Tx, caller: Principal, name: str) -> Decision:
    """Approve one of several; a refusal comes before anything was changed."""
    try:
        return Decision(agent_id=name, agent=approve(tx, caller, name))
    except NexusError as refusal:
        error = CallError(code=refusal.code, message=refusal.message, retryable=refusal.retryable)
        return Decision(agent_id=name, error=error)


def reject(tx: Tx, caller: Principal, agent_id: str, wish: Reject) -> Agent:
    """Do not let an agent in; it is told the reason when it asks.

    Raises:
        NotFound: there is no such agent.
        Conflict: it is approved, or was rejected already.
    """
    agent = agents.row(tx, caller.tenant_id, agent_id)
    if not _decide(tx, caller, agent, ApprovalStatus.REJECTED, MAY_BE_REJECTED, wish.reason):
        raise Conflict(_why_not_rejected(agents.by_id(tx, agent["id"])))
    activity.record(
        tx,
        caller.tenant_id,
        "agent_rejected",
        agent_id=agent["id"],
        name=agent["name"],
        reason=wish.reason,
        by=caller.client_id,
    )
    return agents.show(tx, caller.tenant_id, agent["id"])


def _why_not_rejected(agent: Row) -> str:
    if agent["approval_status"] == ApprovalStatus.REJECTED:
        return f"the agent {agent['client_id']} was rejected already"
    return f"the agent {agent['client_id']} is approved; to keep it out, ban it"


def _decide(
    tx: Tx,
    caller: Principal,
    agent: Row,
    status: ApprovalStatus,
    may: Collection[ApprovalStatus],
    reason: str | None = None,
) -> bool:
    """Set the status of an agent that stands where it ``may`` be decided; say whether it did."""
    open_ = (all_agents.c.id == agent["id"]) & all_agents.c.approval_status.in_(may)
    values = {"approval_status": status, "rejection_reason": reason, "updated_at": tx.now}
    if not tx.change(all_agents.update().where(open_).values(values)):
        return False
    by = {"decided_at": tx.now, "decided_by": caller.client_id}
    tx.update(registrations, by, agent_id=agent["id"])
    return True
