"""The composition root: the only place that knows every part, and how they start and stop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from nexus.api import create_api
from nexus.bus import LocalBus
from nexus.delivery import Delivery
from nexus.gateway import FrontDoor, create_gateway
from nexus.keys import (
    AdminCredentials,
    Keys,
    load_keys,
    read_admin_credentials,
    write_admin_credentials,
)
from nexus.services import installation
from nexus.services.platform import Platform
from nexus.services.secrets import hash_secret, make_secret
from nexus.services.tokens import Tokens
from nexus.settings import Settings
from nexus.store import SqliteDatabase
from nexus.store.clock import wall_clock
from nexus.store.database import prepare_data_dir
from nexus.store.unit_of_work import Clock, SqliteUnitOfWork


@dataclass(frozen=True, kw_only=True)
class Nexus:
    """A running Nexus: its one door, its senders, and the admin it made at a first start."""

    door: FrontDoor
    delivery: Delivery
    platform: Platform
    new_admin: AdminCredentials | None


@contextlib.asynccontextmanager
async def running(settings: Settings, clock: Clock = wall_clock) -> AsyncIterator[Nexus]:
    """Open the store, start the senders, and yield the app; on the way out stop both in order.

    Raises:
        DataDirError: the data folder cannot be used.
    """
    prepare_data_dir(settings.data_dir)
    keys = load_keys(settings.data_dir)
    database = SqliteDatabase(settings.database_path)
    database.migrate()
    bus = LocalBus()
    store = SqliteUnitOfWork(database, clock, bus.wake)
    platform = Platform(
        store=store,
        bus=bus,
        tokens=Tokens(key=keys.signing),
        pepper=keys.pepper,
        clock=clock,
        limits=settings.limits,
    )
    try:
        new_admin = await _bootstrap(platform, settings, keys)
        async with _delivering(platform) as delivery:
            door = create_gateway(platform, delivery, create_api(platform))
            yield Nexus(door=door, delivery=delivery, platform=platform, new_admin=new_admin)
    finally:
        await store.close()
        database.close()


@contextlib.asynccontextmanager
async def _delivering(platform: Platform) -> AsyncIterator[Delivery]:
    delivery = Delivery(platform)
    async with asyncio.TaskGroup() as group:
        senders = group.create_task(delivery.run(), name="delivery")
        try:
            yield delivery
        finally:
            senders.cancel()


async def _bootstrap(platform: Platform, settings: Settings, keys: Keys) -> AdminCredentials | None:
    """Make what a first start needs; return the admin's credentials if they were made just now."""
    tenant_id = await platform.store.write(installation.bootstrap)
    await platform.store.write(installation.start_alone, platform.limits.lease_ms)
    kept = read_admin_credentials(settings.data_dir)
    wanted = _wanted_admin(settings, kept)
    known = await platform.store.read(installation.has_admin, tenant_id, wanted.client_id)
    if known and kept == wanted:
        return None
    secret_hash = await asyncio.to_thread(hash_secret, wanted.client_secret, keys.pepper)
    await platform.store.write(installation.put_admin, tenant_id, wanted.client_id, secret_hash)
    write_admin_credentials(settings.data_dir, wanted)
    return None if settings.admin_client_secret is not None else wanted


def _wanted_admin(settings: Settings, kept: AdminCredentials | None) -> AdminCredentials:
    if settings.admin_client_secret is not None:
        secret = settings.admin_client_secret.get_secret_value()
        return AdminCredentials(client_id=settings.admin_client_id, client_secret=secret)
    if kept is not None:
        return kept
    return AdminCredentials(client_id=settings.admin_client_id, client_secret=make_secret())
