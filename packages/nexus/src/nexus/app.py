"""The composition root: the only place that knows every part, and how they start and stop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nexus.api import Browsers, create_api, recognised, show_pages
from nexus.audit_anchor import AuditAnchor
from nexus.bus import LocalBus
from nexus.delivery import Delivery
from nexus.domain.audit_chain import End, audit_key
from nexus.domain.errors import Conflict, Unavailable
from nexus.domain.tool_policy import KnownRule
from nexus.gateway import FrontDoor, create_gateway
from nexus.integrations.slack.webhook import SlackWebhook
from nexus.key_watch import KeyWatch
from nexus.keys import (
    AdminCredentials,
    Keys,
    load_keys,
    read_admin_credentials,
    write_admin_credentials,
)
from nexus.observer import Observer
from nexus.services import audit, installation
from nexus.services.platform import Platform
from nexus.services.secrets import hash_secret, make_secret
from nexus.services.tokens import Tokens
from nexus.services.webhooks import Webhook
from nexus.settings import Settings, SettingsError
from nexus.store import Database, DataDirError, StoreError, Tx, open_database, open_unit_of_work
from nexus.store.clock import wall_clock
from nexus.store.database import prepare_data_dir
from nexus.store.unit_of_work import Clock
from nexus.toolbox import toolbox
from nexus.tools import ToolGateway

if TYPE_CHECKING:
    from nexus.integrations.slack.connection import Slack


@dataclass(frozen=True, kw_only=True)
class Nexus:
    """A running Nexus: its one door, its senders, and the admin it made at a first start."""

    door: FrontDoor
    delivery: Delivery
    platform: Platform
    observer: Observer
    new_admin: AdminCredentials | None
    database: Database


@contextlib.asynccontextmanager
async def running(settings: Settings, clock: Clock = wall_clock) -> AsyncIterator[Nexus]:
    """Open the store, start the senders, and yield the app; on the way out stop both in order.

    Raises:
        SettingsError: a secret that was chosen is weak.
        StoreError: the data folder or the database cannot be used.
    """
    settings.refuse_weak_secrets()
    prepare_data_dir(settings.data_dir)
    keys = load_keys(settings.data_dir, settings.signing_secrets)
    database = open_database(settings.database)
    await asyncio.to_thread(database.migrate)
    bus = LocalBus()
    store = open_unit_of_work(database, bus.wake, None if clock is wall_clock else clock)
    platform = Platform(
        store=store,
        bus=bus,
        tokens=Tokens(keys.signing),
        pepper=keys.pepper,
        clock=clock,
        anchor=AuditAnchor(settings.data_dir),
        limits=settings.limits,
        is_shared=database.is_shared,
    )
    try:
        database.claim()
        ours, new_admin = await _bootstrap(platform, settings, keys)
        delivery, tools = Delivery(platform), _tools(platform, settings)
        slack = _slack(platform, delivery, settings, ours)
        sources = _sources(platform, settings, ours)
        async with _working(delivery, tools, _key_watch(platform, settings), slack):
            browsers = Browsers(origins=settings.cors_origins, hsts_seconds=settings.hsts_seconds)
            api = create_api(
                platform, settings.guess_limits, browsers, sources, slack, lambda: tools.gate
            )
            observer = Observer(platform, recognised)
            show_pages(api, observer)
            yield Nexus(
                door=create_gateway(platform, delivery, api, browsers.origins),
                delivery=delivery,
                platform=platform,
                observer=observer,
                new_admin=new_admin,
                database=database,
            )
    finally:
        await store.close()
        database.close()


def _tools(platform: Platform, settings: Settings) -> ToolGateway:
    """Return what runs tools, with those of the settings."""
    rules = [
        KnownRule(id=f"settings-{number}", rule=rule)
        for number, rule in enumerate(settings.tool_rules, start=1)
    ]
    stock = toolbox(settings)
    return ToolGateway(platform, stock.tools, rules, stock.secrets)


def _sources(platform: Platform, settings: Settings, tenant_id: str) -> dict[str, Webhook]:
    """Return the other services whose webhooks are taken, for the tenant."""
    secret = settings.slack_signing_secret
    return {
        "slack": SlackWebhook(
            None if secret is None else secret.get_secret_value(),
            tenant_id,
            platform.clock,
            unsigned=settings.dev,
        )
    }


def _key_watch(platform: Platform, settings: Settings) -> KeyWatch | None:
    """Return what notices new keys in the data folder, where they come from there."""
    return None if settings.signing_secrets else KeyWatch(platform, settings.data_dir)


def _slack(
    platform: Platform, delivery: Delivery, settings: Settings, tenant_id: str
) -> "Slack | None":
    """Return the tenant's connection to Slack, where there is a token for one."""
    if settings.slack_bot_token is None:
        return None
    # Only who uses it loads it.
    from nexus.integrations.slack.connection import Slack, SlackSettings  # noqa: PLC0415

    app_token = settings.slack_app_token
    return Slack(
        platform,
        delivery,
        tenant_id,
        SlackSettings(
            bot_token=settings.slack_bot_token.get_secret_value(),
            app_token=None if app_token is None else app_token.get_secret_value(),
            api_url=settings.slack_api_url,
            public_url=settings.public_url,
            shared_channels=settings.slack_shared_channels,
            operators=frozenset(settings.slack_operators),
        ),
    )


class _Runs(Protocol):
    async def run(self) -> None: ...


@contextlib.asynccontextmanager
async def _working(delivery: Delivery, *others: _Runs | None) -> AsyncIterator[None]:
    """Have everything that runs beside the door run; if one fails, all stop loudly."""
    async with asyncio.TaskGroup() as group:
        running = [one for one in (delivery, *others) if one is not None]
        beside = [group.create_task(one.run(), name=type(one).__name__) for one in running]
        try:
            yield
        finally:
            await delivery.finish()
            for task in beside:
                task.cancel()


async def _bootstrap(
    platform: Platform, settings: Settings, keys: Keys
) -> tuple[str, AdminCredentials | None]:
    """Make what a first start needs.

    Returns the id of the first tenant, and its admin's credentials if they were made just now.
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
