"""Where it is recorded what happened, for people: the feed of Observer and ``nexus tail``."""

from enum import StrEnum
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from pydantic import Field

from nexus.services.command import Command
from nexus.store.schema import activity
from nexus.store.tx import Row, Tx

_PLACE = sa.tuple_(activity.c.txid, activity.c.id)


FARTHEST = 5_000
"""So many entries one search looks at."""

THOUGHT = "agent_thought"
"""The type of what an agent thinks about a task."""

_is_thought = activity.c.type == THOUGHT


def topic(tenant_id: str) -> str:
    """Return the topic that is woken when something happened in a tenant."""
    return f"activity:{tenant_id}"


def record(
    tx: Tx,
    tenant_id: str,
    type_: str,
    *,
    agent_id: str | None = None,
    task: Row | None = None,
    **data: Any,
) -> None:
    """Add one entry to the feed; ``task`` gives its ids and title."""
    if task is not None:
        data["title"] = task["title"]
    tx.note(
        {
            "tenant_id": tenant_id,
            "at": tx.now,
            "type": type_,
            "agent_id": agent_id,
            "project_id": task["project_id"] if task else None,
            "task_id": task["id"] if task else None,
            "data": data,
        }
    )
    tx.wake(topic(tenant_id))


def newest(tx: Tx, tenant_id: str, *, limit: int, before: int | None = None) -> list[Row]:
    """Return entries, newest first; ``before`` continues below the entry with that id.

    What agents think stands with their tasks alone.
    """
    query = _settled(tx, tenant_id).where(~_is_thought)
    place = None if before is None else _place(tx, before)
    if place is not None:
        query = query.where(place > _PLACE)
    return list(tx.rows(query.order_by(activity.c.txid.desc(), activity.c.id.desc()).limit(limit)))


class Kind(StrEnum):
    """What entries are about."""

    TASKS = "tasks"
    MESSAGES = "messages"
    AGENTS = "agents"
    TOOLS = "tools"
    TEAMS = "teams"
    DELIVERIES = "deliveries"


_TYPES = {
    Kind.TASKS: ("task_%",),
    Kind.MESSAGES: ("message_%",),
    Kind.AGENTS: ("agent_%", "agents_%", "secret_%", "access_%"),
    Kind.TOOLS: ("tool_%", "approval_%"),
    Kind.TEAMS: ("group_%", "project_%", "token_%"),
    Kind.DELIVERIES: ("delivery_%", "mirror_%"),
}


class ActivityFilter(Command):
    """Which entries are wanted; ``cursor`` continues below the one with that id."""

    kind: Kind | None = None
    agent_id: str | None = Field(default=None, max_length=128)
    project_id: str | None = Field(default=None, max_length=64)
    cursor: int | None = Field(default=None, ge=0, le=2**63 - 1)
    limit: int = Field(default=50, ge=1, le=200)


def search(tx: Tx, tenant_id: str, wanted: ActivityFilter) -> tuple[list[Row], int | None]:
    """Return entries that fit, newest first, and the cursor that goes on from there, if any does.

    It looks at no more than :data:`FARTHEST` entries, so that what is seldom takes no longer than
    what is frequent; the cursor goes on behind those.
    """
    query = _settled(tx, tenant_id).where(~_is_thought)
    place = None if wanted.cursor is None else _place(tx, wanted.cursor)
    if place is not None:
        query = query.where(place > _PLACE)
    query = query.order_by(activity.c.txid.desc(), activity.c.id.desc())
    near = query.limit(FARTHEST).subquery()
    fitting = sa.select(near).order_by(near.c.txid.desc(), near.c.id.desc())
    found = list(tx.rows(_fitting(fitting, near.c, wanted).limit(wanted.limit + 1)))
    if len(found) > wanted.limit:
        return found[:-1], int(found[-2]["id"])
    last = tx.one(query.offset(FARTHEST - 1).limit(1))
    return found, None if last is None else int(last["id"])


def _fitting(query: sa.Select[Any], columns: Any, wanted: ActivityFilter) -> sa.Select[Any]:
    if wanted.kind is not None:
        likes = [columns.type.like(pattern) for pattern in _TYPES[wanted.kind]]
        query = query.where(sa.or_(*likes))
    for name in ("agent_id", "project_id"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(columns[name] == value)
    return query


def since(tx: Tx, tenant_id: str, *, after: int, limit: int) -> list[Row]:
    """Return entries that came after the entry with id ``after``, oldest first.

    After an entry that is not there comes all that is: it is 0, past its time, or of another
    history, of before a restore.
    """
    query = _settled(tx, tenant_id)
    place = _place(tx, after)
    if place is not None:
        query = query.where(place < _PLACE)
    return list(tx.rows(query.order_by(activity.c.txid, activity.c.id).limit(limit)))


def _settled(tx: Tx, tenant_id: str) -> sa.Select[Any]:
    """Return the query for the entries that none can come before any more.

    Ids are given before a commit, so a lower one may be committed after a higher one; whoever reads
    on from the highest id that is there would never see it. So the feed goes by the transaction
    first, and as far as all of those have ended.
    """
    mine = activity.c.tenant_id == tenant_id
    return activity.select().where(mine, tx.has_ended(activity.c.txid))


def _place(tx: Tx, entry_id: int) -> sa.Tuple | None:
    """Return where in the feed an entry stands, if it is there."""
    known = sa.select(activity.c.txid).where(activity.c.id == entry_id)
    txid = tx.scalar(known)
    return None if txid is None else sa.tuple_(sa.literal(txid), sa.literal(entry_id))


def position(tx: Tx, tenant_id: str) -> int:
    """Return the id of the tenant's newest entry, 0 where nothing has happened yet."""
    entries = newest(tx, tenant_id, limit=1)
    return int(entries[0]["id"]) if entries else 0


def of_task(tx: Tx, task_id: str, *, limit: int) -> list[Row]:
    """Return what happened to a task and what was thought about it, oldest first.

    Of more than ``limit`` entries of either kind the newest.
    """
    mine = activity.select().where(activity.c.task_id == task_id)
    newest_first = [
        mine.where(kind).order_by(activity.c.id.desc()).limit(limit)
        for kind in (_is_thought, ~_is_thought)
    ]
    entries = [entry for query in newest_first for entry in tx.rows(query)]
    return sorted(entries, key=itemgetter("id"))
