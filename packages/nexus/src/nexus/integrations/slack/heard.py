"""Where it is decided how people learn at once that they were heard, and what agents are hinted."""

from collections.abc import Sequence

import sqlalchemy as sa

from nexus.integrations.slack import boxes, lines
from nexus.integrations.slack.saying import Said
from nexus.services import activity, events, stops, tasks
from nexus.services.tasks import EditTask
from nexus.store.schema import agents, groups, projects, sessions
from nexus.store.tx import Row, Tx
from oblivion.protocol import (
    FINAL_STATUSES,
    HELD_STATUSES,
    ContextUpdatePayload,
    EventType,
    SlackMessagePayload,
    TaskStatus,
)

HINT = "slack_message"


def in_thread(tx: Tx, said: Said, task: Row, woken: Sequence[str]) -> None:
    """Show that a mention in a task's thread was heard, and by whom it will be seen when.

    ``woken`` are the ids of the agents that it wakes.
    """
    if not said.author.is_human or not (said.for_app or woken):
        return
    _seen(tx, said)
    line = _line(tx, said, task, woken)
    if line is not None:
        _say(tx, said, line, key=said.name, lane=boxes.lane_of(task))


def _line(tx: Tx, said: Said, task: Row, woken: Sequence[str]) -> str | None:
    """Return what to say to it: one line, however many agents it calls."""
    if stops.state(tx, said.tenant_id).stopped:
        return lines.heard_stopped()
    there = _names(tx, woken)
    offline = [name for name, is_online in there.items() if not is_online]
    if offline:
        return lines.heard_offline(offline)
    if said.for_app and task["status"] == TaskStatus.TODO:
        return lines.heard_waiting()
    if said.for_app and task["status"] in FINAL_STATUSES:
        return lines.heard_ended(task["status"], [*there])
    return None


def _names(tx: Tx, agent_ids: Sequence[str]) -> dict[str, bool]:
    """Return the names of agents, each with whether it is connected."""
    online = sa.exists().where(sessions.c.agent_id == agents.c.id, sessions.c.closed_at.is_(None))
    query = sa.select(agents.c.name, online.label("online")).where(agents.c.id.in_(agent_ids))
    return {row["name"]: bool(row["online"]) for row in tx.rows(query.order_by(agents.c.name))}


def asked(tx: Tx, said: Said, task: Row) -> None:
    """Show that a mention has become a task; its card follows."""
    _seen(tx, said)
    if stops.state(tx, said.tenant_id).stopped:
        _say(tx, said, lines.heard_stopped(), key=said.name, lane=boxes.lane_of(task))


def without_project(tx: Tx, said: Said) -> None:
    """Say that no task can be made here."""
    _say(tx, said, lines.no_project(), key=said.name, lane=said.channel_id)


def without_words(tx: Tx, said: Said) -> None:
    """Say that a mention alone asks for nothing."""
    _say(tx, said, lines.nothing_asked(), key=said.name, lane=said.channel_id)


def _seen(tx: Tx, said: Said) -> None:
    at = {"channel_id": said.channel_id, "ts": said.ts}
    lane = f"{said.channel_id}:eyes"
    boxes.speak(tx, said.tenant_id, key=said.name, lane=lane, kind=boxes.HEARD, **at)


def _say(tx: Tx, said: Said, line: str, *, key: str, lane: str) -> None:
    at = {"channel_id": said.channel_id, "thread_ts": said.root_ts}
    boxes.speak(tx, said.tenant_id, key=f"heard:{key}", lane=lane, text=line, **at)


def project_for(tx: Tx, owner: Row) -> str | None:
    """Return the project in which a mention makes a task; None where that is not clear."""
    if owner["owner_kind"] == "project":
        return str(owner["owner_id"])
    mine = (projects.c.group_id == owner["owner_id"]) & projects.c.archived_at.is_(None)
    found = tx.rows(sa.select(projects.c.id).where(mine).limit(2))
    return found[0]["id"] if len(found) == 1 else None


def reworded(tx: Tx, said: Said, task: Row, title: str, description: str) -> None:
    """Take over that the message which made a task says something else now."""
    if task["status"] in FINAL_STATUSES:
        return
    tasks.edit(tx, said.principal, task["id"], EditTask(title=title, description=description))
    if task["status"] in HELD_STATUSES:
        update = ContextUpdatePayload(
            task_id=task["id"],
            slack_channel_id=said.channel_id,
            slack_thread_ts=said.root_ts,
            message_ts=said.ts,
            author=said.author.name,
            author_id=said.author.id,
            content=said.text,
            is_human=said.author.is_human,
            edited=True,
        )
        holder = task["holder_agent_id"]
        events.tell(tx, holder, EventType.CONTEXT_UPDATE, update, events.of_task(task))


def hint(tx: Tx, said: Said, place: Row) -> None:
    """Note for the feed, and for the agents of the group, that something was said.

    ``place`` names where: ``project_id``, ``group_id`` and their names, and the task's ``id``.
    """
    payload = SlackMessagePayload(
        channel_id=said.channel_id,
        message_ts=said.ts,
        thread_ts=said.thread_ts,
        text=said.text,
        user=said.author.name,
        task_id=place["id"],
        project_id=place["project_id"] or "",
        project_name=place["project_name"] or "",
        group_id=place["group_id"],
        group_name=place["group_name"],
    )
    activity.record(tx, said.tenant_id, HINT, message=payload.to_wire())


def place_of(tx: Tx, owner: Row) -> Row:
    """Return the names of the group or project that a channel belongs to."""
    if owner["owner_kind"] == "project":
        query = sa.select(
            sa.null().label("id"),
            projects.c.id.label("project_id"),
            projects.c.name.label("project_name"),
            groups.c.id.label("group_id"),
            groups.c.name.label("group_name"),
        ).join_from(projects, groups)
        query = query.where(projects.c.id == owner["owner_id"])
    else:
        query = sa.select(
            sa.null().label("id"),
            sa.null().label("project_id"),
            sa.null().label("project_name"),
            groups.c.id.label("group_id"),
            groups.c.name.label("group_name"),
        ).where(groups.c.id == owner["owner_id"])
    return tx.rows(query)[0]
