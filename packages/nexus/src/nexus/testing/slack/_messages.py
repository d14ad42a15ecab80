"""Where messages live: what stands in Slack, and how Slack writes it on the wire."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

SYSTEM_SUBTYPES = frozenset(
    {
        "channel_join",
        "channel_leave",
        "channel_name",
        "channel_topic",
        "channel_archive",
        "channel_unarchive",
    }
)
"""What Slack itself writes into a channel."""

_CONTROL = re.compile(r"<(?:[@#!][^<>\s]+|(?:https?|mailto):[^<>]+)>")


@dataclass(frozen=True, kw_only=True)
class Button:
    """A button as people see it."""

    label: str
    action_id: str
    value: str | None
    style: str | None
    block_id: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message as it stands; read it again from its channel to see what became of it."""

    channel_id: str
    ts: str
    text: str = ""
    team_id: str = ""
    user_id: str | None = None
    bot_id: str | None = None
    app_id: str | None = None
    username: str | None = None
    """The name under which the app spoke, where it chose one."""
    icon: str | None = None
    """Its picture there: ``:an_emoji:`` or an address."""
    blocks: tuple[Json, ...] = ()
    attachments: tuple[Json, ...] = ()
    files: tuple[Json, ...] = ()
    """What hangs on it, each with its ``name``."""
    thread_ts: str | None = None
    """The ``ts`` of the message that this one answers."""
    subtype: str | None = None
    reactions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of emoji with the users who reacted."""
    edited_ts: str | None = None
    edited_by: str | None = None
    metadata: Json | None = None
    client_msg_id: str | None = None

    @property
    def is_reply(self) -> bool:
        """Say whether it stands in a thread, not at its top."""
        return self.thread_ts is not None

    @property
    def is_edited(self) -> bool:
        """Say whether people see it as edited."""
        return self.edited_ts is not None

    @property
    def is_deleted(self) -> bool:
        """Say whether only "This message was deleted." is left, with the replies below."""
        return self.subtype == "tombstone"

    @property
    def root_ts(self) -> str:
        """The ``ts`` of the thread it stands in, or would begin."""
        return self.thread_ts or self.ts

    @property
    def shown(self) -> str:
        """What people read: the words of its blocks, or its text where it has none."""
        return "\n".join(_words(self.blocks)) if self.blocks else self.text

    @property
    def buttons(self) -> tuple[Button, ...]:
        """Its buttons, from top to bottom."""
        return tuple(_buttons(self.blocks))


def _words(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, Mapping) and part.get("type") == "rich_text_section":
        yield "".join(_in_line(element) for element in part["elements"])
    elif isinstance(part, Mapping):
        for name in ("text", "fields", "elements", "accessory"):
            yield from _words(part.get(name))
    elif isinstance(part, Sequence):
        for inner in part:
            yield from _words(inner)


def _in_line(element: Json) -> str:
    return f"<@{element['user_id']}>" if element["type"] == "user" else str(element.get("text", ""))


def _buttons(blocks: Sequence[Json]) -> Iterator[Button]:
    for block in blocks:
        elements = [*block.get("elements", ()), block.get("accessory") or {}]
        for element in (one for one in elements if one.get("type") == "button"):
            yield Button(
                label=element["text"]["text"],
                action_id=element["action_id"],
                value=element.get("value"),
                style=element.get("style"),
                block_id=block["block_id"],
            )


def with_ids(block: Json, new_id: Callable[[], str]) -> Json:
    """Return a block whose id, and whose buttons' ids, are there."""
    block = {"block_id": new_id(), **block}
    if "elements" in block and block["type"] == "actions":
        block["elements"] = [{"action_id": new_id(), **element} for element in block["elements"]]
    if block.get("accessory", {}).get("type") == "button":
        block["accessory"] = {"action_id": new_id(), **block["accessory"]}
    return block


def typed(text: str) -> str:
    """Return what Slack makes of what a person types: escaped, but for mentions and links."""
    parts: list[str] = []
    last = 0
    for control in _CONTROL.finditer(text):
        parts += [_escaped(text[last : control.start()]), control[0]]
        last = control.end()
    return "".join([*parts, _escaped(text[last:])])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def rich_text(text: str, block_id: str) -> Json:
    """Return the block that Slack's own clients send along with what a person typed."""
    elements: list[Json] = []
    last = 0
    for mention in re.finditer(r"<@(\w+)>", text):
        if mention.start() > last:
            elements.append({"type": "text", "text": text[last : mention.start()]})
        elements.append({"type": "user", "user_id": mention[1]})
        last = mention.end()
    if last < len(text):
        elements.append({"type": "text", "text": text[last:]})
    section = {"type": "rich_text_section", "elements": elements}
    return {"type": "rich_text", "block_id": block_id, "elements": [section]}


def wire(message: Message, replies: Sequence[Message] = (), *, metadata: bool = True) -> Json:
    """Return the message as Slack writes it; ``replies`` are those below it."""
    edited = {"user": message.edited_by, "ts": message.edited_ts} if message.is_edited else None
    fields: Json = {
        "type": "message",
        "subtype": message.subtype,
        "user": message.user_id,
        "bot_id": message.bot_id,
        "app_id": message.app_id,
        "username": message.username,
        "icons": _icons(message.icon),
        "client_msg_id": message.client_msg_id,
        "text": message.text,
        "ts": message.ts,
        "team": message.team_id or None,
        "blocks": list(message.blocks) or None,
        "attachments": list(message.attachments) or None,
        "files": list(message.files) or None,
        "thread_ts": message.thread_ts,
        "edited": edited,
        "metadata": message.metadata if metadata else None,
        "reactions": [
            {"name": name, "users": list(users), "count": len(users)}
            for name, users in message.reactions.items()
        ]
        or None,
    }
    if replies:
        fields |= _as_root(message, replies)
    return {name: value for name, value in fields.items() if value is not None}


def _icons(icon: str | None) -> Json | None:
    if icon is None:
        return None
    return {"emoji": icon} if icon.startswith(":") else {"image_48": icon}


def _as_root(message: Message, replies: Sequence[Message]) -> Json:
    writers = [reply.user_id or reply.bot_id for reply in replies]
    return {
        "thread_ts": message.ts,
        "reply_count": len(replies),
        "reply_users": list(dict.fromkeys(writers)),
        "reply_users_count": len(set(writers)),
        "latest_reply": replies[-1].ts,
    }
