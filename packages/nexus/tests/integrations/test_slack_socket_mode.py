"""Slack tells Nexus everything over a connection that Nexus opened: no address need be public."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nexus.testing.slack import CutBefore, Rules
from slack_stage import CHANNEL, Stage, in_no_hurry, stage


@pytest.fixture
async def on_stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage without pauses, and without webhooks."""
    with in_no_hurry():
        rules = Rules(paced=False, retry_after_s=(1.0,) * 10)
        async with stage(tmp_path / "data", rules=rules, socket_mode=True) as opened:
            yield opened


async def test_people_and_agents_talk_and_press_over_the_socket(on_stage: Stage) -> None:
    task = await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        await on_stage.anna.say(CHANNEL, "Use the new API", thread=card)
        assert (await coder.until("context_update"))["content"] == "Use the new API"
        await coder.call("post_message", {"taskId": task["id"], "text": "On it."})
        await on_stage.reply(card, "On it.")
    await on_stage.anna.click(card, "Cancel")
    await on_stage.nexus.admin.until(task["id"], "CANCELLED")


async def test_what_is_said_while_the_socket_is_away_is_heard_after_it_is_back(
    on_stage: Stage,
) -> None:
    slack = on_stage.slack
    await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        slack.fail("apps.connections.open", CutBefore())
        slack.cut_connections()
        await on_stage.anna.say(CHANNEL, "Use the new API", thread=card)
        assert (await coder.until("context_update"))["content"] == "Use the new API"
        await slack.refresh_connections()
        await on_stage.anna.say(CHANNEL, "And test it", thread=card)
        assert (await coder.until("context_update", count=2))["content"] == "And test it"
        assert len(coder.named("context_update")) == 2


async def test_people_see_how_slack_is_connected(tmp_path: Path) -> None:
    with in_no_hurry():
        async with stage(tmp_path / "data", socket_mode=True) as opened:
            status = await opened.nexus.admin.get("/observer/slack")
    assert status["connected"] is True
    assert status["socketMode"] is True
    assert status["team"]
