"""Where it is known which task, message, group and project stands where in Slack."""

from collections.abc import Sequence

import sqlalchemy as sa

from nexus.domain.deliveries import DeliveryStatus
from nexus.services import views
from nexus.store.schema import (
    deliveries,
    groups,
    messages,
    projects,
    slack_channels,
    slack_messages,
    slack_threads,
    tasks,
)
from nexus.store.tx import Row, Tx
from oblivion.protocol import FINAL_STATUSES


def task_of(tx: Tx, channel_id: str, thread_ts: str) -> Row | None:
    """Return the task that a thread is about, with the names of its project and group."""
    known = slack_threads.select().where(
        slack_threads.c.channel_id == channel_id, slack_threads.c.thread_ts == thread_ts
    )
    found = tx.one(known)
    return None if found is None else views.task_row(tx, found["task_id"])


def task_saying(tx: Tx, message_id: str) -> Row:
    """Return the task in whose thread a message stands."""
    said = sa.select(messages.c.task_id).where(messages.c.id == message_id)
    return views.task_row(tx, tx.scalar(said))


def open_thread(tx: Tx, task_id: str, channel_id: str, thread_ts: str, card_ts: str | None) -> None:
    """Note where people talk about a task from now on; earlier threads still lead to it."""
    at = {"slack_channel_id": channel_id, "slack_thread_ts": thread_ts, "slack_card_ts": card_ts}
    tx.update(tasks, at, id=task_id)
    known = {"channel_id": channel_id, "thread_ts": thread_ts}
    if not tx.update(slack_threads, {"task_id": task_id}, **known):
        tx.insert(slack_threads, {**known, "task_id": task_id, "created_at": tx.now})


def close_thread(tx: Tx, task: Row) -> None:
    """Forget the thread of a task whose root is gone; the next thing said begins a new one."""
    gone = {"slack_thread_ts": None, "slack_card_ts": None}
    tx.update(tasks, gone, id=task["id"], slack_thread_ts=task["slack_thread_ts"])


def lose_card(tx: Tx, task: Row) -> None:
    """Forget the message that shows how a task stands; with a root of ours goes the thread."""
    if task["slack_card_ts"] == task["slack_thread_ts"]:
        close_thread(tx, task)
    else:
        gone = {"slack_card_ts": None}
        tx.update(tasks, gone, id=task["id"], slack_card_ts=task["slack_card_ts"])


def place(tx: Tx, channel_id: str, ts: str, message_id: str, *, ours: bool) -> None:
    """Note where a message of a thread stands; noting it twice changes nothing."""
    known = {"channel_id": channel_id, "ts": ts}
    if not tx.update(slack_messages, {"message_id": message_id}, **known):
        tx.insert(slack_messages, {**known, "message_id": message_id, "ours": ours})


def placed(tx: Tx, channel_id: str, ts: str) -> Row | None:
    """Return what stands at a place: its message's id, and whether it is ours."""
    at = (slack_messages.c.channel_id == channel_id) & (slack_messages.c.ts == ts)
    return tx.one(slack_messages.select().where(at))


def places_of(tx: Tx, message_id: str) -> list[Row]:
    """Return where a message stands, in order."""
    mine = slack_messages.select().where(slack_messages.c.message_id == message_id)
    return sorted(tx.rows(mine), key=lambda row: tuple(map(int, row["ts"].split("."))))


def ours(tx: Tx, message_id: str) -> list[Row]:
    """Return where we have shown a message, in order."""
    return [row for row in places_of(tx, message_id) if row["ours"]]


def channel_of(tx: Tx, owner_id: str) -> Row | None:
    """Return the channel of a group or project, also one that is archived."""
    return tx.one(slack_channels.select().where(slack_channels.c.owner_id == owner_id))


def is_mute(tx: Tx, project_id: str) -> bool:
    """Say whether the project's channel is archived: nobody wants to read there."""
    channel = channel_of(tx, project_id)
    return channel is not None and channel["archived_at"] is not None


def owner_of(tx: Tx, channel_id: str) -> Row | None:
    """Return whose channel this is; archived ones are nobody's."""
    mine = slack_channels.select().where(
        slack_channels.c.channel_id == channel_id, slack_channels.c.archived_at.is_(None)
    )
    return tx.one(mine)


def kept(tx: Tx, channel_id: str) -> Row | None:
    """Return what is kept of a channel, whether it is open or archived."""
    return tx.one(slack_channels.select().where(slack_channels.c.channel_id == channel_id))


def in_doubt_since(tx: Tx, row: Row) -> int | None:
    """Return since when the root of a task may stand in Slack without our knowing.

    ``row`` is the delivery that is about to post it. Another one about the task may have done so,
    where its answer was lost or its node ended; None where nothing is in doubt.
    """
    other = deliveries.c.claimed_until.is_not(None) & (deliveries.c.id != row["id"])
    mine = (
        (deliveries.c.tenant_id == row["tenant_id"])
        & deliveries.c.status.in_([DeliveryStatus.PENDING, DeliveryStatus.FAILED])
        & (deliveries.c.box == row["box"])
        & (deliveries.c.task_id == row["task_id"])
        & (deliveries.c.unsure | other)
    )
    since: int | None = tx.scalar(sa.select(sa.func.min(deliveries.c.created_at)).where(mine))
    return since


def stale_tasks(tx: Tx, channel_id: str, kind: str) -> list[Row]:
    """Return the tasks that an archived channel shows as they were, or does not show.

    They changed since it was archived, or at that moment, so that their delivery, of this ``kind``,
    failed.
    """
    channel = kept(tx, channel_id)
    if channel is None or channel["archived_at"] is None:
        return []
    shown_here = (tasks.c.slack_channel_id == channel_id) & tasks.c.slack_card_ts.is_not(None)
    shown_nowhere = (
        (tasks.c.project_id == channel["owner_id"])
        & tasks.c.slack_thread_ts.is_(None)
        & tasks.c.status.not_in(FINAL_STATUSES)
    )
    failed = sa.exists(
        sa.select(sa.literal(1)).where(
            deliveries.c.task_id == tasks.c.id,
            deliveries.c.status == DeliveryStatus.FAILED,
            deliveries.c.kind == kind,
        )
    )
    query = views.select_tasks().where(
        tasks.c.tenant_id == channel["tenant_id"],
        shown_here | shown_nowhere,
        (tasks.c.updated_at >= channel["archived_at"]) | failed,
    )
    return list(tx.rows(query.order_by(tasks.c.id)))


def note_archived(tx: Tx, channel_id: str, *, archived: bool = True) -> None:
    """Note that a channel was archived, or is open again."""
    at = tx.now if archived else None
    tx.update(slack_channels, {"archived_at": at}, channel_id=channel_id)


def note_renamed(tx: Tx, channel_id: str, name: str) -> None:
    """Note that people call a channel otherwise."""
    tx.update(slack_channels, {"name": name}, channel_id=channel_id)


def keep_channel(tx: Tx, owner: Row, channel_id: str, name: str, *, adopted: bool = False) -> None:
    """Note which channel belongs to a group or project, in the place of an earlier one."""
    values = {
        "tenant_id": owner["tenant_id"],
        "owner_kind": owner["kind"],
        "channel_id": channel_id,
        "name": name,
        "adopted": adopted,
        "archived_at": None,
        "created_at": tx.now,
    }
    if not tx.update(slack_channels, values, owner_id=owner["id"]):
        tx.insert(slack_channels, {"owner_id": owner["id"], **values})


def forget_channel(tx: Tx, channel_id: str) -> None:
    """Forget a channel that is gone, so that its owner gets another one."""
    tx.change(slack_channels.delete().where(slack_channels.c.channel_id == channel_id))


def _owners(kind: str, table: sa.Table) -> sa.Select[tuple[str, str, str, str, str]]:
    group_slug = groups.c.slug if table is projects else sa.null()
    query = sa.select(
        table.c.id,
        table.c.tenant_id,
        sa.literal(kind).label("kind"),
        table.c.slug,
        table.c.archived_at,
        group_slug.label("group_slug"),
    )
    return query.join_from(projects, groups) if table is projects else query


def owners(tx: Tx, ids: Sequence[str]) -> list[Row]:
    """Return groups and projects: their ``kind``, ``slug``, and a project's ``group_slug``."""
    return [
        row
        for kind, table in (("group", groups), ("project", projects))
        for row in tx.rows(_owners(kind, table).where(table.c.id.in_(ids)))
    ]


def without_channel(tx: Tx, tenant_id: str) -> list[Row]:
    """Return the tenant's open groups and projects that have no channel yet."""
    had = sa.select(slack_channels.c.owner_id)
    return [
        row
        for kind, table in (("group", groups), ("project", projects))
        for row in tx.rows(
            _owners(kind, table).where(
                table.c.tenant_id == tenant_id,
                table.c.archived_at.is_(None),
                table.c.id.not_in(had),
            )
        )
    ]


def left_behind(tx: Tx, tenant_id: str) -> list[Row]:
    """Return the open channels that Nexus made whose group or project is archived."""
    return [
        row
        for table in (groups, projects)
        for row in tx.rows(
            sa.select(slack_channels)
            .join_from(slack_channels, table, table.c.id == slack_channels.c.owner_id)
            .where(
                slack_channels.c.tenant_id == tenant_id,
                slack_channels.c.archived_at.is_(None),
                ~slack_channels.c.adopted,
                table.c.archived_at.is_not(None),
            )
        )
    ]
