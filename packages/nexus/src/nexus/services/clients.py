"""Where the clients of people live: admins, and viewers, who look and change nothing."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from nexus.domain.errors import Conflict, NotFound
from nexus.domain.principal import Principal, Role
from nexus.domain.strength import SHORTEST_SECRET, weakness
from nexus.services import views
from nexus.services.command import ClientId, Command
from nexus.services.resources import Client
from nexus.store.schema import clients
from nexus.store.tx import Row, Tx

PersonRole = Literal["admin", "viewer"]


class CreateClient(Command):
    """A new client for a person or a program of theirs; without a secret Nexus makes one."""

    client_id: ClientId
    role: PersonRole = "viewer"
    client_secret: SecretStr | None = Field(default=None, max_length=256)

    @field_validator("client_secret")
    @classmethod
    def _would_not_be_guessed(cls, secret: SecretStr | None) -> SecretStr | None:
        chosen = None if secret is None else secret.get_secret_value()
        weak = None if chosen is None else weakness(chosen, shortest=SHORTEST_SECRET)
        if weak is not None:
            raise ValueError(f"{weak}; leave it out, and Nexus makes one")
        return secret


def put(tx: Tx, tenant_id: str, client_id: str, role: Role, secret_hash: str) -> None:
    """Make a client of a tenant.

    Raises:
        Conflict: the client id is taken, in this tenant or another.
    """
    if tx.one(clients.select().where(clients.c.client_id == client_id)) is not None:
        raise Conflict(f"the client id {client_id!r} is taken; choose another one")
    row = {"client_id": client_id, "tenant_id": tenant_id, "role": role}
    tx.insert(clients, {**row, "secret_hash": secret_hash, "created_at": tx.now})


def create(tx: Tx, caller: Principal, wish: CreateClient, secret_hash: str) -> Client:
    """Make a client for a person of the caller's tenant.

    Raises:
        Conflict: the client id is taken.
    """
    put(tx, caller.tenant_id, wish.client_id, Role(wish.role), secret_hash)
    return view(row(tx, caller.tenant_id, wish.client_id))


def list_all(tx: Tx, tenant_id: str, *, limit: int, cursor: str | None) -> Sequence[Row]:
    """Return the tenant's clients that are no agents' by their ids; one over ``limit`` if more."""
    query = clients.select().where(clients.c.tenant_id == tenant_id, clients.c.agent_id.is_(None))
    if cursor is not None:
        query = query.where(clients.c.client_id > cursor)
    found = tx.rows(query.order_by(clients.c.client_id).limit(limit + 1))
    return [{**client, "id": client["client_id"]} for client in found]


def row(tx: Tx, tenant_id: str, client_id: str) -> Row:
    """Return one of the tenant's clients that is no agent's.

    Raises:
        NotFound: there is none.
    """
    found = tx.one(
        clients.select().where(
            clients.c.tenant_id == tenant_id,
            clients.c.agent_id.is_(None),
            clients.c.client_id == client_id,
        )
    )
    if found is None:
        raise NotFound(f"there is no client {client_id}")
    return found


def view(client: Row) -> Client:
    """Return a client as HTTP shows it."""
    return Client(
        client_id=client["client_id"],
        role=client["role"],
        created_at=views.moment(client["created_at"]),
        disabled_at=views.moment_or_none(client["disabled_at"]),
    )


def disable(tx: Tx, caller: Principal, client_id: str) -> None:
    """Shut a client out, its tokens too; nothing of what it did is lost.

    Raises:
        NotFound: there is none.
        Conflict: it is the caller itself.
    """
    found = row(tx, caller.tenant_id, client_id)
    if found["client_id"] == caller.client_id:
        raise Conflict("you would shut yourself out; let another admin do it")
    if found["disabled_at"] is None:
        tx.update(clients, {"disabled_at": tx.now}, client_id=found["client_id"])
