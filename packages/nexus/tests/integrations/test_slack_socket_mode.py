"""Slack tells Nexus everything over a connection that Nexus opened: no address need be public."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from eventually import eventually
from live_nexus import Admin, live_nexus
from nexus.testing.slack import CutBefore, Rules, SlackServer
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


async def test_an_app_token_that_is_not_good_shows_and_is_logged_once_until_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="nexus.integrations.slack")
    async with SlackServer.running(rules=Rules(paced=False)) as slack:
        good = slack.app.app_token
        variables: dict[str, Any] = {
            name.lower(): value for name, value in slack.environment(socket_mode=True).items()
        }
        slack.app.app_token = "xapp-1-another"
        async with live_nexus(tmp_path / "data", **variables) as nexus:
            await _is(nexus.admin, "trouble")
            status = await nexus.admin.get("/observer/slack")
            assert status["connected"] is False
            assert "Slack does not accept SLACK_APP_TOKEN" in status["trouble"]
            assert "connections:write" in status["trouble"]
            await slack.until(lambda: len(slack.calls("apps.connections.open")) > 1)
            slack.app.app_token = good
            await _is(nexus.admin, "connected")
            assert (await nexus.admin.get("/observer/slack"))["connected"] is True
    assert good not in caplog.text
    assert caplog.text.count("slack_trouble part=socket mode") == 1
    assert caplog.text.count("slack_trouble_over part=socket mode") == 1
    assert "Traceback" not in caplog.text


async def test_a_token_that_is_revoked_while_connected_shows_too(on_stage: Stage) -> None:
    slack = on_stage.slack
    slack.app.app_token = "xapp-1-another"
    slack.cut_connections()
    await _is(on_stage.nexus.admin, "trouble")


async def _is(admin: Admin, word: str) -> None:
    """Wait until whoever asks whether Nexus is ready is told this of Slack."""

    async def told() -> bool:
        ready = (await admin.http.get("/readyz")).json()
        return bool(ready["status"] == "ready" and ready["slack"] == word)

    await eventually(told, what=f"Slack is said to be {word!r}")


async def test_what_no_database_takes_is_passed_over_as_over_http(on_stage: Stage) -> None:
    slack = on_stage.slack
    await on_stage.nexus.admin.task("Mend the login")
    card = await on_stage.card_of("Mend the login")
    async with on_stage.agent() as coder:
        await coder.until("task_assigned")
        await on_stage.anna.say(CHANNEL, "with \x00 in it", thread=card)
        await on_stage.anna.say(CHANNEL, "without", thread=card)
        assert (await coder.until("context_update"))["content"] == "without"
        await slack.settled()
