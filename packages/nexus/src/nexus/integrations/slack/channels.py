"""Where groups and projects get their channels: made, taken over, archived with their owner."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from nexus.integrations.slack.client import Refused, SlackApi, tolerated
from nexus.integrations.slack.rendering import group_channel, project_channel
from nexus.integrations.worker import Record, Undeliverable, nothing
from nexus.services import slack as places
from nexus.store.tx import Row, Tx
from nexus.store.unit_of_work import UnitOfWork

_PAGE = 200
_MOST_NAMES = 5
_ARCHIVED = frozenset({"already_archived", "channel_not_found"})


class Channels:
    """The channels of groups and projects, made when they are first asked for."""

    def __init__(self, store: UnitOfWork, api: SlackApi) -> None:
        self._store = store
        self._api = api

    async def of(self, owner_id: str) -> str:
        """Return the id of the channel of a group or project; make it where there is none.

        Raises:
            Undeliverable: it has none, and can get none.
        """
        known = await self._store.read(places.channel_of, owner_id)
        if known is not None and known["archived_at"] is not None:
            raise Undeliverable(f"its channel #{known['name']} is archived")
        if known is not None:
            return str(known["channel_id"])
        for owner in await self._store.read(places.owners, [owner_id]):
            if owner["archived_at"] is None:
                return await self._open(owner)
        raise Undeliverable("its group or project is archived, and has no channel")

    async def _open(self, owner: Row) -> str:
        """Make a channel of the owner's name, or take over the one that has it."""
        first = name_of(owner)
        for name in (first, *(f"{first[:77]}-{number}" for number in range(2, _MOST_NAMES + 1))):
            channel_id = await self._make(name) or await self._adopt(name)
            if channel_id is not None:
                await self._store.write(places.keep_channel, owner, channel_id, name)
                return channel_id
        raise Undeliverable(f"{first} and {_MOST_NAMES - 1} names like it are closed to the app")

    async def _make(self, name: str) -> str | None:
        try:
            answer = await self._api.call("conversations_create", name=name)
        except Refused as refusal:
            if refusal.code == "name_taken":
                return None
            raise
        return str(answer["channel"]["id"])

    async def _adopt(self, name: str) -> str | None:
        """Join the open channel of this name; None where it is archived, private or another's."""
        channel = await self.find(name)
        if channel is None or channel.get("is_archived"):
            return None
        if await self._store.read(places.owner_of, channel["id"]) is not None:
            return None
        await self.join(channel)
        return str(channel["id"])

    async def join(self, channel: Mapping[str, Any]) -> None:
        """Have the app join a channel that it is not in."""
        if not channel.get("is_member"):
            await self._api.call("conversations_join", channel=channel["id"])

    async def find(self, name: str) -> Mapping[str, Any] | None:
        """Return the channel of this name or id that the app can see."""
        async for channel in self._all():
            if name in {channel.get("name"), channel.get("id")}:
                return channel
        return None

    async def _all(self) -> AsyncIterator[Mapping[str, Any]]:
        cursor = ""
        while True:
            page = await self._api.call("conversations_list", limit=_PAGE, cursor=cursor)
            for channel in page["channels"]:
                yield channel
            cursor = page.get("response_metadata", {}).get("next_cursor", "")
            if not cursor:
                return

    async def close(self, owner_id: str) -> Record:
        """Archive the channel of an archived group or project, if it has one."""
        channel = await self._store.read(places.channel_of, owner_id)
        if channel is None or channel["archived_at"] is not None:
            return nothing
        with tolerated(_ARCHIVED):
            await self._api.call("conversations_archive", channel=channel["channel_id"])
        return lambda tx: places.note_archived(tx, channel["channel_id"])


def name_of(owner: Row) -> str:
    """Return the name of the channel of a group or project."""
    if owner["kind"] == "group":
        return group_channel(owner["slug"])
    return project_channel(owner["group_slug"], owner["slug"])


def lose(tx: Tx, task: Row) -> None:
    """Forget the channel of a task that is gone, so that its project gets another one."""
    places.close_thread(tx, task)
    channel = places.channel_of(tx, task["project_id"])
    if channel is not None:
        places.forget_channel(tx, channel["channel_id"])
