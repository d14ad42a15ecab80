"""Where it is recorded what happened, for people: the feed of Observer and ``nexus tail``."""

from typing import Any

import sqlalchemy as sa

from nexus.store.schema import activity
from nexus.store.tx import Row, Tx


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
    """Return entries, newest first; ``before`` continues below an entry's id."""
    query = activity.select().where(activity.c.tenant_id == tenant_id, tx.settled(activity))
    if before is not None:
        query = query.where(activity.c.id < before)
    return list(tx.rows(query.order_by(activity.c.id.desc()).limit(limit)))


def since(tx: Tx, tenant_id: str, *, after: int, limit: int) -> list[Row]:
    """Return entries that came after the entry with id ``after``, oldest first.

    An ``after`` that this history never reached comes from another one, of before a restore: all
    of this one came since.
    """
    known = activity.select().where(activity.c.tenant_id == tenant_id, tx.settled(activity))
    found = tx.rows(known.where(activity.c.id > after).order_by(activity.c.id).limit(limit))
    if found or not after or after <= (_newest_id(tx) or after):
        return list(found)
    return list(tx.rows(known.order_by(activity.c.id).limit(limit)))


def _newest_id(tx: Tx) -> int | None:
    newest: int | None = tx.scalar(sa.select(sa.func.max(activity.c.id)))
    return newest


def position(tx: Tx, tenant_id: str) -> int:
    """Return the id of the tenant's newest entry, 0 where nothing has happened yet."""
    entries = newest(tx, tenant_id, limit=1)
    return int(entries[0]["id"]) if entries else 0


def of_task(tx: Tx, task_id: str, *, limit: int) -> list[Row]:
    """Return what happened to a task, oldest first; of more than ``limit`` entries the newest."""
    mine = activity.select().where(activity.c.task_id == task_id)
    return list(tx.rows(mine.order_by(activity.c.id.desc()).limit(limit)))[::-1]
