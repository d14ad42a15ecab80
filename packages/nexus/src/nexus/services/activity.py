"""Where it is recorded what happened, for people: the feed of Observer and ``nexus tail``."""

from typing import Any

import sqlalchemy as sa

from nexus.store.schema import activity
from nexus.store.tx import Row, Tx

_PLACE = sa.tuple_(activity.c.txid, activity.c.id)


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
    """Return entries, newest first; ``before`` continues below the entry with that id."""
    query = _settled(tx, tenant_id)
    place = None if before is None else _place(tx, before)
    if place is not None:
        query = query.where(place > _PLACE)
    return list(tx.rows(query.order_by(activity.c.txid.desc(), activity.c.id.desc()).limit(limit)))


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
    """Return what happened to a task, oldest first; of more than ``limit`` entries the newest."""
    mine = activity.select().where(activity.c.task_id == task_id)
    return list(tx.rows(mine.order_by(activity.c.id.desc()).limit(limit)))[::-1]
