"""Where it is told what the tool ``slack`` does: messages, reactions and threads.

By Slack's Web API, https://docs.slack.dev/reference/methods.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from nexus.domain.slack_marks import Spot
from nexus.tools.builtins._slack_posting import Means, post
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


class _InChannel(Wish[Means]):
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

    async def carry_out(self, means: Means) -> Any:
        """Post it, and return where it stands."""
        said = {"text": _escaped(self.text), "unfurl_links": False, "unfurl_media": False}
        spot = Spot(channel_id=self.channel, thread_ts=self.thread_ts)
        ts = await post(means, spot, said)
        thread = {} if self.thread_ts is None else {"thread_ts": self.thread_ts}
        return {"channel": self.channel, "ts": ts, **thread}


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

    async def carry_out(self, means: Means) -> Any:
        """Add it, if it is not there."""
        await means("reactions.add", self.channel, timestamp=self.ts, name=self.emoji)
        return {"channel": self.channel, "ts": self.ts, "emoji": self.emoji}


class GetThread(_InChannel):
    """Read a thread, the oldest first: the message that begins it, and the replies."""

    action: ClassVar[str] = "get_thread"
    idempotent: ClassVar[bool] = True
    ts: Annotated[Stamp, Field(description="of the message that begins the thread")]
    limit: Annotated[int, Field(ge=1, le=200, description="the oldest so many")] = 50

    async def carry_out(self, means: Means) -> Any:
        """Return the messages."""
        found = await means("conversations.replies", self.channel, ts=self.ts, limit=self.limit)
        messages = [_message(one) for one in found["messages"][: self.limit]]
        return {"messages": messages, "hasMore": bool(found.get("has_more"))}


WISHES: list[type[Wish[Means]]] = [PostMessage, AddReaction, GetThread]


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
