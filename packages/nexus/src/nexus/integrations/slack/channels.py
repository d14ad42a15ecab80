"""Where groups and projects get their channels: made, taken over, archived with their owner."""

import re
from collections.abc import Mapping
from typing import Any

from nexus.integrations.slack import boxes, lines
from nexus.integrations.slack.client import Refused, SlackApi, tolerated
from nexus.integrations.slack.rendering import group_channel, project_channel
from nexus.integrations.worker import Postponed, Record, Undeliverable, nothing
from nexus.services import slack as places
from nexus.store.tx import Row, Tx
from nexus.store.unit_of_work import UnitOfWork

_PAGE = 999
"""As many as Slack gives at once, for it takes few of these questions a minute."""

_MOST_NAMES = 5
_CHANNEL_ID = re.compile(r"[CG][A-Z0-9]{5,30}")
_ARCHIVED = frozenset({"already_archived", "channel_not_found"})


class Channels:
    """The channels of groups and projects, made when they are first asked for."""

    def __init__(self, store: UnitOfWork, api: SlackApi) -> None:
        self._store = store
        self._api = api
        self._left_off: dict[str, str] = {}

    async def of(self, owner_id: str) -> str:
        """Return the id of the channel of a group or project; make it where there is none.

        Raises:
            Undeliverable: it has none, and can get none.
        """
        known = await self._store.read(places.channel_of, owner_id)
        if known is not None and known["archived_at"] is not None:
            raise Undeliverable(lines.is_archived(known["name"]))
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
            channel_id = await self._make(owner, name) or await self._adopt(owner, name)
            if channel_id is not None:
                return channel_id
        raise Undeliverable(f"{first} and {_MOST_NAMES - 1} names like it are closed to the app")

    async def _make(self, owner: Row, name: str) -> str | None:
        try:
            answer = await self._api.call("conversations_create", name=name)
        except Refused as refusal:
            if refusal.code == "name_taken":
                return None
            raise
        channel_id = str(answer["channel"]["id"])
        await self._store.write(_begin, owner, channel_id, name)
        return channel_id

    async def _adopt(self, owner: Row, name: str) -> str | None:
        """Join the open channel of this name; None where it is private, another's, or shared.

        People of other organisations read along in a shared one, which a person has to want.

        Raises:
            Undeliverable: people have archived it; it is kept as the owner's, for when it is open.
        """
        channel = await self.find(name)
        if channel is None or channel.get("is_ext_shared"):
            return None
        other = await self._store.read(places.kept, channel["id"])
        if other is not None and other["owner_id"] != owner["id"]:
            return None
        if channel.get("is_archived"):
            await self._store.write(_keep_archived, owner, channel["id"], name)
            raise Undeliverable(lines.is_archived(name))
        await self.join(channel)
        await self._store.write(places.keep_channel, owner, channel["id"], name)
        return str(channel["id"])

    async def join(self, channel: Mapping[str, Any]) -> None:
        """Have the app join a channel that it is not in."""
        if not channel.get("is_member"):
            await self._api.call("conversations_join", channel=channel["id"])

    async def find(self, name: str) -> Mapping[str, Any] | None:
        """Return the channel of this name or id that the app can see, also an archived one.

        Where Slack wants a pause in the middle, the next to ask for this name goes on from there:
        a workspace of many channels takes more questions than there are to a minute.
        """
        if _CHANNEL_ID.fullmatch(name):
            return await self._look_at(name)
        cursor = self._left_off.pop(name, "")
        while True:
            try:
                page = await self._api.call("conversations_list", limit=_PAGE, cursor=cursor)
            except Postponed:
                self._left_off[name] = cursor
                raise
            for channel in page["channels"]:
                if channel.get("name") == name:
                    return dict(channel)
            cursor = page.get("response_metadata", {}).get("next_cursor", "")
            if not cursor:
                return None

    async def _look_at(self, channel_id: str) -> Mapping[str, Any] | None:
        try:
            return dict((await self._api.call("conversations_info", channel=channel_id))["channel"])
        except Refused as refusal:
            if refusal.code == "channel_not_found":
                return None
            raise

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


def _begin(tx: Tx, owner: Row, channel_id: str, name: str) -> None:
    """Keep a channel that we made, and have its topic say what it is for."""
    places.keep_channel(tx, owner, channel_id, name)
    boxes.speak(
        tx,
        owner["tenant_id"],
        key=f"{owner['id']}:{channel_id}",
        lane=f"{channel_id}:topic",
        kind=boxes.TOPIC,
        channel_id=channel_id,
        text=lines.topic(owner["kind"], owner["slug"]),
    )


def _keep_archived(tx: Tx, owner: Row, channel_id: str, name: str) -> None:
    places.keep_channel(tx, owner, channel_id, name)
    places.note_archived(tx, channel_id)


def lose(tx: Tx, task: Row, channel_id: str) -> None:
    """Forget the channel of a task that is gone, so that its project gets another one."""
    places.close_thread(tx, task)
    places.forget_channel(tx, channel_id)


def leave(tx: Tx, task: Row, channel_id: str) -> bool:
    """Note that the channel of a task is archived; say whether its project has another one."""
    places.note_archived(tx, channel_id)
    own = places.channel_of(tx, task["project_id"])
    if own is None or own["channel_id"] == channel_id:
        return False
    places.close_thread(tx, task)
    return True
