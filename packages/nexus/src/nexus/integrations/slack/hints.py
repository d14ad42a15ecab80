"""Where agents that are connected here hear what is said in their group's channels, as hints."""

from collections.abc import Awaitable, Callable, Sequence

import sqlalchemy as sa

from nexus.integrations.slack.heard import HINT
from nexus.services import activity
from nexus.services.platform import Platform
from nexus.store.schema import group_members
from nexus.store.tx import Tx
from oblivion.protocol import EventType, SlackMessagePayload

AT_ONCE = 200
Tell = Callable[[Sequence[str], EventType, SlackMessagePayload], Awaitable[None]]
"""Sends a hint to those of these agents that are connected to this node."""


class Hints:
    """Follows the feed from where it stands at the beginning: hints are for who is there."""

    def __init__(self, platform: Platform, tenant_id: str, tell: Tell) -> None:
        self._store = platform.store
        self._tenant_id = tenant_id
        self._tell = tell
        self._cursor: int | None = None

    async def follow(self) -> int:
        """Tell what is new; return how many entries that were."""
        if self._cursor is None:
            self._cursor = await self._store.read(activity.position, self._tenant_id)
            return 0
        found = await self._store.read(
            activity.since, self._tenant_id, after=self._cursor, limit=AT_ONCE
        )
        for entry in found:
            if entry["type"] == HINT:
                await self._hint(SlackMessagePayload.model_validate(entry["data"]["message"]))
            self._cursor = entry["id"]
        return len(found)

    async def _hint(self, payload: SlackMessagePayload) -> None:
        members = await self._store.read(_members, payload.group_id)
        await self._tell(members, EventType.SLACK_MESSAGE, payload)


def _members(tx: Tx, group_id: str) -> list[str]:
    query = sa.select(group_members.c.agent_id).where(group_members.c.group_id == group_id)
    return [row["agent_id"] for row in tx.rows(query)]
