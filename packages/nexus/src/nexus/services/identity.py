"""Where it is decided who a client is and whether it may have a token."""

import sqlalchemy as sa

from nexus.domain.errors import Unauthenticated
from nexus.domain.principal import Principal, Role
from nexus.store.schema import agents, clients
from nexus.store.statement import Statement
from nexus.store.tx import Row, Tx
from oblivion.protocol import ApprovalStatus, ErrorCode

_CLIENT = Statement(
    sa.select(
        clients,
        agents.c.approval_status,
        agents.c.rejection_reason,
        agents.c.disabled_at.label("agent_disabled_at"),
    )
    .outerjoin_from(clients, agents, agents.c.id == clients.c.agent_id)
    .where(clients.c.client_id == sa.bindparam("client_id"))
)


class Refused(Unauthenticated):
    """A client that proved who it is but may not come in; ``code`` says why."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def client(tx: Tx, client_id: str) -> Row | None:
    """Return a client's stored row with what its agent may; None when there is none."""
    return tx.one(_CLIENT, client_id=client_id)


def principal(tx: Tx, client_id: str) -> Principal:
    """Return who a client is, if it may act now.

    Raises:
        Unauthenticated: there is no such client.
        Refused: its agent is pending, rejected or disabled.
    """
    found = client(tx, client_id)
    if found is None:
        raise Unauthenticated("unknown client")
    return admitted(found)


def admitted(found: Row) -> Principal:
    """Return who a stored client is, if it may act now.

    Raises:
        Refused: it is disabled, or its agent is pending, rejected or disabled.
    """
    if found["disabled_at"] is not None:
        raise Refused(ErrorCode.AGENT_DISABLED, "this client is disabled; ask an admin")
    if found["agent_id"] is not None:
        _refuse_unapproved(found)
    return Principal(
        tenant_id=found["tenant_id"],
        client_id=found["client_id"],
        role=Role(found["role"]),
        agent_id=found["agent_id"],
    )


def _refuse_unapproved(found: Row) -> None:
    if found["agent_disabled_at"] is not None:
        raise Refused(ErrorCode.AGENT_DISABLED, "this agent is disabled; ask an admin")
    if found["approval_status"] == ApprovalStatus.PENDING:
        raise Refused(ErrorCode.AGENT_PENDING, "this agent waits for an admin's approval")
    if found["approval_status"] == ApprovalStatus.REJECTED:
        reason = found["rejection_reason"] or "no reason given"
        raise Refused(ErrorCode.AGENT_REJECTED, f"this agent was rejected: {reason}")
