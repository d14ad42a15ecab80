"""Where an installation begins: its epoch, its first tenant, its first admin."""

import sqlalchemy as sa

from nexus.domain.principal import Role
from nexus.services import leases, revocations, sessions, watch
from nexus.services.clients import put
from nexus.services.signing import Keyring
from nexus.store.ids import new_id
from nexus.store.schema import clients, meta, tenants
from nexus.store.statement import Statement
from nexus.store.tx import Tx

DEFAULT_TENANT = "default"
_META = Statement(sa.select(meta.c.value).where(meta.c.key == sa.bindparam("key")))


def bootstrap(tx: Tx) -> str:
    """Make the tenant ``default`` and the epoch if they are missing; return the tenant's id."""
    if note_of(tx, "epoch") is None:
        tx.insert(meta, {"key": "epoch", "value": new_id()})
    tenant = tx.one(tenants.select().where(tenants.c.slug == DEFAULT_TENANT))
    if tenant is not None:
        return str(tenant["id"])
    tenant_id = new_id()
    tx.insert(
        tenants,
        {"id": tenant_id, "slug": DEFAULT_TENANT, "name": "Default", "created_at": tx.now},
    )
    return tenant_id


def has_admin(tx: Tx, tenant_id: str, client_id: str) -> bool:
    """Say whether the tenant has an admin client of this id."""
    admin = clients.select().where(
        clients.c.tenant_id == tenant_id,
        clients.c.client_id == client_id,
        clients.c.role == Role.ADMIN,
    )
    return tx.one(admin) is not None


def put_admin(tx: Tx, tenant_id: str, client_id: str, secret_hash: str) -> None:
    """Make the tenant's admin client, or give an existing one this secret.

    Raises:
        Conflict: the client id is another tenant's, or no admin's.
    """
    changed = tx.change(
        clients.update()
        .where(
            clients.c.tenant_id == tenant_id,
            clients.c.client_id == client_id,
            clients.c.role == Role.ADMIN,
        )
        .values(secret_hash=secret_hash)
    )
    if not changed:
        put(tx, tenant_id, client_id, Role.ADMIN, secret_hash)


def reset_admin(tx: Tx, client_id: str, secret_hash: str) -> str | None:
    """Give an admin another secret and make its tokens void.

    Returns its tenant's id, or None where there is no such admin.
    """
    admin = (clients.c.client_id == client_id) & (clients.c.role == Role.ADMIN)
    tenant_id: str | None = tx.scalar(sa.select(clients.c.tenant_id).where(admin))
    if tenant_id is not None:
        fresh = {"secret_hash": secret_hash, "older_secret_hash": None, "older_secret_until": None}
        tx.update(clients, fresh, client_id=client_id)
        revocations.void_all(tx, client_id)
    return tenant_id


def add_admin(tx: Tx, tenant_id: str, client_id: str, secret_hash: str) -> bool:
    """Make the admin client; False when another node has made it meanwhile."""
    if has_admin(tx, tenant_id, client_id):
        return False
    put_admin(tx, tenant_id, client_id, secret_hash)
    return True


def has_same_keys(tx: Tx, fingerprint: str, signing: Keyring) -> bool:
    """Say whether this node's keys are those of the nodes before it; the first one sets them.

    Signing keys change by and by: it suffices that a node knows the newest one that any had.
    """
    pepper, newest = note_of(tx, "pepper"), note_of(tx, "signing_key")
    if pepper not in {None, fingerprint} or newest not in {None, *signing.by_id}:
        return False
    put_note(tx, "pepper", fingerprint)
    note_signing_key(tx, signing.keys[0].id)
    return True


def note_signing_key(tx: Tx, key_id: str) -> None:
    """Note which key that signs tokens is the newest."""
    put_note(tx, "signing_key", key_id)


def begin_epoch(tx: Tx) -> str:
    """Begin a new epoch and return it: agents learn that the numbers of their events went back."""
    fresh = new_id()
    put_note(tx, "epoch", fresh)
    return fresh


def start_alone(tx: Tx, lease_ms: int) -> None:
    """Close what a single node's earlier life left open, and let its leases begin anew.

    While Nexus was away nobody could renew one, so none ran out for want of an agent.
    """
    sessions.close_all(tx, "Nexus was restarted")
    leases.renew_all(tx, lease_ms)
    watch.begin(tx)


def epoch_of(tx: Tx) -> str:
    """Return the epoch: it changes when the history of events was reset, e.g. by a restore."""
    return note_of(tx, "epoch") or ""


def note_of(tx: Tx, key: str) -> str | None:
    """Return what the installation noted under ``key``."""
    value: str | None = tx.scalar(_META, key=key)
    return value


def put_note(tx: Tx, key: str, value: str) -> None:
    """Note something of the installation, in the place of what was noted before."""
    if not tx.update(meta, {"value": value}, key=key):
        tx.insert(meta, {"key": key, "value": value})
