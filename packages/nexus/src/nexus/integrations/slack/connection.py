"""Where everything of Slack on one node is owned: it runs as long as Nexus does."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nexus.delivery import Delivery
from nexus.delivery.patience import patiently
from nexus.domain.errors import Conflict, NotFound, Unavailable
from nexus.domain.slack_tokens import WHERE
from nexus.integrations.slack import boxes, mirror
from nexus.integrations.slack.channels import Channels
from nexus.integrations.slack.client import Refused, SlackApi, tolerated
from nexus.integrations.slack.hints import Hints
from nexus.integrations.slack.inbound import Inbound
from nexus.integrations.slack.outbound import Outbound
from nexus.integrations.slack.people import People
from nexus.integrations.slack.pressing import Pressing
from nexus.integrations.slack.saying import App
from nexus.integrations.slack.socket_mode import SocketMode
from nexus.integrations.worker import Box, Halted, Handler, Postponed, Record, Undeliverable, Worker
from nexus.services import activity
from nexus.services.platform import Platform
from nexus.services.workspace import Invitation, Invitations, SlackState
from nexus.store.tx import Row

POLL_S = 1.0
AGAIN_S = 30.0
_BREATH_S = 0.02
"""The least time between two looks at the feed, so that many entries are read at once."""

EVENTS_TOGETHER = 50

_log = logging.getLogger("nexus.integrations.slack")


@dataclass(frozen=True, kw_only=True)
class SlackSettings:
    """How the workspace is reached, and what holds there.

    ``operators`` are ids and e-mail addresses of those who may press buttons; of no one in
    particular, every full member may.
    """

    bot_token: str = field(repr=False)
    app_token: str | None = field(default=None, repr=False)
    api_url: str
    public_url: str | None = None
    shared_channels: bool = False
    operators: frozenset[str] = frozenset()


class Slack:
    """The connection of one tenant to its workspace."""

    def __init__(
        self, platform: Platform, delivery: Delivery, tenant_id: str, settings: SlackSettings
    ) -> None:
        self._platform = platform
        self.tenant_id = tenant_id
        self._settings = settings
        self._api = SlackApi(settings.bot_token, settings.api_url)
        self._channels = Channels(platform.store, self._api)
        self._hints = Hints(platform, tenant_id, delivery.hint)
        self._trouble: dict[str, str] = {}
        self._team: str | None = None
        self._bot_user_id: str | None = None

    @property
    def state(self) -> SlackState:
        """How the connection stands at this moment."""
        return SlackState(
            team=self._team,
            bot_user_id=self._bot_user_id,
            socket_mode=self._settings.app_token is not None,
            trouble="; ".join(self._trouble.values()) or None,
        )

    async def enter(self, channel: str) -> tuple[str, str]:
        """Join an open channel, by name or id; return its id and name.

        Raises:
            NotFound: there is none that the app can see.
            Conflict: it is archived.
            Unavailable: Slack does not answer.
        """
        with _at_once():
            found = await self._channels.find(channel.lstrip("#"))
            if found is None:
                raise NotFound(f"there is no channel {channel} that the app can see")
            if found.get("is_archived"):
                raise Conflict(f"#{found['name']} is archived; open it again in Slack first")
            await self._channels.join(found)
        return found["id"], found["name"]

    async def invite(self, channel_id: str, emails: list[str]) -> Invitations:
        """Have people of these addresses in a channel.

        Raises:
            Unavailable: Slack does not answer.
        """
        with _at_once():
            return Invitations(items=[await self._invite(channel_id, email) for email in emails])

    async def _invite(self, channel_id: str, email: str) -> Invitation:
        try:
            user = (await self._api.call("users_lookupByEmail", email=email))["user"]
            with tolerated({"already_in_channel"}):
                await self._api.call("conversations_invite", channel=channel_id, users=user["id"])
        except Refused as refusal:
            return Invitation(email=email, error=refusal.code)
        return Invitation(email=email, invited=True)

    async def run(self) -> None:
        """Mirror, send and take in until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(self._mirror), name="slack mirror")
                group.create_task(self._follow(self._hints.follow), name="slack hints")
                app = await self._identify()
                for box in self._boxes(app):
                    told = self._teller(box.name)
                    group.create_task(Worker(self._platform, box, told).run(), name=box.name)
                if self._settings.app_token is not None:
                    group.create_task(self._socket(self._settings.app_token).run(), name="slack")
        finally:
            await self._api.close()

    async def _identify(self) -> App:
        """Return who we are, as soon as Slack says so."""
        tell = self._teller("auth.test")
        while True:
            try:
                app, self._team = _who(await self._api.call("auth_test"))
            except (Halted, Postponed, Undeliverable) as error:
                tell(str(error))
                await asyncio.sleep(AGAIN_S)
            else:
                tell(None)
                self._bot_user_id = app.bot_user_id
                return app

    def _boxes(self, app: App) -> list[Box]:
        people = People(self._platform, self._api, app.team_id)
        handlers: dict[str, Handler] = {
            "event": Inbound(app, people, shared_channels=self._settings.shared_channels),
            "action": Pressing(self._platform, people, self._settings.operators),
        }

        async def take_in(row: Row) -> Record:
            return await handlers[row["kind"]](row)

        outbound = Outbound(self._platform, self._api, self._settings.public_url)
        send = mirror.unless_stopped(self._platform.store, outbound)
        return [
            Box(name=boxes.IN, handle=take_in, together=EVENTS_TOGETHER),
            Box(name=boxes.OUT, handle=send, gap_ms=boxes.GAP_MS),
        ]

    def _socket(self, app_token: str) -> SocketMode:
        told = self._teller("socket mode")
        return SocketMode(self._platform, self.tenant_id, app_token, self._api, told)

    def _teller(self, part: str) -> Callable[[str | None], None]:
        def tell(trouble: str | None) -> None:
            before = self._trouble.pop(part, None)
            if trouble is not None:
                self._trouble[part] = trouble
            if trouble not in {None, before}:
                _log.warning("slack_trouble part=%s reason=%r", part, trouble)
            elif trouble is None and before is not None:
                _log.info("slack_trouble_over part=%s", part)

        return tell

    async def _mirror(self) -> int:
        return await self._platform.store.write(mirror.follow, self.tenant_id)

    async def _follow(self, act: Callable[[], Awaitable[int]]) -> None:
        """Act whenever something happened, and once a second in any case."""
        happened = asyncio.Event()
        topic = activity.topic(self.tenant_id)
        stop = self._platform.bus.listen(topic, happened.set)
        try:
            while True:
                happened.clear()
                while await patiently(act):
                    pass
                await asyncio.sleep(_BREATH_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await happened.wait()
        finally:
            stop()


def _who(answer: Mapping[str, Any]) -> tuple[App, str]:
    """Return who we are, and what our workspace is called.

    Raises:
        Undeliverable: the token is not that of a bot.
    """
    try:
        app = App(
            team_id=answer["team_id"],
            bot_user_id=answer["user_id"],
            bot_id=answer["bot_id"],
            url=answer["url"],
        )
        return app, str(answer["team"])
    except KeyError as error:
        where = WHERE["SLACK_BOT_TOKEN"]
        raise Undeliverable(f"SLACK_BOT_TOKEN is not the token of a bot; {where}") from error


@contextlib.contextmanager
def _at_once() -> Iterator[None]:
    """Tell whoever waits for an answer that Slack does not give it now."""
    try:
        yield
    except (Halted, Postponed, Undeliverable) as error:
        raise Unavailable(str(error)) from error
