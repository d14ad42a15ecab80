"""Where it is decided who a client is and whether it may have a token, or use the one it shows."""

from dataclasses import replace

import sqlalchemy as sa

from nexus.domain.errors import Stopped, Unauthenticated
from nexus.domain.principal import Principal, Role
from nexus.store.schema import agents, clients, revoked_tokens, tenants
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx
from oblivion.protocol import ApprovalStatus, ErrorCode

_of_client = clients.c.client_id == sa.bindparam("client_id")
_CLIENT = Statement(
    sa.select(
        clients,
        agents.c.approval_status,
        agents.c.rejection_reason,
        agents.c.disabled_at.label("agent_disabled_at"),
    )
    .outerjoin_from(clients, agents, agents.c.id == clients.c.agent_id)
    .where(_of_client)
)
# All that can make a token void is read with its client: one look-up more in the same statement.
_CALLER = Statement(
    sa.select(
        clients.c.client_id,
        clients.c.tenant_id,
        clients.c.role,
        clients.c.agent_id,
        clients.c.token_epoch,
        clients.c.disabled_at,
        agents.c.approval_status,
        agents.c.rejection_reason,
        agents.c.disabled_at.label("agent_disabled_at"),
        tenants.c.stopped_at,
        sa.select(revoked_tokens.c.expires_at)
        .where(revoked_tokens.c.id == sa.bindparam("token_id"))
        .scalar_subquery()
        .label("revoked"),
    )
    .join_from(clients, tenants, tenants.c.id == clients.c.tenant_id)
    .outerjoin(agents, agents.c.id == clients.c.agent_id)
    .where(_of_client)
)


class Refused(Unauthenticated):
    """A client that proved who it is but may not come in; ``code`` says why."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def client(tx: Tx, client_id: str) -> Row | None:
    """Return a client's stored row with what its agent may; None when there is none."""
    return tx.one(_CLIENT, client_id=client_id)


def principal(tx: Tx, claimed: Principal) -> Principal:
    """Return who shows a token, if it may act now; its role is no more than the token's.

    Raises:
        Unauthenticated: there is no such client, or the token was revoked.
        Refused: its agent is pending, rejected or disabled.
        Stopped: all agents of its tenant are stopped.
    """
    found = tx.one(_CALLER, client_id=claimed.client_id, token_id=claimed.token_id)
    if found is None:
        raise Unauthenticated("unknown client")
    caller = admitted(found)
    if found["revoked"] is not None or claimed.epoch != caller.epoch:
        raise Unauthenticated("the token was revoked; ask for a new one")
    if found["stopped_at"] is not None and caller.agent_id is not None:
        raise Stopped("an admin has stopped all agents; come back later")
    if claimed.role is not caller.role and claimed.role in caller.role.covers:
        return replace(caller, role=claimed.role)
    return caller


def admitted(found: Row) -> Principal:
    """Return who a stored client is, if it may act now.

    Raises:
        Refused: it is disabled, or its agent is pending, rejected or disabled.
    """
    if found["disabled_at"] is not None:
        raise Refused(ErrorCode.AGENT_DISABLED, "this client is disabled; ask an admin")
    if found["agent_id"] is not None:
        refuse_unapproved(found)
    return Principal(
        tenant_id=found["tenant_id"],
        client_id=found["client_id"],
        role=Role(found["role"]),
        agent_id=found["agent_id"],
        epoch=found["token_epoch"],
    )


def refuse_unapproved(found: Row) -> None:
    """Refuse an agent that waits for approval, was rejected or is disabled.

    Raises:
        Refused: it is one of these.
    """
    if found["agent_disabled_at"] is not None:
        raise Refused(ErrorCode.AGENT_DISABLED, "this agent is disabled; ask an admin")
    if found["approval_status"] == ApprovalStatus.PENDING:
        raise Refused(ErrorCode.AGENT_PENDING, "this agent waits for an admin's approval")
    if found["approval_status"] == ApprovalStatus.REJECTED:
        reason = found["rejection_reason"] or "no reason given"
        raise Refused(ErrorCode.AGENT_REJECTED, f"this agent was rejected: {reason}")
