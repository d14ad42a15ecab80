"""The commands about Slack, as their own process, against a Nexus that is connected with one."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from command_line import CommandLine, Outcome
from live_nexus import LiveNexus, live_nexus
from nexus.testing.slack import SlackServer
from slack_stage import CHANNEL, Stage

Nexus = Callable[..., Awaitable[Outcome]]


def command_line(nexus: LiveNexus, slack: SlackServer | None, folder: Path) -> Nexus:
    """Return what runs ``nexus`` as somebody does who has the settings of this Nexus."""
    environment = {
        "NEXUS_URL": nexus.url,
        "NEXUS_DATA_DIR": str(folder / "data"),
        **({} if slack is None else slack.environment()),
    }
    run = CommandLine(environment=environment, cwd=folder).process

    async def type_(*arguments: str) -> Outcome:
        return await asyncio.to_thread(run, *arguments)

    return type_


@pytest.fixture
def nexus(on_stage: Stage, tmp_path: Path) -> Nexus:
    return command_line(on_stage.nexus, on_stage.slack, tmp_path)


async def test_the_doctor_finds_a_healthy_connection_healthy(on_stage: Stage, nexus: Nexus) -> None:
    seen = await nexus("slack", "doctor", "--json")
    assert seen.code == 0, seen.out + seen.err
    found = {item["check"]: item for item in seen.json["items"]}
    assert [*found] == ["settings", "token", "scopes", "nexus", "channels", "round trip"]
    assert {item["status"] for item in found.values()} == {"ok"}, found
    await on_stage.slack.settled()
    assert on_stage.channel.messages == [], "what it said is gone"
    tasks = await on_stage.nexus.admin.get("/observer/tasks")
    assert tasks["items"] == [], "and made no task"


async def test_the_doctor_ends_with_1_where_nothing_is_set(on_stage: Stage, tmp_path: Path) -> None:
    nothing = await command_line(on_stage.nexus, None, tmp_path)("slack", "doctor")
    assert nothing.code == 1
    assert "there is no SLACK_BOT_TOKEN" in " ".join(nothing.out.split())
    assert nothing.err == "nexus: 1 of 1 checks failed\n"


async def test_status_shows_the_connection_and_the_channels(on_stage: Stage, nexus: Nexus) -> None:
    shown = await nexus("slack", "status")
    assert shown.code == 0, shown.err
    for words in ("connected", "True", on_stage.slack.app.user.id, CHANNEL, "project"):
        assert words in shown.out
    document = (await nexus("slack", "status", "--json")).json
    assert document["connected"] is True
    assert {one["name"] for one in document["channels"]} == {CHANNEL, "oblivion-group-team"}


async def test_a_project_gets_a_channel_that_was_there_and_people_are_invited(
    on_stage: Stage, nexus: Nexus
) -> None:
    on_stage.slack.open_channel("our-website", on_stage.anna)
    await on_stage.nexus.admin.project("web", group="team")
    linked = await nexus("slack", "link", "web", "#our-website")
    assert (linked.code, linked.out) == (0, "web has #our-website\n"), linked.err
    bob = on_stage.slack.user("bob", email="bob@example.com")
    invited = await nexus("slack", "invite", "web", "bob@example.com", "nobody@example.com")
    assert invited.code == 1
    assert invited.err == "nexus: not invited: nobody@example.com\n"
    assert bob.id in on_stage.slack.channel("our-website").members


async def test_what_cannot_be_done_is_told_in_one_line(nexus: Nexus) -> None:
    for arguments, says in (
        (("link", "no-such-project", "#general"), "no-such-project"),
        (("link", "team", "#no-such-channel"), "#no-such-channel"),
        (("resume", "nobody"), "nobody"),
    ):
        refused = await nexus("slack", *arguments)
        assert (refused.code, refused.out) == (1, "")
        assert says in refused.err
        assert refused.err.count("\n") == 1


async def test_an_agent_that_went_in_circles_is_shown_again(on_stage: Stage, nexus: Nexus) -> None:
    task = await on_stage.nexus.admin.task("Talk")
    await on_stage.card_of("Talk")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        for number in range(2):
            message = {"taskId": task["id"], "text": "the same", "clientMessageId": str(number)}
            await coder.call("post_message", message)
    await on_stage.slack.until(
        lambda: [call for call in on_stage.slack.calls() if "paused here" in str(call)]
    )
    paused = await nexus("slack", "status")
    assert "coder" in paused.out.lower()
    resumed = await nexus("slack", "resume", "coder")
    assert (resumed.code, resumed.out) == (0, "coder is shown again; 1 messages were not\n")
    assert (await nexus("slack", "status", "--json")).json["paused"] == []


async def test_without_slack_status_says_so_and_the_rest_says_what_to_set(tmp_path: Path) -> None:
    async with live_nexus(tmp_path / "data") as alone:
        nexus = command_line(alone, None, tmp_path)
        assert "False" in (await nexus("slack", "status")).out
        await alone.admin.team()
        refused = await nexus("slack", "link", "team", "#general")
        assert refused.code in {1, 3}
        assert "SLACK_BOT_TOKEN" in refused.err
