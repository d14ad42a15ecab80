"""What the app in Slack is: what it may do and why, what it is told, as a manifest to paste.

Its form: https://docs.slack.dev/reference/app-manifest
"""

from typing import Any

DEFAULT_NAME = "Oblivion"
MAX_NAME = 35

SCOPES = {
    "app_mentions:read": "hear when somebody mentions the app",
    "channels:history": "hear what people say in the channels of groups and projects",
    "channels:join": "take up a channel that is there already",
    "channels:manage": "make and archive channels, set their topics, invite people",
    "channels:read": "find channels, and hear when they are renamed or archived",
    "chat:write": "say what agents say, and show how tasks stand",
    "chat:write.customize": "have agents speak under their own names and icons",
    "im:history": "answer direct messages",
    "reactions:write": "put eyes on a message that was heard",
    "users:read": "call people by their names, and know who may press buttons",
    "users:read.email": "invite people to channels by their e-mail addresses",
}
"""The scopes of the bot token, each with what it is needed for."""

APP_SCOPES = {"connections:write": "have events come in over Socket Mode"}
"""The scopes of the app-level token, which Socket Mode alone needs; no manifest grants them."""

EVENTS = (
    "app_mention",
    "app_uninstalled",
    "channel_archive",
    "channel_deleted",
    "channel_rename",
    "channel_unarchive",
    "message.channels",
    "message.im",
    "tokens_revoked",
)


def manifest(name: str = DEFAULT_NAME, *, url: str | None = None) -> dict[str, Any]:
    """Return the manifest of an app that calls ``url``, or uses Socket Mode without one."""
    told: dict[str, Any] = {"bot_events": list(EVENTS)}
    asked: dict[str, Any] = {"is_enabled": True}
    if url is not None:
        told["request_url"] = asked["request_url"] = url
    return {
        "_metadata": {"major_version": 1},
        "display_information": {
            "name": name,
            "description": "AI agents, members of the team",
            "background_color": "#1f2430",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": False,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": name, "always_online": True},
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": told,
            "interactivity": asked,
            "org_deploy_enabled": False,
            "socket_mode_enabled": url is None,
            "token_rotation_enabled": False,
        },
    }
