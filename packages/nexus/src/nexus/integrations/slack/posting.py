"""Where messages are put into Slack, each once even if an answer gets lost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nexus.domain.slack_marks import Spot, find, marked
from nexus.integrations.slack.client import Refused, SlackApi, tolerated
from nexus.integrations.slack.rendering import Part
from nexus.integrations.worker import Undeliverable
from nexus.store.tx import Row

_NOT_THERE = frozenset({"message_not_found"})


@dataclass(frozen=True, kw_only=True)
class Face:
    """Under which name and icon something is said."""

    name: str
    icon: str


def in_doubt_since(row: Row) -> int | None:
    """Return since when what a delivery posts may be there; None where it surely is not."""
    created_at: int = row["created_at"]
    return created_at if row["unsure"] else None


class Poster:
    """Posts, changes and deletes the app's own messages.

    Slack keeps a name with each message that nobody sees (its metadata). Where it is not known
    whether a message was posted, it is looked for by that name before it is posted again.
    """

    def __init__(self, api: SlackApi) -> None:
        self._api = api

    async def post(
        self,
        spot: Spot,
        part: Part,
        *,
        name: str,
        since_ms: int | None,
        face: Face | None = None,
        broadcast: bool = False,
    ) -> str:
        """Post a message and return its ``ts``; one that is there already is not posted again.

        Where it may be there, ``since_ms`` is since when.

        Raises:
            Undeliverable: it may be there already, and Slack does not let us look.
        """
        if since_ms is not None:
            there = await self._find(spot, name, since_ms=since_ms)
            if there is not None:
                return there
        answer = await self._api.call(
            "chat_postMessage",
            channel=spot.channel_id,
            thread_ts=spot.thread_ts,
            text=part.text,
            blocks=part.blocks or None,
            metadata=marked(name),
            unfurl_links=False,
            unfurl_media=False,
            **_shown_as(spot, face, broadcast=broadcast),
        )
        return str(answer["ts"])

    async def update(self, channel_id: str, ts: str, part: Part) -> None:
        """Show a message of ours otherwise."""
        await self._api.call(
            "chat_update", channel=channel_id, ts=ts, text=part.text, blocks=part.blocks
        )

    async def delete(self, channel_id: str, ts: str) -> None:
        """Take a message of ours away, if it is still there."""
        with tolerated(_NOT_THERE):
            await self._api.call("chat_delete", channel=channel_id, ts=ts)

    async def _find(self, spot: Spot, name: str, *, since_ms: int) -> str | None:
        try:
            return await find(self._call, spot, name, since_ms=since_ms)
        except Refused as refusal:
            raise Undeliverable(
                "it may have been posted already, and Slack does not let us look for it "
                f"({refusal.code}); see whether it is there, and if not, have it tried again"
            ) from refusal

    async def _call(self, method: str, channel: str, **arguments: Any) -> Mapping[str, Any]:
        return await self._api.call(method.replace(".", "_"), channel=channel, **arguments)


def _shown_as(spot: Spot, face: Face | None, *, broadcast: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if face is not None:
        shown |= {"username": face.name, "icon_emoji": face.icon}
    if broadcast and spot.thread_ts is not None:
        shown["reply_broadcast"] = True
    return shown
