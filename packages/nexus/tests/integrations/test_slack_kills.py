"""Nexus is killed between what Slack did and its record of it: nothing is lost or said twice."""

import contextlib
import socket
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from eventually import eventually
from live_nexus import Admin, NexusProcess, nexus_process
from nexus.testing.slack import Channel, Fault, Hangs, HangsAfter, Rules, SlackServer
from slack_stage import CHANNEL


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A Nexus as a process of its own, an admin, and the Slack that it is connected to."""

    process: NexusProcess
    slack: SlackServer
    admin: Admin

    @property
    def channel(self) -> Channel:
        """The channel of the project."""
        return self.slack.channel(CHANNEL)

    async def kill_and_start(self) -> None:
        """End Nexus without warning, let the claims that it held run out, and start it again."""
        await self.process.kill()
        with contextlib.closing(sqlite3.connect(self.process.data_dir / "nexus.db")) as database:
            held = "UPDATE deliveries SET claimed_until = 1 WHERE claimed_until IS NOT NULL"
            assert database.execute(held).rowcount == 1
            database.execute("UPDATE delivery_lanes SET open_at = 1, due_at = 1 WHERE due_at > 0")
            database.commit()
        await self.process.start()

    async def all_is_made(self) -> None:
        """Wait until no delivery waits."""

        async def made() -> bool:
            waiting: list[object] = (await self.admin.get("/observer/deliveries/counts"))["items"]
            return not waiting

        await eventually(made, what="every delivery is made")


@contextlib.asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """Open the scene, with the project's channel there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with (
        SlackServer.running(rules=Rules(paced=False)) as slack,
        nexus_process(folder / "data", port, **slack.environment()) as process,
        Admin(process.url) as admin,
    ):
        await slack.send_events_to(f"{process.url}/webhooks/slack")
        await admin.team()
        await slack.until(lambda: slack.channel(CHANNEL))
        opened = Scene(process=process, slack=slack, admin=admin)
        await opened.all_is_made()
        yield opened


async def test_what_slack_shows_already_is_recorded_and_not_said_again(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        on.slack.fail("chat.postMessage", HangsAfter())
        task = await on.admin.task("Mend the login")
        await on.slack.until(lambda: on.channel.messages)
        await on.kill_and_start()
        await on.all_is_made()
        (card,) = on.channel.messages
        cards = (await on.admin.get("/observer/deliveries", box="slack-out"))["items"]
        assert ("card", True) in [(one["kind"], one["unsure"]) for one in cards]
        await on.admin.say(task["id"], "In its thread.")
        await on.slack.until(lambda: on.channel.thread(card))
        assert len(on.channel.messages) == 1


async def test_what_slack_did_not_take_is_said_after_all(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        await hangs(on, "chat.postMessage", Hangs())
        assert on.channel.messages == []
        await on.kill_and_start()
        await on.all_is_made()
        assert len(on.channel.messages) == 1


async def hangs(on: Scene, method: str, fault: Fault) -> None:
    """Make a task, of which Nexus tells Slack in vain."""
    on.slack.fail(method, fault)
    await on.admin.task("Mend the login")
    await on.slack.until(lambda: [call for call in on.slack.calls(method) if call.error])


async def test_what_came_in_is_seen_to_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        task = await on.admin.task("Mend the login")
        card = await on.slack.until(lambda: on.channel.messages[0])
        await on.all_is_made()
        anna = on.slack.user("anna", email="anna@example.com")
        on.slack.fail("users.info", Hangs())
        await anna.say(on.channel, "It is urgent.", thread=card)
        await on.slack.until(lambda: on.slack.calls("users.info"))
        await on.kill_and_start()
        await on.all_is_made()
        thread = await on.admin.get(f"/tasks/{task['id']}/slack-thread")
        assert [one["text"] for one in thread["messages"]] == ["It is urgent."]
