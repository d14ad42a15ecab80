"""Where tests have a Nexus of its own process that is connected with a Slack, and Anna in it."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from eventually import eventually
from free_port import free_port
from live_nexus import Admin, nexus_process
from nexus.testing.slack import Channel, Message, Person, SlackServer

CHANNEL = "oblivion-team_team"


@dataclass(frozen=True, kw_only=True)
class Town:
    """A Nexus with the project ``team``, whose channel Anna is in."""

    url: str
    admin: Admin
    slack: SlackServer
    anna: Person

    @property
    def channel(self) -> Channel:
        """The channel of the project."""
        return self.slack.channel(CHANNEL)

    def channel_of(self, message: Message) -> Channel:
        """Return the channel that a message stands in."""
        return self.slack.workspace.channels[message.channel_id]

    async def ask(self, text: str) -> Message:
        """Have Anna ask the app for something in the channel; return what she wrote."""
        return await self.anna.say(CHANNEL, f"{self.slack.mention} {text}")

    async def reply(self, root: Message, text: str) -> Message:
        """Return the reply in a thread that says this, once it is there."""

        def said() -> Message | None:
            thread = self.channel_of(root).thread(root)
            return next((one for one in thread if text in one.shown), None)

        return await self.slack.until(said, within_s=20)

    async def shows(self, message: Message, *texts: str) -> None:
        """Wait until a message says all of this."""

        def there() -> bool:
            shown = self.channel_of(message).message(message).shown
            return all(text in shown for text in texts)

        await self.slack.until(there, within_s=20)

    async def task_of(self, asked: Message) -> str:
        """Return the id of the task that was made of a mention."""
        listed = await self.admin.get("/observer/tasks")
        (found,) = [one for one in listed["items"] if one["slackThreadTs"] == asked.ts]
        return str(found["id"])


@contextlib.asynccontextmanager
async def town(folder: Path, *, socket_mode: bool = False) -> AsyncIterator[Town]:
    """Have a town until the block ends; its Slack keeps to the limits of the real one."""
    async with SlackServer.running() as slack:
        variables = slack.environment(socket_mode=socket_mode)
        async with (
            nexus_process(folder / "data", free_port(), **variables) as nexus,
            Admin(nexus.url) as admin,
        ):
            if socket_mode:
                await slack.until(lambda: slack.connections > 0)
            else:
                await slack.send_events_to(f"{nexus.url}/webhooks/slack")
            await admin.team()

            async def has_channels() -> bool:
                return len((await admin.get("/observer/slack"))["channels"]) == 2

            await eventually(has_channels, what="group and project have their channels")
            yield Town(url=nexus.url, admin=admin, slack=slack, anna=slack.user("anna"))
