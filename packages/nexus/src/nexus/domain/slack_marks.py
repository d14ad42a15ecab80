"""Where messages of ours in Slack are known again: by a name in their metadata, which nobody sees.

An answer to a post may get lost. Whoever posts so looks for the message before it posts it again.
Source: https://docs.slack.dev/messaging/message-metadata
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

EVENT_TYPE = "oblivion_message"
_CLOCKS_APART_S = 120
"""How far Slack's clock may be behind ours when we look for what we posted."""

_PAGE = 200


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where something is said: in a channel, or in a thread there."""

    channel_id: str
    thread_ts: str | None = None


class Caller(Protocol):
    """Whatever calls Slack's Web API."""

    async def __call__(self, method: str, channel: str, **arguments: Any) -> Mapping[str, Any]:
        """Call a method about a channel, by Slack's name of it; return its answer."""
        ...


def marked(name: str) -> dict[str, Any]:
    """Return the metadata of the message of this name."""
    return {"event_type": EVENT_TYPE, "event_payload": {"name": name}}


async def find(call: Caller, spot: Spot, name: str, *, since_ms: int) -> str | None:
    """Return the ``ts`` of the message of this name; None if it is not there.

    ``since_ms`` is when it was posted at the earliest. What ``call`` raises goes through.
    """
    method = "conversations.history" if spot.thread_ts is None else "conversations.replies"
    wanted: dict[str, Any] = {
        "oldest": f"{since_ms / 1000 - _CLOCKS_APART_S:.6f}",
        "limit": _PAGE,
        "include_all_metadata": True,
    }
    if spot.thread_ts is not None:
        wanted["ts"] = spot.thread_ts
    cursor = ""
    while True:
        page = await call(method, spot.channel_id, **wanted, cursor=cursor)
        for message in page.get("messages", ()):
            if _name_of(message) == name:
                return str(message["ts"])
        cursor = page.get("response_metadata", {}).get("next_cursor", "")
        if not cursor:
            return None


def _name_of(message: Mapping[str, Any]) -> str | None:
    metadata = message.get("metadata") or {}
    name: str | None = (metadata.get("event_payload") or {}).get("name")
    return name
