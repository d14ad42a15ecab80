"""The doctor finds what keeps Slack and Nexus apart, and says what to do."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace

import pytest

from nexus.domain.findings import Finding
from nexus.integrations.slack.doctor import Access, Standing, Unwell, examine
from nexus.integrations.slack.manifest import SCOPES
from nexus.testing import SlackServer
from nexus.testing.slack import CutBefore, ServerFails

CHECKS = ["settings", "token", "scopes", "nexus", "channels", "round trip"]


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer.running() as server:
        yield server


@dataclass
class SomeNexus:
    """What a Nexus tells: by itself it hears whatever stands in the channel."""

    slack: SlackServer
    channels: Mapping[str, str | None] = field(default_factory=dict)
    connected: bool = True
    bot_user_id: str | None = None
    is_deaf: bool = False
    is_gone: bool = False

    def standing(self) -> Standing:
        if self.is_gone:
            raise Unwell("nothing answers")
        return Standing(
            connected=self.connected,
            bot_user_id=self.bot_user_id or self.slack.app.user.id,
            trouble=None if self.connected else "Slack does not accept the token",
            channels=self.channels,
        )

    def newest_event(self, channel_id: str) -> int:
        return 0 if self.is_deaf else len(self.slack.calls("chat.postMessage"))


def access(slack: SlackServer) -> Access:
    return Access(
        api_url=slack.api_url, bot_token=slack.app.bot_token, signing_secret="a-signing-secret"
    )


def at_work(slack: SlackServer) -> SomeNexus:
    """Return a Nexus whose project has a channel with the app in it."""
    channel = slack.open_channel("oblivion-core_web")
    slack.workspace.join(channel, slack.app.user)
    return SomeNexus(slack, {"web": channel.id})


async def findings(given: Access, nexus: SomeNexus) -> dict[str, Finding]:
    found = await asyncio.to_thread(lambda: list(examine(given, nexus, patience_s=0.5)))
    return {finding.check: finding for finding in found}


async def test_all_is_well_where_all_is_well(slack: SlackServer) -> None:
    found = await findings(access(slack), at_work(slack))
    assert [(check, found[check].status) for check in found] == [(check, "ok") for check in CHECKS]
    assert all(finding.fix is None for finding in found.values())


async def test_what_the_round_trip_said_goes_away(slack: SlackServer) -> None:
    nexus = at_work(slack)
    await findings(access(slack), nexus)
    assert len(slack.calls("chat.postMessage")) == 1
    assert slack.channel("oblivion-core_web").messages == []


async def test_a_nexus_that_is_not_told_is_found(slack: SlackServer) -> None:
    nexus = at_work(slack)
    nexus.is_deaf = True
    found = await findings(access(slack), nexus)
    assert found["round trip"].status == "fail"
    assert "/webhooks/slack" in (found["round trip"].fix or "")
    assert slack.channel("oblivion-core_web").messages == []


async def test_each_missing_scope_is_named_with_what_it_is_for(slack: SlackServer) -> None:
    slack.app.scopes = slack.app.scopes - {"chat:write.customize", "users:read.email"}
    found = (await findings(access(slack), at_work(slack)))["scopes"]
    assert found.status == "fail"
    for scope in ("chat:write.customize", "users:read.email"):
        assert f"{scope} ({SCOPES[scope]})" in found.found
    assert "install the app again" in (found.fix or "")


async def test_a_revoked_token_ends_the_examination(slack: SlackServer) -> None:
    slack.revoke_tokens()
    found = await findings(access(slack), at_work(slack))
    assert list(found) == ["settings", "token"]
    assert found["token"].status == "fail"
    assert "SLACK_API_URL" in (found["token"].fix or "")


@pytest.mark.parametrize("fault", [ServerFails(), CutBefore()])
async def test_a_slack_that_does_not_work_is_told_in_one_line(
    slack: SlackServer, fault: ServerFails | CutBefore
) -> None:
    slack.fail("auth.test", fault, times=5)
    found = (await findings(access(slack), at_work(slack)))["token"]
    assert found.status == "fail"
    assert "\n" not in found.found


async def test_an_address_where_nobody_listens_is_told(slack: SlackServer) -> None:
    nowhere = replace(access(slack), api_url="http://127.0.0.1:1/api/")
    assert (await findings(nowhere, at_work(slack)))["token"].status == "fail"


async def test_socket_mode_is_tried_where_it_is_used(slack: SlackServer) -> None:
    given = replace(access(slack), app_token=slack.app.app_token)
    found = await findings(given, at_work(slack))
    assert "Socket Mode" in found["settings"].found
    assert found["app token"].status == "ok"
    wrong = await findings(replace(given, app_token="xapp-wrong"), at_work_again(slack))
    assert wrong["app token"].status == "fail"
    assert "connections:write" in (wrong["app token"].fix or "")


def at_work_again(slack: SlackServer) -> SomeNexus:
    return SomeNexus(slack, {"web": slack.channel("oblivion-core_web").id})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"bot_token": None}, "there is no SLACK_BOT_TOKEN"),
        ({"bot_token": "xoxp-of-a-person"}, "SLACK_BOT_TOKEN does not begin with xoxb-"),
        ({"app_token": "xoxb-the-other-one"}, "SLACK_APP_TOKEN does not begin with xapp-"),
        ({"signing_secret": None}, "nothing can come in"),
    ],
)
async def test_settings_that_cannot_work_are_named_without_showing_them(
    slack: SlackServer, changes: dict[str, str | None], says: str
) -> None:
    given = Access(**{**vars(access(slack)), **changes})
    found = await findings(given, at_work(slack))
    assert found["settings"].status == "fail"
    assert says in found["settings"].found
    shown = str(found) + repr(given)
    for secret in ("xoxp-of-a-person", "xoxb-the-other-one", slack.app.bot_token):
        assert secret not in shown


async def test_a_nexus_that_is_not_connected_or_as_another_is_found(slack: SlackServer) -> None:
    nexus = at_work(slack)
    nexus.connected = False
    found = await findings(access(slack), nexus)
    assert found["nexus"].found == "Slack does not accept the token"
    assert "round trip" not in found
    nexus.connected, nexus.bot_user_id = True, "U0OTHER"
    other = (await findings(access(slack), nexus))["nexus"]
    assert (other.status, "U0OTHER" in other.found) == ("fail", True)
    nexus.is_gone = True
    assert (await findings(access(slack), nexus))["nexus"].found == "nothing answers"


async def test_channels_without_the_app_archived_gone_or_not_made_are_named(
    slack: SlackServer,
) -> None:
    nexus = at_work(slack)
    outside, old = slack.open_channel("outside"), slack.open_channel("old")
    slack.workspace.join(old, slack.app.user)
    old.is_archived = True
    nexus.channels = {
        **nexus.channels,
        "api": outside.id,
        "legacy": old.id,
        "lost": "C0NOWHERE",
        "fresh": None,
    }
    found = (await findings(access(slack), nexus))["channels"]
    assert found.status == "warn"
    for words in (
        "api has #outside without the app in it",
        "legacy has #old, which is archived",
        "lost has a channel that cannot be seen",
        "fresh has no channel yet",
    ):
        assert words in found.found


async def test_without_groups_there_is_nothing_to_look_at(slack: SlackServer) -> None:
    found = await findings(access(slack), SomeNexus(slack))
    assert found["channels"].status == "warn"
    assert "round trip" not in found
