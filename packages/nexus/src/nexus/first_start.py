"""What a start makes sure of: a tenant, an admin, and its place beside other nodes."""

import asyncio

from nexus.domain.audit_chain import End, audit_key
from nexus.domain.errors import Conflict, Unavailable
from nexus.keys import AdminCredentials, Keys, read_admin_credentials, write_admin_credentials
from nexus.services import audit, installation
from nexus.services.platform import Platform
from nexus.services.secrets import hash_secret, make_secret
from nexus.settings import Settings, SettingsError
from nexus.store import DataDirError, StoreError, Tx


async def first_start(
    platform: Platform, settings: Settings, keys: Keys
) -> tuple[str, AdminCredentials | None]:
    """Make what a first start needs; a later one finds it there.

    Returns the id of the first tenant, and its admin's credentials if they were made just now.

    Raises:
        SettingsError: the admin's id belongs to another credential.
        StoreError: the database cannot be used, or the keys are not those of its other nodes.
    """
    try:
        tenant_id = await platform.store.write(installation.bootstrap)
        await _join(platform, settings, keys)
        return tenant_id, await _settle_admin(platform, settings, tenant_id)
    except Unavailable as error:
        raise StoreError(f"the database cannot be used: {error.message}") from error
    except Conflict as error:
        raise SettingsError(f"setting admin_client_id: {error.message}") from error


async def _join(platform: Platform, settings: Settings, keys: Keys) -> None:
    """Take up work: where an earlier life left off, or beside other nodes."""
    store = platform.store
    if not platform.is_shared:
        await store.write(installation.start_alone, platform.limits.lease_ms)
    elif not await store.write(installation.has_same_keys, keys.fingerprint, keys.signing):
        raise DataDirError(
            f"the keys in {settings.data_dir} are not those of the database's other nodes; "
            "copy signing.key and pepper.key from the data folder of one of them"
        )


async def _settle_admin(
    platform: Platform, settings: Settings, tenant_id: str
) -> AdminCredentials | None:
    """See to it that there is an admin; another node may have made it, and kept its secret."""
    kept = read_admin_credentials(settings.data_dir)
    wanted = _wanted_admin(settings, kept)
    chosen = settings.admin_client_secret is not None or kept is not None
    known = await platform.store.read(installation.has_admin, tenant_id, wanted.client_id)
    if known and (kept == wanted or (platform.is_shared and not chosen)):
        return None
    secret_hash = await asyncio.to_thread(hash_secret, wanted.client_secret, platform.pepper)
    admin = tenant_id, wanted.client_id, secret_hash
    replace = chosen or not platform.is_shared
    end = await platform.store.write(_keep_admin, platform.pepper, admin, replace=replace)
    if end is None:
        return None
    await platform.anchor.hold(end)
    write_admin_credentials(settings.data_dir, wanted)
    return None if settings.admin_client_secret is not None else wanted


def _keep_admin(tx: Tx, pepper: bytes, admin: tuple[str, str, str], *, replace: bool) -> End | None:
    """Store an admin's secret and say so in the audit log; None when another node was first."""
    tenant_id, client_id, _ = admin
    if replace:
        installation.put_admin(tx, *admin)
    elif not installation.add_admin(tx, *admin):
        return None
    act = audit.Act(
        actor="nexus serve",
        role=audit.INSTALLATION,
        action="set_admin_secret",
        target=client_id,
    )
    return audit.append(tx, audit_key(pepper), tenant_id, act)


def _wanted_admin(settings: Settings, kept: AdminCredentials | None) -> AdminCredentials:
    if settings.admin_client_secret is not None:
        secret = settings.admin_client_secret.get_secret_value()
        return AdminCredentials(client_id=settings.admin_client_id, client_secret=secret)
    if kept is not None:
        return kept
    return AdminCredentials(client_id=settings.admin_client_id, client_secret=make_secret())
