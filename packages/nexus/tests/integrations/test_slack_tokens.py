"""A token of the wrong kind is refused in words, before anything works with it, or goes unused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from command_line import CommandLine
from eventually import eventually
from live_nexus import live_nexus
from nexus.settings import SettingsError, load_settings
from nexus.testing.slack import SlackServer


@pytest.mark.parametrize(
    ("variable", "token", "says"),
    [
        ("SLACK_BOT_TOKEN", "xoxp-1-hunter2", "slack_bot_token does not begin with xoxb-"),
        ("SLACK_BOT_TOKEN", "hunter2", "Bot User OAuth Token"),
        ("SLACK_APP_TOKEN", "xoxb-1-hunter2", "slack_app_token does not begin with xapp-"),
    ],
)
def test_nexus_does_not_start_with_a_token_of_another_kind_and_says_which(
    tmp_path: Path, variable: str, token: str, says: str
) -> None:
    environment = {"SLACK_BOT_TOKEN": "xoxb-1-hunter2", variable: token}
    started = CommandLine(environment=environment, cwd=tmp_path).process("serve", "--port", "0")
    assert started.code != 0
    assert says in started.err
    assert started.err.count("\n") == 1
    assert "hunter2" not in started.err + started.out


@pytest.mark.parametrize("token", ["xoxb-1-2", "xoxe.xoxb-1-2"])
def test_tokens_of_bots_are_taken(token: str) -> None:
    load_settings(slack_bot_token=token, slack_app_token="xapp-1-2").refuse_misplaced_tokens()
    with pytest.raises(SettingsError):
        load_settings(slack_bot_token=token[:-6] + "p-1").refuse_misplaced_tokens()


async def test_a_token_that_proves_to_be_no_bots_leaves_nexus_at_work_without_slack(
    tmp_path: Path,
) -> None:
    async with SlackServer.running() as slack:
        slack.app.user = replace(slack.app.user, bot_id=None)
        variables: dict[str, Any] = {
            name.lower(): value for name, value in slack.environment().items()
        }
        async with live_nexus(tmp_path / "data", **variables) as nexus:

            async def is_told() -> bool:
                status = await nexus.admin.get("/observer/slack")
                return "not the token of a bot" in (status["trouble"] or "")

            await eventually(is_told, what="status says what is wrong with the token")
            await nexus.admin.team()
            await nexus.admin.task("Mend the login")
