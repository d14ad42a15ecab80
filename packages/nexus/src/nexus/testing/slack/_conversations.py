"""Where places are handled: ``conversations.*`` of the Web API."""

from typing import Any

from nexus.testing.slack._channels import SCOPE_OF_KIND, Channel
from nexus.testing.slack._errors import RefusedError
from nexus.testing.slack._messages import Json, Message, wire
from nexus.testing.slack._methods import (
    TIER_2,
    TIER_3,
    TIER_4,
    Arguments,
    Caller,
    method,
    page,
)

_READ = ("channels:read", "groups:read", "im:read", "mpim:read")
_MANAGE = ("channels:manage", "groups:write")
_HISTORY = ("channels:history", "groups:history", "im:history", "mpim:history")
_TYPES = {"public_channel": "channel", "private_channel": "group", "im": "im"}
_MOST_INVITED = 100
_LONGEST_TOPIC = 250


def _manage(caller: Caller, channel_id: str) -> Channel:
    channel = caller.channel(channel_id)
    if channel.kind == "im":
        raise RefusedError("method_not_supported_for_channel_type")
    caller.need("groups:write" if channel.is_private else "channels:manage")
    return channel


@method("conversations.create", scopes=_MANAGE, required=("name",), per_minute=TIER_2)
def create(caller: Caller, arguments: Arguments) -> Json:
    """Create a channel; the app is in it."""
    private = arguments.flag("is_private")
    caller.need("groups:write" if private else "channels:manage")
    name = arguments.text("name")
    channel = caller.workspace.create_channel(name, caller.user, private=private)
    return {"channel": channel.wire(caller.user.id)}


@method("conversations.rename", scopes=_MANAGE, required=("channel", "name"), per_minute=TIER_2)
def rename(caller: Caller, arguments: Arguments) -> Json:
    """Give a channel another name; an app may rename those that it created."""
    channel = _manage(caller, arguments.text("channel"))
    if channel.is_archived:
        raise RefusedError("is_archived")
    caller.be_in(channel)
    if channel.creator != caller.user.id:
        raise RefusedError("not_authorized")
    caller.workspace.rename(channel, arguments.text("name"), caller.user)
    return {"channel": channel.wire(caller.user.id)}


@method(
    "conversations.setTopic",
    scopes=(*_MANAGE, "channels:write.topic", "groups:write.topic"),
    required=("channel", "topic"),
    per_minute=TIER_2,
)
def set_topic(caller: Caller, arguments: Arguments) -> Json:
    """Say what a channel is for; the app has to be in it."""
    channel = caller.channel(arguments.text("channel"))
    topic = arguments.text("topic")
    if channel.is_archived:
        raise RefusedError("is_archived")
    caller.be_in(channel)
    if len(topic) > _LONGEST_TOPIC:
        raise RefusedError("too_long")
    caller.workspace.describe(channel, topic, caller.user)
    return {"channel": channel.wire(caller.user.id)}


@method("conversations.archive", scopes=_MANAGE, required=("channel",), per_minute=TIER_2)
def archive(caller: Caller, arguments: Arguments) -> Json:
    """Archive a channel. That throws bots out of it."""
    channel = _manage(caller, arguments.text("channel"))
    if channel.is_archived:
        raise RefusedError("already_archived")
    if channel.name == "general":
        raise RefusedError("cant_archive_general")
    caller.be_in(channel)
    caller.workspace.archive(channel, caller.user)
    return {}


@method("conversations.unarchive", scopes=_MANAGE, required=("channel",), per_minute=TIER_2)
def unarchive(caller: Caller, arguments: Arguments) -> Json:
    """Take a channel out of the archive: refused, as archiving threw the bot out.

    https://docs.slack.dev/reference/methods/conversations.unarchive: a bot's token cannot.
    """
    channel = _manage(caller, arguments.text("channel"))
    if not channel.is_archived:
        raise RefusedError("not_archived")
    caller.be_in(channel)
    caller.workspace.unarchive(channel, caller.user)
    return {}


@method("conversations.join", scopes=("channels:join",), required=("channel",), per_minute=TIER_3)
def join(caller: Caller, arguments: Arguments) -> Json:
    """Go into a public channel."""
    channel = caller.channel(arguments.text("channel"))
    if channel.kind != "channel":
        raise RefusedError("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise RefusedError("is_archived")
    warning: Json = {}
    if caller.user.id in channel.members:
        warned = {"warnings": ["already_in_channel"]}
        warning = {"warning": "already_in_channel", "response_metadata": warned}
    caller.workspace.join(channel, caller.user)
    return {"channel": channel.wire(caller.user.id), **warning}


@method(
    "conversations.invite",
    scopes=(*_MANAGE, "channels:write.invites", "groups:write.invites"),
    required=("channel", "users"),
    per_minute=TIER_3,
)
def invite(caller: Caller, arguments: Arguments) -> Json:
    """Invite people; where one cannot be, nobody is, unless ``force`` is set."""
    channel = caller.channel(arguments.text("channel"))
    if channel.is_archived:
        raise RefusedError("is_archived")
    caller.be_in(channel)
    users = arguments.names("users")
    if not users:
        raise RefusedError("no_user")
    if len(users) > _MOST_INVITED:
        raise RefusedError("too_many_users")
    errors = [
        {"user": user, "ok": False, "error": error}
        for user in users
        if (error := _obstacle(caller, channel, user))
    ]
    failed = {error["user"] for error in errors}
    welcome = [user for user in users if user not in failed]
    if errors and not (arguments.flag("force") and welcome):
        raise RefusedError(str(errors[0]["error"]), errors=errors)
    for user in welcome:
        caller.workspace.join(channel, caller.workspace.users[user], inviter=caller.user)
    return {"channel": channel.wire(caller.user.id), **({"errors": errors} if errors else {})}


def _obstacle(caller: Caller, channel: Channel, user_id: str) -> str | None:
    user = caller.workspace.users.get(user_id)
    if user is None or user.is_deleted:
        return "user_not_found"
    if user == caller.user:
        return "cant_invite_self"
    if user_id in channel.members:
        return "already_in_channel"
    if user.team_id not in (channel.team_id, *channel.shared_with):
        return "cant_invite"
    return None


@method("conversations.open", scopes=("im:write",), per_minute=TIER_3)
def open_direct(caller: Caller, arguments: Arguments) -> Json:
    """Open the direct messages with somebody."""
    users = arguments.names("users")
    if len(users) != 1 or users[0] not in caller.workspace.users:
        raise RefusedError("user_not_found" if users else "users_list_not_supplied")
    channel = caller.workspace.direct(caller.workspace.users[users[0]])
    return {"channel": {"id": channel.id}}


@method("conversations.list", scopes=_READ, per_minute=TIER_2, takes_json=False)
def list_channels(caller: Caller, arguments: Arguments) -> Json:
    """List channels page by page; what is left out leaves a page shorter, or even empty."""
    types = arguments.names("types") or ["public_channel"]
    unknown = [name for name in types if name not in {*_TYPES, "mpim"}]
    if unknown:
        raise RefusedError("invalid_types")
    kinds = {_TYPES[name] for name in types if name in _TYPES}
    for kind in kinds:
        caller.need(f"{SCOPE_OF_KIND[kind]}:read")
    limit = arguments.number("limit", 100, most=999)
    shown, metadata = page([*caller.workspace.channels.values()], arguments, limit)
    without_archived = arguments.flag("exclude_archived")
    channels = [
        channel.wire(caller.user.id)
        for channel in shown
        if channel.kind in kinds
        and (not channel.is_private or caller.user.id in channel.members)
        and not (without_archived and channel.is_archived)
    ]
    return {"channels": channels, "response_metadata": metadata}


@method(
    "conversations.info", scopes=_READ, required=("channel",), per_minute=TIER_3, takes_json=False
)
def info(caller: Caller, arguments: Arguments) -> Json:
    """Tell of a channel."""
    channel = caller.channel(arguments.text("channel"))
    caller.need(f"{SCOPE_OF_KIND[channel.kind]}:read")
    return {"channel": channel.wire(caller.user.id)}


@method(
    "conversations.members",
    scopes=_READ,
    required=("channel",),
    per_minute=TIER_4,
    takes_json=False,
)
def members(caller: Caller, arguments: Arguments) -> Json:
    """List who is in a channel."""
    channel = caller.channel(arguments.text("channel"))
    limit = arguments.number("limit", 100, most=999)
    shown, metadata = page(channel.members, arguments, limit)
    return {"members": list(shown), "response_metadata": metadata}


@method(
    "conversations.history",
    scopes=_HISTORY,
    required=("channel",),
    per_minute=TIER_3,
    takes_json=False,
)
def history(caller: Caller, arguments: Arguments) -> Json:
    """List what stands in a channel, the newest first; replies are not among it."""
    channel = caller.read(arguments.text("channel"))
    between = [message for message in channel.history if _within(message, arguments)]
    return _listed(channel, between[::-1], arguments, limit=100)


@method(
    "conversations.replies",
    scopes=_HISTORY,
    required=("channel", "ts"),
    per_minute=TIER_3,
    takes_json=False,
)
def replies(caller: Caller, arguments: Arguments) -> Json:
    """List a thread from its root on, the oldest first."""
    channel = caller.read(arguments.text("channel"))
    found = channel.posted.get(arguments.text("ts"))
    if found is None:
        raise RefusedError("thread_not_found")
    below = [message for message in channel.thread(found) if _within(message, arguments)]
    return _listed(channel, [channel.posted[found.root_ts], *below], arguments, limit=1000)


def _within(message: Message, arguments: Arguments) -> bool:
    oldest, latest = arguments.text("oldest", "0"), arguments.text("latest", "9" * 12)
    for error, given in (("invalid_ts_oldest", oldest), ("invalid_ts_latest", latest)):
        if not given.replace(".", "", 1).isdecimal():
            raise RefusedError(error)
    if arguments.flag("inclusive"):
        return float(oldest) <= float(message.ts) <= float(latest)
    return float(oldest) < float(message.ts) < float(latest)


def _listed(channel: Channel, found: list[Message], arguments: Arguments, *, limit: int) -> Json:
    most = arguments.number("limit", limit, most=1000)
    shown, metadata = page(found, arguments, most)
    with_metadata = arguments.flag("include_all_metadata")
    answer: dict[str, Any] = {
        "messages": [
            wire(
                message,
                () if message.is_reply else channel.thread(message),
                metadata=with_metadata,
            )
            for message in shown
        ],
        "has_more": bool(metadata["next_cursor"]),
    }
    return answer | ({"response_metadata": metadata} if metadata["next_cursor"] else {})
