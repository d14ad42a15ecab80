"""The composition root: the only place that knows every part, and how they start and stop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from nexus.api import create_api
from nexus.bus import LocalBus
from nexus.delivery import Delivery
from nexus.domain.errors import Unavailable
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
from nexus.store import Database, DataDirError, StoreError, open_database, open_unit_of_work
from nexus.store.clock import wall_clock
from nexus.store.database import prepare_data_dir
from nexus.store.unit_of_work import Clock


@dataclass(frozen=True, kw_only=True)
class Nexus:
    """A running Nexus: its one door, its senders, and the admin it made at a first start."""

    door: FrontDoor
    delivery: Delivery
    platform: Platform
    new_admin: AdminCredentials | None
    database: Database


@contextlib.asynccontextmanager
async def running(settings: Settings, clock: Clock = wall_clock) -> AsyncIterator[Nexus]:
    """Open the store, start the senders, and yield the app; on the way out stop both in order.

    Raises:
        StoreError: the data folder or the database cannot be used.
    """
    prepare_data_dir(settings.data_dir)
    keys = load_keys(settings.data_dir)
    database = open_database(settings.database)
    database.migrate()
    bus = LocalBus()
    store = open_unit_of_work(database, bus.wake, None if clock is wall_clock else clock)
    platform = Platform(
        store=store,
        bus=bus,
        tokens=Tokens(key=keys.signing),
        pepper=keys.pepper,
        clock=clock,
        limits=settings.limits,
        is_shared=database.is_shared,
    )
    try:
        new_admin = await _bootstrap(platform, settings, keys)
        async with _delivering(platform) as delivery:
            door = create_gateway(platform, delivery, create_api(platform))
            yield Nexus(
                door=door,
                delivery=delivery,
                platform=platform,
                new_admin=new_admin,
                database=database,
            )
