"""Where tests have a Nexus and a Slack that know each other, with people, agents and a project."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventually import eventually
from live_nexus import LiveNexus, live_nexus
from nexus.integrations.slack import boxes
from nexus.testing.slack import Channel, Message, Person, Rules, SlackServer
from socket_agent import SocketAgent, socket_agent

CHANNEL = "oblivion-team_team"
"""The channel of the stage's project."""


@contextlib.contextmanager
def in_no_hurry() -> Iterator[None]:
    """Have no pause between two messages of a channel, for a Slack that counts none."""
    gap, boxes.GAP_MS = boxes.GAP_MS, 0
    try:
        yield
    finally:
        boxes.GAP_MS = gap


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A Nexus with the project ``team``, its channel in Slack, and Anna who is in it."""

    nexus: LiveNexus
    slack: SlackServer
    anna: Person

    @property
    def channel(self) -> Channel:
        """The channel of the project."""
        return self.slack.channel(CHANNEL)

    async def card_of(self, title: str) -> Message:
        """Return the root message of a task, once it is there."""
        return await self.slack.until(lambda: self._showing(title))

    def _showing(self, title: str) -> Message | None:
        return next((one for one in self.channel.messages if title in one.shown), None)

    async def reply(self, root: Message, text: str) -> Message:
        """Return a reply in a thread that says this, once it is there."""

        def said() -> Message | None:
            thread = self.channel.thread(root)
            return next((message for message in thread if text in message.shown), None)

        return await self.slack.until(said)

    @contextlib.asynccontextmanager
    async def agent(
        self, client_id: str = "coder", **announcement: Any
    ) -> AsyncIterator[SocketAgent]:
        """Have an agent of the team connected and ready."""
        await self.nexus.admin.agent(client_id)
        token = await self.token(client_id)
        async with socket_agent(self.nexus.url, token) as agent:
            await agent.ready(**announcement)
            yield agent

    async def token(self, client_id: str) -> str:
        """Return an access token of one of the stage's agents."""
        settings = self.nexus.agent_settings(client_id)
        answer = await self.nexus.admin.http.post(
            "/auth/token",
            data={
                "grant_type": "client_credentials",
                "client_id": client_id,
                "client_secret": settings["client_secret"],
            },
        )
        token: str = answer.json()["access_token"]
        return token


@contextlib.asynccontextmanager
async def stage(
    data_dir: Path, *, rules: Rules | None = None, socket_mode: bool = False, **options: Any
) -> AsyncIterator[Stage]:
    """Open the stage: Nexus answers, Slack tells it everything, the project has its channel."""
    async with SlackServer.running(rules=rules or Rules(paced=False)) as slack:
        secrets = slack.environment(socket_mode=socket_mode)
        named: dict[str, Any] = {name.lower(): value for name, value in secrets.items()}
        async with live_nexus(data_dir, **named, **options) as nexus:
            if socket_mode:
                await slack.until(lambda: slack.connections > 0)
            else:
                await slack.send_events_to(f"{nexus.url}/webhooks/slack")
            await nexus.admin.team()
            anna = slack.user("anna", email="anna@example.com")
            await eventually(lambda: _has_channels(nexus), what="group and project have channels")
            yield Stage(nexus=nexus, slack=slack, anna=anna)


async def _has_channels(nexus: LiveNexus) -> bool:
    status = await nexus.admin.get("/observer/slack")
    return len(status["channels"]) == 2
