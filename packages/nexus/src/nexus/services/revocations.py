"""Where tokens are made void before their time: one of them, or all that a client has."""

import sqlalchemy as sa

from nexus.domain.errors import Forbidden
from nexus.domain.principal import Principal, Role
from nexus.services import activity, agents, sessions
from nexus.store.schema import clients, revoked_tokens
from nexus.store.schema import sessions as sessions_table
from nexus.store.tx import Row, Tx

MOST_A_CLIENT = 100
"""Revoked tokens of a client that are remembered one by one; past that, all it has are void."""


def revoke(tx: Tx, client: Row, token: Principal) -> bool:
    """Make a token void (RFC 7009), and end the session that was opened with it.

    A client may revoke its own tokens, and an admin those of its tenant. False where it was
    void already.

    Raises:
        Forbidden: the token is somebody else's.
    """
    if not _may_revoke(client, token):
        raise Forbidden("the token was not issued to this client")
    if _is_revoked(tx, token):
        return False
    count = sa.select(sa.func.count()).where(revoked_tokens.c.client_id == token.client_id)
    if tx.scalar(count) >= MOST_A_CLIENT:
        void_all(tx, token.client_id)
    else:
        revoked = {"client_id": token.client_id, "expires_at": token.token_expires_ms}
        tx.insert(revoked_tokens, {"id": token.token_id, **revoked})
    _end_session(tx, token)
    activity.record(
        tx,
        token.tenant_id,
        "access_revoked",
        agent_id=token.agent_id,
        client_id=token.client_id,
        by=client["client_id"],
    )
    return True


def _may_revoke(client: Row, token: Principal) -> bool:
    if client["client_id"] == token.client_id:
        return True
    is_admin: bool = client["role"] == Role.ADMIN
    return is_admin and client["tenant_id"] == token.tenant_id


def _is_revoked(tx: Tx, token: Principal) -> bool:
    known = revoked_tokens.select().where(revoked_tokens.c.id == token.token_id)
    return tx.one(known) is not None


def _end_session(tx: Tx, token: Principal) -> None:
    opened = sessions_table.select().where(
        sessions_table.c.agent_id == token.agent_id, sessions_table.c.token_id == token.token_id
    )
    if token.agent_id is not None and tx.one(opened) is not None:
        sessions.close_current(tx, token.agent_id, "its token was revoked")


def void_all(tx: Tx, client_id: str) -> None:
    """Begin a new epoch of the client's tokens: all that it has are void, on every node at once."""
    tx.change(
        clients.update()
        .where(clients.c.client_id == client_id)
        .values(token_epoch=clients.c.token_epoch + 1)
    )
    tx.change(revoked_tokens.delete().where(revoked_tokens.c.client_id == client_id))


def log_out(tx: Tx, caller: Principal, agent_id: str) -> None:
    """Make all tokens of an agent void and end its session; its secret still gets it new ones.

    Raises:
        NotFound: there is no such agent.
    """
    agent = agents.row(tx, caller.tenant_id, agent_id)
    void_all(tx, agent["client_id"])
    sessions.close_current(tx, agent["id"], f"logged out by {caller.client_id}")
    activity.record(
        tx, caller.tenant_id, "agent_logged_out", agent_id=agent["id"], by=caller.client_id
    )
