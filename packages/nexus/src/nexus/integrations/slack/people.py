"""Where it is known who somebody in Slack is: by name, and whether they may act."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

from nexus.integrations.slack.client import Refused, SlackApi
from nexus.integrations.worker import Halted, Postponed
from nexus.services.platform import Platform
from nexus.store.schema import slack_users
from nexus.store.tx import Row, Tx

FRESH_MS = 3_600_000
"""How long a name is good."""

SURE_MS = 60_000
"""How long it is good that somebody may act."""

PATIENCE_S = 0.5
"""How long a message waits for its author's name; without it, it shows their id."""

NOT_ASKED_S = 30.0
"""How long Slack is not asked for names after it did not tell one."""


class People:
    """What ``users.info`` says of people, kept for a while."""

    def __init__(self, platform: Platform, api: SlackApi, team_id: str) -> None:
        self._platform = platform
        self._api = api
        self._team_id = team_id
        self._ask_after = 0.0

    async def names(self, user_ids: Iterable[str]) -> dict[str, str]:
        """Return what these are called; who is not known in time is called by their id."""
        found = await asyncio.gather(*(self._known(user_id) for user_id in set(user_ids)))
        return {row["id"]: row["name"] for row in found}

    async def who(self, user_id: str) -> Row:
        """Return who this is: ``name``, ``is_human``; late answers are not waited for."""
        return await self._known(user_id)

    async def _known(self, user_id: str) -> Row:
        kept = await self._platform.store.read(_kept, user_id)
        if kept is not None and self._platform.clock() - kept["seen_at"] < FRESH_MS:
            return kept
        if time.monotonic() >= self._ask_after:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await self._ask(user_id)
            except Refused:
                pass
            except (TimeoutError, Postponed, Halted):
                self._ask_after = time.monotonic() + NOT_ASKED_S
        return kept or _stranger(user_id)

    async def may_act(self, user_id: str) -> Row:
        """Return who this is as Slack says it now, for somebody who pressed a button.

        Raises:
            Postponed: Slack does not say.
        """
        kept = await self._platform.store.read(_kept, user_id)
        if kept is not None and self._platform.clock() - kept["seen_at"] < SURE_MS:
            return kept
        try:
            return await self._ask(user_id)
        except Refused:
            return _stranger(user_id)

    async def _ask(self, user_id: str) -> Row:
        answer = await self._api.call("users_info", user=user_id)
        row = _described(answer["user"], self._team_id)
        await self._platform.store.write(_keep, row)
        return row


def _described(user: Mapping[str, Any], team_id: str) -> dict[str, Any]:
    profile = user.get("profile") or {}
    names = (profile.get("display_name"), profile.get("real_name"), user.get("real_name"))
    is_bot = bool(user.get("is_bot") or user.get("id") == "USLACKBOT")
    outside = user.get("is_stranger") or user.get("team_id", team_id) != team_id
    guest = user.get("is_restricted") or user.get("is_ultra_restricted")
    return {
        "id": user["id"],
        "name": next(filter(None, names), user.get("name") or user["id"]),
        "email": profile.get("email"),
        "is_human": not is_bot,
        "may_act": not (is_bot or outside or guest or user.get("deleted")),
    }


def _stranger(user_id: str) -> dict[str, Any]:
    return {"id": user_id, "name": user_id, "email": None, "is_human": True, "may_act": False}


def _kept(tx: Tx, user_id: str) -> Row | None:
    return tx.one(slack_users.select().where(slack_users.c.id == user_id))


def _keep(tx: Tx, row: Mapping[str, Any]) -> None:
    values = {**row, "seen_at": tx.now}
    if not tx.update(slack_users, values, id=row["id"]):
        tx.insert(slack_users, values)
