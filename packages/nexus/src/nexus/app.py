"""The composition root: the only place that knows every part, and how they start and stop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nexus.api import Browsers, create_api, recognised, show_pages
from nexus.audit_anchor import AuditAnchor, read_anchors
from nexus.bus import LocalBus
from nexus.delivery import Delivery
from nexus.domain.tool_policy import KnownRule
from nexus.first_start import first_start
from nexus.gateway import FrontDoor, create_gateway
from nexus.integrations.slack.webhook import SlackWebhook
from nexus.key_watch import KeyWatch
from nexus.keys import AdminCredentials, load_keys
from nexus.observer import Observer
from nexus.sealing_keys import SealingKeyFile
from nexus.self_checks import examine
from nexus.services.platform import Platform
from nexus.services.tokens import Tokens
from nexus.services.webhooks import Webhook
from nexus.settings import Settings
from nexus.store import Database, open_database, open_unit_of_work
from nexus.store.clock import wall_clock
from nexus.store.database import prepare_data_dir
from nexus.store.unit_of_work import Clock
from nexus.telemetry.redaction import KNOWN
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
        SettingsError: a secret that was chosen is weak, or a token of another kind.
        StoreError: the data folder or the database cannot be used.
    """
    settings.refuse_weak_secrets()
    settings.refuse_misplaced_tokens()
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
        sealing=SealingKeyFile(settings.data_dir, settings.sealing_secrets),
        is_shared=database.is_shared,
    )
    try:
        database.claim()
        ours, new_admin = await first_start(platform, settings, keys)
        delivery, tools = Delivery(platform), _tools(platform, settings)
        slack = _slack(platform, delivery, settings, ours)
        sources = _sources(platform, settings, ours)
        async with _working(delivery, tools, _key_watch(platform, settings), slack):
            browsers = Browsers(origins=settings.cors_origins, hsts_seconds=settings.hsts_seconds)
            api = create_api(
                platform, settings.guess_limits, browsers, sources, slack, lambda: tools.gate
            )
            observer = Observer(
                platform,
                recognised,
                gate=lambda: tools.gate,
                workspace=slack,
                examine=lambda who: examine(settings, database) if who == ours else [],
                anchors=lambda: read_anchors(settings.data_dir).values(),
            )
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
    return ToolGateway(platform, toolbox(settings, platform, KNOWN), rules, KNOWN)


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
