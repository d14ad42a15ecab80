"""Where tenants live: organisations that share an installation and see nothing of each other.

They are made by whoever has the installation's data at hand, never over the network: so no client
of one tenant has any power over another.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from nexus.domain.errors import Conflict, NotFound
from nexus.domain.principal import Role
from nexus.services import clients
from nexus.services.command import ClientId, Command, Line, Slug
from nexus.store.ids import new_id
from nexus.store.schema import agents, tenants
from nexus.store.tx import Row, Tx


class CreateTenant(Command):
    """A new organisation, with the client id of its first admin."""

    slug: Slug
    name: Line
    admin_client_id: ClientId


def create(tx: Tx, wish: CreateTenant, secret_hash: str) -> str:
    """Make a tenant and its first admin; return its id.

    Raises:
        Conflict: the slug or the client id is taken.
    """
    if tx.one(tenants.select().where(tenants.c.slug == wish.slug)) is not None:
        raise Conflict(f"there is a tenant {wish.slug!r} already")
    tenant_id = new_id()
    row = {"id": tenant_id, "slug": wish.slug, "name": wish.name, "created_at": tx.now}
    tx.insert(tenants, row)
    clients.put(tx, tenant_id, wish.admin_client_id, Role.ADMIN, secret_hash)
    return tenant_id


def list_all(tx: Tx) -> Sequence[Row]:
    """Return all tenants with how many agents each has, oldest first."""
    count = (
        sa.select(sa.func.count())
        .where(agents.c.tenant_id == tenants.c.id)
        .scalar_subquery()
        .label("agents")
    )
    return tx.rows(sa.select(tenants, count).order_by(tenants.c.created_at, tenants.c.id))


def id_of(tx: Tx, slug: str) -> str:
    """Return the id of a tenant.

    Raises:
        NotFound: there is none of this slug.
    """
    found = tx.one(tenants.select().where(tenants.c.slug == slug))
    if found is None:
        raise NotFound(f"there is no tenant {slug}")
    return str(found["id"])
