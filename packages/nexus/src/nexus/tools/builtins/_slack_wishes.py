"""Where it is told what the tool ``slack`` does: messages, reactions and threads.

By Slack's Web API, https://docs.slack.dev/reference/methods.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import Field, StringConstraints

from nexus.tools.builtins._wishes import Wish

ChannelId = Annotated[
    str,
    StringConstraints(pattern=r"^[CG][A-Z0-9]{2,30}$"),
    Field(description="the id of an allowed channel, such as C0123456789"),
]
Stamp = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{1,12}\.[0-9]{6}$"),
    Field(description="the ts of a message"),
]
_LONGEST_MESSAGE = 8_000


class Caller(Protocol):
    """Whatever calls Slack's Web API."""

    async def __call__(self, method: str, channel: str, **arguments: Any) -> Mapping[str, Any]:
        """Call a method about a channel; return its answer.

        Raises:
            ToolError: Slack refused, or the channel is none that is allowed.
        """
        ...


class _InChannel(Wish[Caller]):
    channel: ChannelId


class PostMessage(_InChannel):
    """Post a message in a channel, or in a thread there; it mentions nobody."""

    action: ClassVar[str] = "post_message"
    text: Annotated[
        str,
        StringConstraints(min_length=1, max_length=4_000),
        Field(description="plain, or with Slack's *bold*, _italic_ and `code`"),
    ]
    thread_ts: Annotated[Stamp | None, Field(description="the ts of the thread's root")] = None

    async def carry_out(self, means: Caller) -> Any:
        """Post it, and return where it stands."""
        said = {"text": _escaped(self.text), "unfurl_links": False, "unfurl_media": False}
        thread = {} if self.thread_ts is None else {"thread_ts": self.thread_ts}
        posted = await means("chat.postMessage", self.channel, **said, **thread)
        return {"channel": self.channel, "ts": posted["ts"], **thread}


class AddReaction(_InChannel):
    """React to a message with an emoji; once more changes nothing."""

    action: ClassVar[str] = "add_reaction"
    idempotent: ClassVar[bool] = True
    ts: Stamp
    emoji: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z0-9_+'-]{1,100}$"),
        Field(description="its name without colons, such as eyes"),
    ]

    async def carry_out(self, means: Caller) -> Any:
        """Add it, if it is not there."""
        await means("reactions.add", self.channel, timestamp=self.ts, name=self.emoji)
        return {"channel": self.channel, "ts": self.ts, "emoji": self.emoji}


class GetThread(_InChannel):
    """Read a thread, the oldest first: the message that begins it, and the replies."""

    action: ClassVar[str] = "get_thread"
    idempotent: ClassVar[bool] = True
    ts: Annotated[Stamp, Field(description="of the message that begins the thread")]
    limit: Annotated[int, Field(ge=1, le=200, description="the oldest so many")] = 50

    async def carry_out(self, means: Caller) -> Any:
        """Return the messages."""
        found = await means("conversations.replies", self.channel, ts=self.ts, limit=self.limit)
        messages = [_message(one) for one in found["messages"][: self.limit]]
        return {"messages": messages, "hasMore": bool(found.get("has_more"))}


WISHES: list[type[Wish[Caller]]] = [PostMessage, AddReaction, GetThread]


def _escaped(text: str) -> str:
    """Return a text in which nothing is a mention: of a person, a group, or everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _message(one: Mapping[str, Any]) -> dict[str, Any]:
    text = str(one.get("text") or "")
    return {
        "ts": one["ts"],
        "author": one.get("user") or one.get("bot_id"),
        "isBot": "bot_id" in one,
        "text": text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}...",
    }
