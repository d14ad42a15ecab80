"""Where it is read off the feed what Slack should show, and posted to its box.

The feed is written in the commit of every change; so nothing that happened is missed, whatever
ends in between, and the work of agents knows nothing of Slack.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from nexus.integrations.slack import asking, boxes, noise
from nexus.integrations.slack.boxes import (
    APPROVAL,
    CARD,
    CHANGED,
    CHANNEL,
    CLOSED,
    MESSAGE,
    OUT,
)
from nexus.integrations.worker import Handler, Postponed, Record
from nexus.services import activity, deliveries, installation, stops, views
from nexus.services import slack as places
from nexus.services.deliveries import Letter
from nexus.store import UnitOfWork
from nexus.store.schema import messages
from nexus.store.tx import Row, Tx

AT_ONCE = 200

STOPPED_MS = 2_000
"""How long what agents say rests until it is looked again whether they are stopped still."""

_OF_AGENTS = frozenset({APPROVAL, CARD, CHANGED, MESSAGE})
"""What tells of agents and their work; the rest is the app's own, and answers people."""

_OF_OWNERS = frozenset(
    {"group_created", "group_archived", "project_created", "project_archived"},
)
_CHANGED = frozenset({"message_edited", "message_deleted"})


def follow(tx: Tx, tenant_id: str) -> int:
    """Post what Slack should show of the feed's next entries; return how many those were.

    At the very first time it begins with what is to come. While all agents are stopped, it waits.
    """
    tx.exclude("slack mirror", tenant_id)  # two nodes never read on from the same place
    if stops.state(tx, tenant_id).stopped:
        return 0
    cursor = installation.note_of(tx, _key(tenant_id))
    if cursor is None:
        installation.put_note(tx, _key(tenant_id), str(activity.position(tx, tenant_id)))
        reconcile(tx, tenant_id)
        return 0
    entries = activity.since(tx, tenant_id, after=int(cursor), limit=AT_ONCE)
    if entries:
        _show(tx, tenant_id, entries)
        installation.put_note(tx, _key(tenant_id), str(entries[-1]["id"]))
    return len(entries)


def unless_stopped(store: UnitOfWork, handle: Handler) -> Handler:
    """Return a handler that keeps what tells of agents for as long as all of them are stopped."""

    async def see_to(row: Row) -> Record:
        if row["kind"] in _OF_AGENTS and (await store.read(stops.state, row["tenant_id"])).stopped:
            raise Postponed("all agents are stopped", after_ms=STOPPED_MS, counts=False)
        return await handle(row)

    return see_to


def _key(tenant_id: str) -> str:
    return f"slack-mirror:{tenant_id}"


def _show(tx: Tx, tenant_id: str, entries: Sequence[Row]) -> None:
    if any(entry["type"] in _OF_OWNERS for entry in entries):
        reconcile(tx, tenant_id)
    projects = {entry["project_id"] for entry in entries} - {None}
    mute = {project_id for project_id in projects if places.is_mute(tx, project_id)}
    entries = [entry for entry in entries if entry["project_id"] not in mute]
    for entry in entries:
        if entry["type"] == "message_posted":
            _show_message(tx, entry)
        elif entry["type"] == asking.ASKED or entry["type"] in asking.ENDED:
            asking.follow(tx, entry)
        elif entry["type"] in _CHANGED:
            _post(tx, entry, CHANGED, f"changed:{entry['id']}", _said(entry))
    _show_cards(tx, [entry for entry in entries if entry["type"].startswith("task_")])


def _show_message(tx: Tx, entry: Row) -> None:
    """Have a message shown, unless it came from Slack or its author goes round in circles."""
    message_id = _message_id(tx, entry)
    if message_id is None or places.places_of(tx, message_id) or not noise.admit(tx, entry):
        return
    payload = {"message_id": message_id, "broadcast": entry["data"].get("broadcast", False)}
    _post(tx, entry, MESSAGE, f"message:{message_id}", payload)


def _message_id(tx: Tx, entry: Row) -> str | None:
    """Return which message an entry tells of; the release before Slack told no id."""
    known: str | None = entry["data"].get("message_id")
    if known is not None:
        return known
    same = (
        (messages.c.task_id == entry["task_id"])
        & (messages.c.created_at == entry["at"])
        & (messages.c.text == entry["data"]["text"])
    )
    found: str | None = tx.scalar(sa.select(messages.c.id).where(same).limit(1))
    return found


def _said(entry: Row) -> dict[str, object]:
    return {"message_id": entry["data"]["message_id"]}


def _show_cards(tx: Tx, entries: Sequence[Row]) -> None:
    """Have each task that changed shown, once."""
    newest = {entry["task_id"]: entry["id"] for entry in entries}
    for task_id, entry_id in newest.items():
        boxes.show(tx, views.task_row(tx, task_id), str(entry_id))


def _post(tx: Tx, entry: Row, kind: str, key: str, payload: dict[str, object]) -> None:
    letter = Letter(
        tenant_id=entry["tenant_id"],
        box=OUT,
        key=key,
        lane=entry["project_id"],
        kind=kind,
        payload=payload,
        task_id=entry["task_id"],
    )
    deliveries.post(tx, letter)


def reconcile(tx: Tx, tenant_id: str) -> None:
    """See to it that every open group and project has a channel, and archived ones have none."""
    wanted = [(CHANNEL, row["id"]) for row in places.without_channel(tx, tenant_id)]
    wanted += [(CLOSED, row["owner_id"]) for row in places.left_behind(tx, tenant_id)]
    for kind, owner_id in wanted:
        if deliveries.pending(tx, OUT, kind=kind, lane=owner_id):
            continue
        letter = Letter(
            tenant_id=tenant_id,
            box=OUT,
            key=f"{kind}:{owner_id}:{tx.now}",
            lane=owner_id,
            kind=kind,
            payload={"owner_id": owner_id},
        )
        deliveries.post(tx, letter)
