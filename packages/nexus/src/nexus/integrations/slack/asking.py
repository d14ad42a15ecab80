"""Where people are asked in Slack whether a tool may be used, and see who decided what."""

from collections.abc import Awaitable, Callable

import sqlalchemy as sa

from nexus.domain.slack_marks import Spot
from nexus.domain.tool_calls import CallState
from nexus.integrations.slack import boxes, lines, showing
from nexus.integrations.slack.channels import Channels
from nexus.integrations.slack.client import tolerated
from nexus.integrations.slack.posting import Poster, in_doubt_since
from nexus.integrations.slack.rendering import Approval, Part, approval, decided, settled
from nexus.integrations.worker import Record, nothing
from nexus.services import deliveries, tool_calls
from nexus.services.deliveries import Letter
from nexus.store.schema import group_members, groups, slack_approvals
from nexus.store.tool_tables import tool_calls as table
from nexus.store.tx import Row, Tx
from nexus.store.unit_of_work import UnitOfWork

ASKED = "approval_requested"
ENDED = frozenset({"approval_decided", "tool_refused"})
_GONE = frozenset({"message_not_found", "channel_not_found", "is_archived"})

ThreadOf = Callable[[Row, Row], Awaitable[Spot]]
"""Returns where a task is talked about, for a delivery; it begins the thread if need be."""


def follow(tx: Tx, entry: Row) -> None:
    """Post what Slack should show of an entry about a call that waits, or waits no more."""
    if entry["type"] == ASKED:
        _post(tx, entry, boxes.APPROVAL, entry["data"]["approval_id"])
    elif entry["type"] in ENDED:
        data = entry["data"]
        call_id = data.get("approval_id") or data["call_id"]
        if deliveries.knows(tx, boxes.OUT, f"{boxes.APPROVAL}:{call_id}"):
            _post(tx, entry, boxes.DECIDED, call_id)


def _post(tx: Tx, entry: Row, kind: str, call_id: str) -> None:
    """Post it in the lane of the task's project; without a task in that of the agent's group."""
    owner_id = entry["project_id"] or _group_of(tx, entry["agent_id"])
    if owner_id is None:
        return
    letter = Letter(
        tenant_id=entry["tenant_id"],
        box=boxes.OUT,
        key=f"{kind}:{call_id}",
        lane=owner_id,
        kind=kind,
        payload={"call_id": call_id, "owner_id": owner_id},
        task_id=entry["task_id"],
        urgent=True,
    )
    deliveries.post(tx, letter)


def _group_of(tx: Tx, agent_id: str) -> str | None:
    """Return the group that an agent joined first, of those that are open."""
    query = (
        sa.select(groups.c.id)
        .join_from(groups, group_members)
        .where(group_members.c.agent_id == agent_id, groups.c.archived_at.is_(None))
        .order_by(group_members.c.joined_at, groups.c.id)
        .limit(1)
    )
    found: str | None = tx.scalar(query)
    return found


class Asking:
    """Shows calls that wait for a person, with their buttons, and what became of them."""

    def __init__(
        self,
        store: UnitOfWork,
        poster: Poster,
        channels: Channels,
        thread_of: ThreadOf,
        public_url: str | None,
    ) -> None:
        self._store = store
        self._poster = poster
        self._channels = channels
        self._thread_of = thread_of
        self._public_url = public_url

    async def ask(self, row: Row) -> Record:
        """Show a call that waits; one that was decided meanwhile is not shown any more."""
        call_id = row["payload"]["call_id"]
        call = await self._store.read(_call, call_id)
        if call is None or call["state"] != CallState.PENDING_APPROVAL:
            return nothing
        spot = await self._spot(row, call)
        ts = await self._poster.post(
            spot, self._drawn(call), name=f"approval:{call_id}", since_ms=in_doubt_since(row)
        )
        place = {"call_id": call_id, "channel_id": spot.channel_id, "ts": ts}
        return lambda tx: tx.insert(slack_approvals, {**place, "created_at": tx.now})

    async def conclude(self, row: Row) -> Record:
        """Show who decided what in the place of the buttons, or that nobody did in time."""
        call_id = row["payload"]["call_id"]
        call = await self._store.read(_call, call_id)
        place = await self._store.read(_place, call_id)
        if call is not None and place is not None:
            with tolerated(_GONE):
                await self._poster.update(
                    place["channel_id"], place["ts"], _concluded(self._drawn(call), call)
                )
        return nothing

    async def _spot(self, row: Row, call: Row) -> Spot:
        if call["task"] is not None:
            return await self._thread_of(row, call["task"])
        return Spot(channel_id=await self._channels.of(row["payload"]["owner_id"]))

    def _drawn(self, call: Row) -> Part:
        task = call["task"]
        return approval(
            Approval(
                id=call["id"],
                agent=call["agent_name"],
                tool=call["tool"],
                action=call["action"],
                arguments=call["params"],
                digest=call["params_hash"],
                task=None if task is None else task["title"],
                url=None if task is None else showing.url_of(task, self._public_url),
            )
        )


def _concluded(part: Part, call: Row) -> Part:
    if call["decided_by"] is None:
        return settled(part, lines.nobody_decided())
    approved = call["approved_hash"] is not None
    return decided(part, call["decided_by"], approved=approved, why=call["reason"])


def _call(tx: Tx, call_id: str) -> Row | None:
    """Return a call with its task, if it has one."""
    call = tx.one(tool_calls.select().where(table.c.id == call_id))
    if call is None:
        return None
    task = None if call["task_id"] is None else showing.task(tx, call["task_id"])
    return {**call, "task": task}


def _place(tx: Tx, call_id: str) -> Row | None:
    return tx.one(slack_approvals.select().where(slack_approvals.c.call_id == call_id))
