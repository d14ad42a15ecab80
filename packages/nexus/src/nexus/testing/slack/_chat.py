"""Where an app's words are handled: ``chat.*`` and ``reactions.*`` of the Web API."""

import json
from dataclasses import replace
from typing import Any

from nexus.testing.slack._blocks import MOST_MARKDOWN, check_blocks
from nexus.testing.slack._channels import Channel, Whisper
from nexus.testing.slack._errors import RefusedError
from nexus.testing.slack._messages import Json, Message, wire
from nexus.testing.slack._methods import SPECIAL, TIER_2, TIER_3, Arguments, Caller, method

MOST_TEXT = 40_000
"""More is cut off, with a warning."""
MOST_TEXT_OF_UPDATE = 4_000
MOST_METADATA = 8_000
_CUSTOM = "chat:write.customize"


@method("chat.postMessage", scopes=("chat:write",), required=("channel",), per_minute=SPECIAL)
def post_message(caller: Caller, arguments: Arguments) -> Json:
    """Post into a channel, a thread, or somebody's direct messages."""
    channel = _place(caller, arguments.text("channel"))
    content = _content(caller, arguments)
    if not (content.get("text") or content.get("blocks") or content.get("attachments")):
        raise RefusedError("no_text")
    warning: Json = {}
    if len(content.get("text", "")) > MOST_TEXT:
        content["text"] = content["text"][:MOST_TEXT]
        warning = {"warning": "message_truncated"}
    message = Message(
        channel_id=channel.id,
        ts=caller.workspace.time.stamp(),
        team_id=caller.user.team_id,
        bot_id=caller.app.bot_id,
        app_id=caller.app.id,
        thread_ts=arguments.text("thread_ts") or None,
        **_author(caller, arguments),
        **content,
    )
    if message.is_reply and arguments.flag("reply_broadcast"):
        message = replace(message, subtype="thread_broadcast")
    posted = caller.workspace.post(channel, message)
    return {"channel": channel.id, "ts": posted.ts, "message": wire(posted), **warning}


def _place(caller: Caller, name: str) -> Channel:
    """Return where to post: by id, by name, or to a user."""
    workspace = caller.workspace
    if name in workspace.users:
        caller.need("im:write", "chat:write")
        return workspace.direct(workspace.users[name])
    for channel in workspace.channels.values():
        if channel.kind != "im" and channel.name == name.removeprefix("#"):
            name = channel.id
    channel = caller.channel(name)
    if channel.is_archived:
        raise RefusedError("is_archived")
    if channel.is_private or "chat:write.public" not in caller.app.scopes:
        caller.be_in(channel)
    return channel


def _author(caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """Return who speaks; a name and a picture are ignored without the scope for them."""
    name = arguments.text("username") or None
    icon = arguments.text("icon_emoji") or arguments.text("icon_url") or None
    if _CUSTOM not in caller.app.scopes or (name is None and icon is None):
        return {"user_id": caller.user.id}
    return {"subtype": "bot_message", "username": name or caller.user.real_name, "icon": icon}


def _content(caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """Return what a message says, as far as the arguments tell."""
    content: dict[str, Any] = {}
    if arguments.given.get("text") is not None:
        content["text"] = arguments.text("text")
    blocks = arguments.json("blocks", "invalid_blocks_format")
    if blocks is not None:
        content["blocks"] = caller.workspace.named(check_blocks(blocks))
    attachments = arguments.json("attachments", "invalid_attachments")
    if attachments is not None:
        content["attachments"] = tuple(attachments)
    if markdown := arguments.text("markdown_text"):
        content |= _from_markdown(caller, markdown, content)
    metadata = arguments.json("metadata", "invalid_metadata_format")
    if metadata is not None:
        content["metadata"] = _checked_metadata(metadata)
    return content


def _from_markdown(caller: Caller, markdown: str, content: dict[str, Any]) -> dict[str, Any]:
    if "text" in content or "blocks" in content:
        raise RefusedError("markdown_text_conflict")
    if len(markdown) > MOST_MARKDOWN:
        raise RefusedError("msg_too_long")
    blocks = caller.workspace.named([{"type": "markdown", "text": markdown}])
    return {"text": markdown, "blocks": blocks}


def _checked_metadata(metadata: Any) -> Json | None:
    if metadata == {}:
        return None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        raise RefusedError("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise RefusedError("invalid_metadata_format")
    if len(json.dumps(metadata)) > MOST_METADATA:
        raise RefusedError("metadata_too_large")
    return metadata


@method("chat.postEphemeral", scopes=("chat:write",), required=("channel", "user"), per_minute=100)
def post_ephemeral(caller: Caller, arguments: Arguments) -> Json:
    """Show something to one person alone."""
    channel = _place(caller, arguments.text("channel"))
    if arguments.text("user") not in channel.members:
        raise RefusedError("user_not_in_channel")
    content = _content(caller, arguments)
    if not (content.get("text") or content.get("blocks")):
        raise RefusedError("no_text")
    whisper = Whisper(
        user_id=arguments.text("user"),
        text=content.get("text", ""),
        blocks=content.get("blocks", ()),
        thread_ts=arguments.text("thread_ts") or None,
    )
    channel.whispers.append(whisper)
    return {"message_ts": caller.workspace.time.stamp()}


@method("chat.update", scopes=("chat:write",), required=("channel", "ts"), per_minute=TIER_3)
def update(caller: Caller, arguments: Arguments) -> Json:
    """Change a message of one's own."""
    channel = caller.channel(arguments.text("channel"))
    before = _own(caller, channel, arguments.text("ts"), "cant_update_message")
    content = _content(caller, arguments)
    if not content:
        raise RefusedError("no_text")
    if len(content.get("text", "")) > MOST_TEXT_OF_UPDATE:
        raise RefusedError("msg_too_long")
    if "text" in content and "blocks" not in content:
        # Slack says "edited" beside words that changed, and not beside blocks that did.
        content |= {"blocks": (), "edited_by": caller.user.id}
        content["edited_ts"] = caller.workspace.time.stamp()
    after = caller.workspace.edit(before, **content)
    return {"channel": channel.id, "ts": after.ts, "text": after.text, "message": wire(after)}


@method("chat.delete", scopes=("chat:write",), required=("channel", "ts"), per_minute=TIER_3)
def delete(caller: Caller, arguments: Arguments) -> Json:
    """Delete a message of one's own."""
    channel = caller.channel(arguments.text("channel"))
    message = _own(caller, channel, arguments.text("ts"), "cant_delete_message")
    caller.workspace.delete(message)
    return {"channel": channel.id, "ts": message.ts}


def _own(caller: Caller, channel: Channel, ts: str, refusal: str) -> Message:
    message = caller.message(channel, ts)
    if message.app_id != caller.app.id:
        raise RefusedError(refusal)
    if channel.is_archived:
        raise RefusedError("is_inactive")
    return message


@method(
    "chat.getPermalink",
    required=("channel", "message_ts"),
    per_minute=SPECIAL,
    takes_json=False,
)
def permalink(caller: Caller, arguments: Arguments) -> Json:
    """Tell the address of a message."""
    channel = caller.channel(arguments.text("channel"))
    message = caller.message(channel, arguments.text("message_ts"))
    place = f"{channel.id}/p{message.ts.replace('.', '')}"
    thread = f"?thread_ts={message.thread_ts}&cid={channel.id}" if message.is_reply else ""
    address = f"https://{caller.workspace.home.domain}.slack.com/archives/{place}{thread}"
    return {"channel": channel.id, "permalink": address}


@method(
    "reactions.add",
    scopes=("reactions:write",),
    required=("channel", "name", "timestamp"),
    per_minute=TIER_3,
)
def react(caller: Caller, arguments: Arguments) -> Json:
    """React to a message."""
    channel, message = _reacted_to(caller, arguments)
    if channel.is_archived:
        raise RefusedError("is_archived")
    caller.workspace.react(message, _emoji(arguments), caller.user.id)
    return {}


@method(
    "reactions.remove",
    scopes=("reactions:write",),
    required=("channel", "name", "timestamp"),
    per_minute=TIER_2,
)
def unreact(caller: Caller, arguments: Arguments) -> Json:
    """Take a reaction back."""
    _, message = _reacted_to(caller, arguments)
    caller.workspace.unreact(message, _emoji(arguments), caller.user.id)
    return {}


def _reacted_to(caller: Caller, arguments: Arguments) -> tuple[Channel, Message]:
    channel = caller.channel(arguments.text("channel"))
    caller.be_in(channel)
    return channel, caller.message(channel, arguments.text("timestamp"))


def _emoji(arguments: Arguments) -> str:
    name = arguments.text("name").strip(":")
    if not name.replace("_", "").replace("-", "").replace("+", "").replace(":", "").isalnum():
        raise RefusedError("invalid_name")
    return name
