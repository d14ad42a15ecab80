"""The app in Slack may do what it needs, and no more; the command prints what Slack takes."""

from pathlib import Path

import pytest

from command_line import CommandLine
from nexus.integrations.slack.manifest import EVENTS, SCOPES, manifest

NEEDED_BY = {
    "app_mention": "app_mentions:read",
    "channel_archive": "channels:read",
    "channel_deleted": "channels:read",
    "channel_rename": "channels:read",
    "channel_unarchive": "channels:read",
    "message.channels": "channels:history",
    "message.im": "im:history",
}
"""Which scope lets Slack send an event, from the pages of the events; the others need none."""


@pytest.fixture
def local(tmp_path: Path) -> CommandLine:
    return CommandLine(environment={}, cwd=tmp_path)


def test_every_event_has_the_scope_that_it_needs() -> None:
    assert {NEEDED_BY[event] for event in EVENTS if event in NEEDED_BY} <= SCOPES.keys()
    assert set(EVENTS) - NEEDED_BY.keys() == {"app_uninstalled", "tokens_revoked"}


def test_the_app_may_not_act_for_people_or_read_private_channels() -> None:
    scopes = manifest()["oauth_config"]["scopes"]
    assert scopes.keys() == {"bot"}
    assert not [scope for scope in scopes["bot"] if scope.startswith(("groups:", "mpim:", "admin"))]


def test_without_an_address_nexus_opens_the_connection(local: CommandLine) -> None:
    printed = local("slack", "manifest")
    assert printed.code == 0, printed.err
    settings = printed.json["settings"]
    assert settings["socket_mode_enabled"] is True
    assert settings["interactivity"] == {"is_enabled": True}
    assert "request_url" not in settings["event_subscriptions"]
    assert "Socket Mode" in printed.err


@pytest.mark.parametrize("by", ["option", "setting"])
def test_with_an_address_slack_calls_it(tmp_path: Path, by: str) -> None:
    address = "https://nexus.example.com/"
    environment = {"NEXUS_PUBLIC_URL": address} if by == "setting" else {}
    options = ("--url", address) if by == "option" else ()
    printed = CommandLine(environment=environment, cwd=tmp_path)("slack", "manifest", *options)
    assert printed.code == 0, printed.err
    settings = printed.json["settings"]
    webhook = "https://nexus.example.com/webhooks/slack"
    assert settings["socket_mode_enabled"] is False
    assert settings["interactivity"]["request_url"] == webhook
    assert settings["event_subscriptions"]["request_url"] == webhook


def test_socket_mode_is_chosen_over_the_address_of_the_settings(tmp_path: Path) -> None:
    local = CommandLine(environment={"NEXUS_PUBLIC_URL": "http://localhost:3000"}, cwd=tmp_path)
    assert local("slack", "manifest", "--socket-mode").json["settings"]["socket_mode_enabled"]


def test_the_app_is_called_as_wished(local: CommandLine) -> None:
    printed = local("slack", "manifest", "--name", "Crew").json
    assert printed["display_information"]["name"] == "Crew"
    assert printed["features"]["bot_user"]["display_name"] == "Crew"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--url", "http://nexus.example.com"), "not http://nexus.example.com"),
        (("--url", "nexus.example.com"), "https://nexus.example.com"),
        (("--url", "https://n.example.com", "--socket-mode"), "choose one"),
        (("--name", "x" * 36), "1 to 35 characters"),
        (("--name", " "), "1 to 35 characters"),
    ],
)
def test_what_slack_would_refuse_is_refused_in_one_line(
    local: CommandLine, options: tuple[str, ...], said: str
) -> None:
    refused = local("slack", "manifest", *options)
    assert refused.code == 2
    assert said in refused.err
    assert refused.err.count("\n") == 1


def test_people_can_write_to_the_app_and_slack_knows_every_part_of_the_manifest() -> None:
    made = manifest(url="https://nexus.example.com/webhooks/slack")
    home = made["features"]["app_home"]
    assert home["messages_tab_enabled"] is True
    assert home["messages_tab_read_only_enabled"] is False
    assert made.keys() <= {
        *("_metadata", "display_information", "features", "oauth_config", "settings")
    }
    assert made["settings"].keys() <= SETTINGS
    assert len(made["display_information"]["description"]) <= 140


SETTINGS = {
    "allowed_ip_address_ranges",
    "event_subscriptions",
    "incoming_webhooks",
    "interactivity",
    "org_deploy_enabled",
    "socket_mode_enabled",
    "token_rotation_enabled",
}
"""The settings of https://docs.slack.dev/reference/app-manifest for apps that run elsewhere."""
