"""Where it is decided who a client is and whether it may have a token."""

from nexus.domain.errors import Unauthenticated
from nexus.domain.principal import Principal, Role
from nexus.store.schema import agents, clients
from nexus.store.tx import Row, Tx
from oblivion.protocol import ApprovalStatus, ErrorCode


class Refused(Unauthenticated):
    """A client that proved who it is but may not come in; ``code`` says why."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def client(tx: Tx, client_id: str) -> Row | None:
    """Return a client's stored row; None when there is none."""
    return tx.one(clients.select().where(clients.c.client_id == client_id))


def principal(tx: Tx, client_id: str) -> Principal:
    """Return who a client is, if it may act now.

    Raises:
        Unauthenticated: there is no such client.
        Refused: its agent is pending, rejected or disabled.
    """
    found = client(tx, client_id)
    if found is None:
        raise Unauthenticated("unknown client")
    if found["disabled_at"] is not None:
        raise Refused(ErrorCode.AGENT_DISABLED, "this client is disabled; ask an admin")
    if found["agent_id"] is not None:
        _refuse_unapproved(tx, found["agent_id"])
    return Principal(
        tenant_id=found["tenant_id"],
        client_id=client_id,
        role=Role(found["role"]),
        agent_id=found["agent_id"],
    )


def _refuse_unapproved(tx: Tx, agent_id: str) -> None:
    agent = tx.one(agents.select().where(agents.c.id == agent_id))
    if agent is None or agent["disabled_at"] is not None:
        raise Refused(ErrorCode.AGENT_DISABLED, "this agent is disabled; ask an admin")
    if agent["approval_status"] == ApprovalStatus.PENDING:
        raise Refused(ErrorCode.AGENT_PENDING, "this agent waits for an admin's approval")
    if agent["approval_status"] == ApprovalStatus.REJECTED:
        reason = agent["rejection_reason"] or "no reason given"
        raise Refused(ErrorCode.AGENT_REJECTED, f"this agent was rejected: {reason}")
