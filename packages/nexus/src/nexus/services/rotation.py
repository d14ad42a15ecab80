"""Where an agent's secret is replaced: for a while both are good, or the old one ends at once."""

from pydantic import Field

from nexus.domain.principal import Principal
from nexus.services import activity, agents, revocations, sessions, views
from nexus.services.command import Command
from nexus.store.schema import clients
from nexus.store.tx import Tx
from oblivion.protocol import Timestamp, WireModel

OVERLAP_S = 24 * 3600
LONGEST_OVERLAP_S = 30 * 24 * 3600


class RotateSecret(Command):
    """A wish for a new secret; the old one stays good for ``overlapSeconds``, 0 for not at all."""

    overlap_seconds: int = Field(default=OVERLAP_S, ge=0, le=LONGEST_OVERLAP_S)


class RotatedSecret(WireModel):
    """The new secret, shown once, and until when the old one is good."""

    id: str
    client_id: str
    client_secret: str | None = None
    old_secret_valid_until: Timestamp | None = None


def rotate(
    tx: Tx, caller: Principal, agent_id: str, wish: RotateSecret, secret_hash: str
) -> RotatedSecret:
    """Give the agent a new secret.

    Without an overlap the old one, all tokens and the live session end now. Of a secret that was
    still good from a rotation before, this is the end in any case.

    Raises:
        NotFound: there is no such agent.
    """
    agent = agents.row(tx, caller.tenant_id, agent_id)
    overlap_ms = wish.overlap_seconds * 1000
    until = tx.now + overlap_ms if overlap_ms else None
    kept = clients.c.secret_hash if overlap_ms else None
    tx.change(
        clients.update()
        .where(clients.c.client_id == agent["client_id"])
        .values(secret_hash=secret_hash, older_secret_hash=kept, older_secret_until=until)
    )
    if until is None:
        revocations.void_all(tx, agent["client_id"])
        sessions.close_current(tx, agent["id"], "its secret was replaced")
    activity.record(
        tx,
        caller.tenant_id,
        "secret_rotated",
        agent_id=agent["id"],
        overlap_seconds=wish.overlap_seconds,
        by=caller.client_id,
    )
    return RotatedSecret(
        id=agent["id"],
        client_id=agent["client_id"],
        old_secret_valid_until=views.moment_or_none(until),
    )
