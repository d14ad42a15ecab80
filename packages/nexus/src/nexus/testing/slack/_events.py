"""Where events are worded: what Slack tells an app of what happened (pure)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nexus.testing.slack._channels import SCOPE_OF_KIND, Channel
from nexus.testing.slack._messages import SYSTEM_SUBTYPES, Json, Message, wire
from nexus.testing.slack._users import App


@dataclass(frozen=True, kw_only=True)
class Happening:
    """Something that an app may be told."""

    subscription: str
    """What an app subscribes to in order to hear of it, like ``message.channels``."""
    event: Json
    channel: Channel | None = None


def message_posted(
    message: Message, channel: Channel, app: App, *, parent: Message | None = None
) -> Iterator[Happening]:
    """Yield the ``message`` and, where it mentions the app, the ``app_mention`` beside it.

    There is no ``app_mention`` in direct messages, and none for what the app said itself.
    """
    event = wire(message)
    if parent is not None and parent.user_id is not None:
        event["parent_user_id"] = parent.user_id
    if message.subtype == "thread_broadcast" and parent is not None:
        event["root"] = wire(parent)
    yield _in_channel(channel, {**event, "event_ts": message.ts})
    yield from mentioned(message, channel, app)


def mentioned(message: Message, channel: Channel, app: App) -> Iterator[Happening]:
    """Yield the ``app_mention`` of a message, if it is one.

    An edit of a message that mentions the app, then or only now, brings one again: under the same
    ``ts`` and another event id, with ``edited`` in it.
    """
    said_by_others = message.app_id != app.id and message.subtype not in SYSTEM_SUBTYPES
    if channel.kind != "im" and said_by_others and f"<@{app.user.id}>" in message.text:
        event = {**wire(message), "type": "app_mention", "channel": channel.id}
        event["event_ts"] = message.edited_ts or message.ts
        yield Happening(subscription="app_mention", event=event, channel=channel)


def message_changed(
    before: Message, after: Message, channel: Channel, stamp: str, replies: Sequence[Message] = ()
) -> Happening:
    """Word an edit; the message is nested in it."""
    return _in_channel(
        channel,
        {
            "type": "message",
            "subtype": "message_changed",
            "message": wire(after, replies),
            "previous_message": wire(before, replies),
            "hidden": True,
            "ts": stamp,
            "event_ts": stamp,
        },
    )


def message_deleted(before: Message, channel: Channel, stamp: str) -> Happening:
    """Word a deletion; what was there is nested in it."""
    return _in_channel(
        channel,
        {
            "type": "message",
            "subtype": "message_deleted",
            "previous_message": wire(before),
            "deleted_ts": before.ts,
            "hidden": True,
            "ts": stamp,
            "event_ts": stamp,
        },
    )


def _in_channel(channel: Channel, event: Json) -> Happening:
    return Happening(
        subscription=f"message.{SCOPE_OF_KIND[channel.kind]}",
        event={**event, "channel": channel.id, "channel_type": channel.kind},
        channel=channel,
    )


def channel_changed(what: str, channel: Channel, user_id: str, stamp: str) -> Happening:
    """Word that a channel was archived, unarchived or renamed (``what``)."""
    kind = "group" if channel.kind == "group" else "channel"
    told: str | Json = channel.id
    if what == "rename":
        told = {"id": channel.id, "name": channel.name, "created": channel.created}
    return Happening(
        subscription=f"{kind}_{what}",
        event={"type": f"{kind}_{what}", "channel": told, "user": user_id, "event_ts": stamp},
        channel=channel,
    )


def member_joined(channel: Channel, user_id: str, inviter: str | None, stamp: str) -> Happening:
    """Word that somebody joined."""
    event: Json = {
        "type": "member_joined_channel",
        "user": user_id,
        "channel": channel.id,
        "channel_type": "G" if channel.kind == "group" else "C",
        "team": channel.team_id,
        "event_ts": stamp,
    }
    if inviter is not None:
        event["inviter"] = inviter
    return Happening(subscription="member_joined_channel", event=event, channel=channel)


def reaction(what: str, emoji: str, user_id: str, message: Message, stamp: str) -> Happening:
    """Word that a reaction was ``added`` or ``removed``."""
    return Happening(
        subscription=f"reaction_{what}",
        event={
            "type": f"reaction_{what}",
            "user": user_id,
            "reaction": emoji,
            "item_user": message.user_id,
            "item": {"type": "message", "channel": message.channel_id, "ts": message.ts},
            "event_ts": stamp,
        },
    )


def taken_out(app: App, stamp: str) -> Iterator[Happening]:
    """Yield that the app was taken out of the workspace, and its tokens are void."""
    tokens = {"oauth": [], "bot": [app.user.id]}
    for event in ({"type": "tokens_revoked", "tokens": tokens}, {"type": "app_uninstalled"}):
        yield Happening(subscription=str(event["type"]), event={**event, "event_ts": stamp})


def is_told(app: App, happening: Happening) -> bool:
    """Say whether the app hears of it: subscribed, and its bot can see the place."""
    if happening.subscription not in app.events:
        return False
    channel = happening.channel
    if channel is None or app.user.id in channel.members:
        return True
    return happening.subscription.startswith("channel_")


def envelope(app: App, happening: Happening, event_id: str, now_ms: int) -> Json:
    """Return what Slack sends around an event."""
    shared = happening.channel is not None and bool(happening.channel.shared_with)
    return {
        "token": app.verification_token,
        "team_id": app.user.team_id,
        "context_team_id": app.user.team_id,
        "context_enterprise_id": None,
        "api_app_id": app.id,
        "event": happening.event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": now_ms // 1000,
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": app.user.team_id,
                "user_id": app.user.id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": shared,
        "event_context": f"4-{event_id}",
    }
